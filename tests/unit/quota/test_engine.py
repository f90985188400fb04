# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from engines import Site
from values import by_host, claim, decision, report, task

from hybrid_sched.conf.quota import BadOption
from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, ReserveMode
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.hardware import Hardware, ScoreRow
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.quota.inputs import CycleInputs

HALF = Fraction(1, 2)
OLD = Hardware("Old 1", "DDR3")
NEW = Hardware("New 1", "DDR5")


@pytest.fixture
def site() -> Site:
    return Site()


def test_each_cycle_makes_a_newer_snapshot_of_its_term() -> None:
    site = Site(term=7)
    assert not site.engine.has_run
    first, second = site.cycle(), site.cycle(task("t", 10))
    assert (first.stamp, second.stamp) == ((7, 1), (7, 2))
    assert (first.hosts["a"].used, second.hosts["a"].used) == (
        {},
        {CONTAINER: Resources(memory_mb=10)},
    )
    assert site.engine.snapshot() == (second, 0.0)
    assert site.engine.has_run


def test_a_snapshot_grows_old_until_the_next_cycle(site: Site) -> None:
    first = site.cycle()
    site.clock.now_s += 7
    assert site.engine.snapshot() == (first, 7.0)
    # A reservation tells nothing new of the hosts.
    site.reserve("t", 1)
    snapshot, age_s = site.engine.snapshot()
    assert (snapshot.version, age_s) == (first.version + 1, 7.0)
    site.run()
    assert site.engine.snapshot()[1] == 0.0


def test_a_cycle_tells_how_long_it_took(site: Site) -> None:
    assert site.engine.last_cycle_s == 0
    site.cycle()
    assert 0 < site.engine.last_cycle_s < 60


def test_what_the_share_refused_is_wanted_for_a_while_or_until_it_passes(site: Site) -> None:
    refused = decision("t", refused_by_share=True)
    site.engine.take_decision(refused)
    site.cycle()
    assert (site.wanted_mb(), site.used_mb()) == (10, 0)
    site.engine.take_decision(decision("t", hosts=("a",)))
    site.cycle()
    assert site.wanted_mb() == 0
    site.engine.take_decision(refused)
    site.engine.take_decision(decision("t", Stage.ORDER))
    site.cycle()
    assert site.wanted_mb() == 10
    site.clock.now_s += site.conf.quota.pending_ttl_s
    site.cycle()
    assert site.wanted_mb() == 0


def test_what_a_pool_refused_is_wanted_there(site: Site) -> None:
    site.engine.take_decision(decision("t", refused_by_share=True, pool="fast"))
    site.report("a")
    site.report("b")
    site.run(pool_of={"b": "fast"})
    assert (site.wanted_mb(), site.wanted_mb(pool="fast")) == (0, 10)


@pytest.mark.parametrize(
    "step",
    [
        decision("t", hosts=("a",)),
        decision("t", refused={"a": "host_room: host a has no room"}),
        decision("t", Stage.ORDER, refused_by_share=True),
    ],
)
def test_what_the_share_did_not_refuse_is_not_wanted(site: Site, step: Decision) -> None:
    site.engine.take_decision(step)
    site.cycle()
    assert site.wanted_mb() == 0
    assert site.engine.decisions_of("t") == (step,)


def test_a_request_that_is_refused_twice_is_wanted_once(site: Site) -> None:
    for _ in range(2):
        site.engine.take_decision(decision("t", refused_by_share=True))
    site.engine.take_decision(decision("u", refused_by_share=True))
    site.cycle()
    assert site.wanted_mb() == 20
    # On a host it is held and no longer waited for.
    site.cycle(task("t", 10))
    assert (site.used_mb(), site.wanted_mb()) == (10, 20)


def test_refused_requests_count_for_nothing_where_the_option_says_so() -> None:
    site = Site(pending_ttl_s=0.0)
    site.engine.take_decision(decision("t", refused_by_share=True))
    site.cycle()
    assert site.wanted_mb() == 0


def test_decisions_are_kept_for_as_many_requests_as_the_option_says() -> None:
    site = Site(decisions_kept=2)
    for uuid in "abc":
        site.engine.take_decision(decision(uuid))
    assert site.engine.newest_decisions(9) == [decision("c"), decision("b")]
    assert site.engine.newest_decisions(1) == [decision("c")]
    assert site.engine.decisions_of("a") == ()


def test_weights_that_change_count_from_the_next_cycle(site: Site) -> None:
    site.cycle()
    assert site.framework().fair_share == HALF
    site.set(weights={CONTAINER: "3"})
    assert site.framework().fair_share == HALF
    site.cycle()
    assert site.framework().fair_share == Fraction(3, 4)


def test_weights_that_were_set_count_before_those_of_the_configuration(site: Site) -> None:
    site.set(weights={CONTAINER: "3", HYPERVISOR: "2"})
    site.report("a")
    site.report("b")
    weights = {DEFAULT_POOL: {CONTAINER: 5}, "fast": {HYPERVISOR: 7}, "unused": {HYPERVISOR: 9}}
    site.run(weights=weights, pool_of={"b": "fast"})

    def weighed(pool: str) -> dict[str, Any]:
        frameworks = site.snapshot.pools[pool].frameworks
        return {name: each.weight for name, each in frameworks.items()}

    # One that was set for the default pool counts in each pool that has none of its own.
    assert weighed(DEFAULT_POOL) == {HYPERVISOR: 2, CONTAINER: 5}
    assert weighed("fast") == {HYPERVISOR: 7, CONTAINER: 5}
    assert set(site.snapshot.pools) == {DEFAULT_POOL, "fast"}
    site.run(weights={})
    assert weighed("fast") == {HYPERVISOR: 2, CONTAINER: 3}


def test_hosts_change_their_pool_with_all_that_they_hold(site: Site) -> None:
    site.cycle(task("t", 10))
    site.run(pool_of={"a": "fast"})
    assert (site.used_mb(), site.used_mb(pool="fast")) == (0, 10)
    site.run(pool_of={"a": "slow"})
    assert set(site.snapshot.pools) == {DEFAULT_POOL, "slow"}
    assert site.used_mb(pool="slow") == 10
    site.run(pool_of={})
    assert set(site.snapshot.pools) == {DEFAULT_POOL}
    assert site.used_mb() == 10


@pytest.mark.parametrize(
    ("option", "value", "mended", "said"),
    [
        ("weights", {CONTAINER: "-1"}, {CONTAINER: "3"}, "container:-1: give a number of more"),
        ("lending", {CONTAINER: "half"}, {CONTAINER: "1/2"}, "container:half: "),
        ("host_scores", {"a": "2"}, {"a": "1/2"}, "a:2: give a number of more than 0 and at most"),
        ("least_squeeze", "0", "1/2", "0: give a number of more than 0 and at most 1"),
    ],
)
def test_rules_that_become_bad_leave_the_old_ones_until_they_are_mended(
    site: Site, caplog: pytest.LogCaptureFixture, option: str, value: Any, mended: Any, said: str
) -> None:
    caplog.set_level("INFO")
    first = site.cycle(task("t", 10))
    # Together with a good one: rules count as a whole.
    site.set(**{option: value}, default_score="1/3")
    assert site.cycle(task("t", 10)).pools == first.pools
    assert f"The shares stay as they were: [quota] {option}: {said}" in caplog.text
    assert "Sharing rules changed" not in caplog.text
    site.set(**{option: mended}, default_score="1")
    site.cycle(task("t", 10))
    assert "Sharing rules changed" in caplog.text


def test_an_engine_does_not_start_with_rules_that_cannot_be_used() -> None:
    with pytest.raises(BadOption, match="unknown framework"):
        Site(weights={"pods": "1"})


def test_a_change_of_the_rules_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    site.cycle()
    assert caplog.text == ""
    site.set(weights={CONTAINER: "3"})
    for _ in range(2):
        site.cycle()
    assert caplog.text.count("Sharing rules changed") == 1


def test_whether_to_reserve_is_in_the_snapshot_as_the_option_says_now(site: Site) -> None:
    assert site.cycle().reserve is ReserveMode.NONE
    site.set(reserve="strict")
    assert site.cycle().reserve is ReserveMode.STRICT


def test_a_score_comes_from_the_option_then_the_table_then_the_default(site: Site) -> None:
    site.set(host_scores={"named": "1/4"}, default_score="3/4")
    for host, hardware in {"named": OLD, "old": OLD, "new": NEW}.items():
        site.report(host, hardware=hardware)
    site.run(score_rows=(ScoreRow("Old*", "*", HALF),))
    scores = {host: site.engine.score_of(host) for host in ("named", "old", "new")}
    assert {host: score and (score.score, score.source) for host, score in scores.items()} == {
        "named": (Fraction(1, 4), "option"),
        "old": (HALF, "Old*, *"),
        "new": (Fraction(3, 4), "default"),
    }
    assert site.engine.score_of("none") is None
    assert site.snapshot.pools[DEFAULT_POOL].capacity[1] == 150


@pytest.mark.parametrize("change", ["table", "option", "default", "hardware"])
def test_a_score_that_changes_is_used_from_the_next_cycle(site: Site, change: str) -> None:
    rows = (ScoreRow("Old*", "*", HALF), ScoreRow("Older*", "*", Fraction(1, 4)))
    site.report("a", task("t", 40), hardware=OLD)
    site.run(score_rows=rows)
    assert (site.snapshot.hosts["a"].score, site.used_mb()) == (HALF, 20)
    match change:
        case "table":
            site.inputs = CycleInputs(score_rows=(ScoreRow("*", "*", Fraction(1, 4)),))
        case "option":
            site.set(host_scores={"a": "1/4"})
        case "default":
            site.run(score_rows=())
            site.set(default_score="1/4")
        case "hardware":
            site.report("a", task("t", 40), hardware=Hardware("Older 1", "DDR2"))
    site.run()
    assert (site.snapshot.hosts["a"].score, site.used_mb()) == (Fraction(1, 4), 10)
    assert site.snapshot.pools[DEFAULT_POOL].capacity[1] == 25


def test_reports_that_cannot_be_used_are_counted_and_change_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.cycle(task("t", 10))
    site.engine.take_report(report("a", sequence=1))
    site.engine.count_malformed_report("capacity: missing")
    site.run()
    assert site.used_mb() == 10
    assert site.engine.refusals() == {"repeated": 1, "malformed": 1}
    assert "Report refused (repeated): report 1 of host a came after 1." in caplog.text
    assert "Report refused (malformed): capacity: missing." in caplog.text


def test_hosts_that_placement_does_not_know_are_refused(site: Site) -> None:
    site.run(known_hosts=frozenset({"b"}))
    site.cycle()
    assert set(site.snapshot.hosts) == {"b"}
    assert site.engine.refusals() == {"unknown_host": 1}


def test_before_the_first_cycle_there_is_a_snapshot_of_nothing(site: Site) -> None:
    snapshot, age_s = site.engine.snapshot()
    assert (snapshot.version, snapshot.hosts, age_s) == (0, {}, 0.0)
    assert snapshot.pool_of("a").frameworks == {}


def test_records_tell_the_age_of_each_report(site: Site) -> None:
    site.engine.take_report(report("b"))
    site.clock.now_s += 4
    site.engine.take_report(report("a", task("t", 10)))
    site.clock.now_s += 1
    assert [(record.report, age_s) for record, age_s in site.engine.records()] == [
        (report("a", task("t", 10)), 1.0),
        (report("b"), 5.0),
    ]


def test_hosts_grow_old_and_are_forgotten_as_the_options_say(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site(report_max_age_s=20, forget_host_after_s=50)
    site.cycle(task("t", 10))
    seen = []
    for _ in range(3):
        site.clock.now_s += 20
        seen.append({name: host.fresh for name, host in site.run().hosts.items()})
    assert seen == [{"a": True, "b": True}, {"a": False, "b": False}, {}]
    assert site.used_mb() == 0
    assert "Host a is left out: it has not reported for too long." in caplog.text


def test_claims_are_charged_as_they_change(site: Site) -> None:
    claims = {"a": {"t": claim(30)}, "b": {"u": claim(5, None)}}
    site.cycle(task("t", 10))
    site.run(claims_of=by_host(claims), claims_changed=frozenset("ab"))
    assert site.used_mb() == 30
    assert site.snapshot.hosts["b"].other == Resources(memory_mb=5)
    assert site.engine.doubted_hosts() == {"b"}
    claims["a"] = {}
    # Only hosts that are said to have changed are looked at.
    site.run(claims_changed=frozenset())
    assert site.used_mb() == 30
    site.run(claims_changed=frozenset("a"))
    assert site.used_mb() == 10


def test_claims_that_were_told_of_once_stay_while_none_can_be_read(site: Site) -> None:
    site.cycle()
    site.run(claims_of=by_host({"a": {"t": claim(30)}}), claims_changed=frozenset("a"))
    site.run(claims_of=None, claims_changed=frozenset())
    site.cycle()
    assert site.used_mb() == 30


def test_whose_a_task_is_follows_from_reservations_decisions_and_agents(site: Site) -> None:
    site.cycle(task("seen", 1, HYPERVISOR))
    site.engine.reserve(Request("reserved", HYPERVISOR, Resources(memory_mb=1)))
    site.engine.take_decision(decision("decided", framework=CONTAINER))
    site.engine.take_decision(decision("reserved", framework=CONTAINER))
    uuids = ("reserved", "decided", "seen", "none")
    assert [site.engine.framework_of(uuid) for uuid in uuids] == [
        HYPERVISOR,
        CONTAINER,
        HYPERVISOR,
        None,
    ]


def test_a_lender_gets_its_share_back_once_it_was_refused() -> None:
    site = Site(lending_of_guests="1")
    held = [task(str(number), 10) for number in range(10)]
    site.cycle(*held)
    assert (site.framework().entitlement, site.framework(HYPERVISOR).entitlement) == (HALF, 0)
    assert site.reserve("more", 90).granted
    site.engine.release("more")
    refused = decision(
        "g", framework=HYPERVISOR, demand=Resources(memory_mb=150), refused_by_share=True
    )
    site.engine.take_decision(refused)
    site.cycle(*held)
    wanted = site.framework(HYPERVISOR)
    assert (wanted.wanted[1], wanted.entitlement, wanted.owed) == (150, HALF, HALF)
    assert not site.reserve("more", 10).granted
