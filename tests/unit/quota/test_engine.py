# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest
from oslo_config import cfg
from values import Clock, decision, quota_conf, report, request, task

from hybrid_sched.conf.quota import BadOption
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Snapshot
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.engine import Engine, Reservation


class Site:
    """An engine with two hosts of 100 MiB, and what it published."""

    def __init__(self, lending_of_guests: str = "0", **options: Any) -> None:
        self.clock = Clock()
        self.conf: cfg.ConfigOpts = quota_conf(lending={HYPERVISOR: lending_of_guests}, **options)
        self.published: list[Snapshot] = []
        self.engine = Engine(self.conf, self.published.append, self.clock, self.clock)
        self._sequence = 0

    def cycle(self, *tasks_on_a: Any) -> Snapshot:
        self._sequence += 1
        self.engine.take_report(report("a", *tasks_on_a, sequence=self._sequence))
        self.engine.take_report(report("b", sequence=self._sequence))
        self.engine.run_cycle()
        return self.published[-1]

    def used_mb(self) -> Any:
        return self.engine.snapshot()[0].frameworks[CONTAINER].used[1]

    def wanted_mb(self) -> Any:
        return self.engine.snapshot()[0].frameworks[CONTAINER].wanted[1]


@pytest.fixture
def site() -> Site:
    return Site()


def test_each_cycle_publishes_a_newer_snapshot_of_one_life(site: Site) -> None:
    first, second = site.cycle(), site.cycle(task("t", 10))
    assert first.epoch == second.epoch != Site().cycle().epoch
    assert second.version == first.version + 1
    assert (first.frameworks[CONTAINER].used[1], second.frameworks[CONTAINER].used[1]) == (0, 10)
    assert site.engine.snapshot() == (second, 0.0)


def test_a_reservation_is_charged_once_and_until_its_task_is_seen(site: Site) -> None:
    site.cycle()
    assert site.engine.reserve(request("t", 60)).granted
    assert site.engine.reserve(request("t", 60)).granted
    assert site.used_mb() == 60
    site.cycle()
    assert site.used_mb() == 60
    site.cycle(task("t", 60))
    assert site.used_mb() == 60
    site.cycle()
    assert site.used_mb() == 0


def test_reservations_together_stay_within_the_share(site: Site) -> None:
    site.cycle()
    answers = [site.engine.reserve(request(str(n), 30)) for n in range(4)]
    assert [each.granted for each in answers] == [True, True, True, False]
    assert "framework container would hold 60.0 % of memory_mb" in answers[3].text


def test_a_reservation_ends_when_released_or_over(site: Site) -> None:
    site.cycle()
    site.engine.reserve(request("t", 60))
    assert site.engine.release("t")
    assert not site.engine.release("t")
    site.engine.reserve(request("u", 60))
    site.clock.now_s += site.conf.quota.reservation_ttl_s
    site.cycle()
    assert site.used_mb() == 0


def test_a_move_needs_no_reservation(site: Site) -> None:
    site.cycle()
    assert site.engine.reserve(request("t", 1000, is_move=True)).granted
    assert site.used_mb() == 0


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


def test_weights_that_change_count_from_the_next_cycle(site: Site) -> None:
    assert site.cycle().frameworks[CONTAINER].fair_share == Fraction(1, 2)
    site.conf.set_override("weights", {CONTAINER: "3"}, group="quota")
    assert site.cycle().frameworks[CONTAINER].fair_share == Fraction(3, 4)


def test_weights_that_cannot_be_used_change_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.cycle()
    site.conf.set_override("weights", {CONTAINER: "-1"}, group="quota")
    assert site.cycle().frameworks[CONTAINER].weight == 1
    assert "[quota] weights: container:-1: give a number of more than 0" in caplog.text


def test_an_engine_does_not_start_with_weights_that_cannot_be_used() -> None:
    with pytest.raises(BadOption, match="unknown framework"):
        Site(weights={"pods": "1"})


def test_scores_scale_the_pool(site: Site) -> None:
    site.conf.set_override("host_scores", {"b": "0.5"}, group="quota")
    assert site.cycle().pool[1] == 150


def test_reports_that_cannot_be_used_are_counted_and_change_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.cycle(task("t", 10))
    site.engine.take_report(report("a", sequence=1))
    site.engine.count_malformed_report("capacity: missing")
    site.engine.run_cycle()
    assert site.used_mb() == 10
    assert site.engine.refusals() == {"repeated": 1, "malformed": 1}
    assert "Report refused (malformed): capacity: missing." in caplog.text


def test_before_the_first_cycle_there_is_a_snapshot_of_nothing(site: Site) -> None:
    snapshot, age_s = site.engine.snapshot()
    assert (snapshot.version, snapshot.hosts, snapshot.pool, age_s) == (1, {}, Resources(), 0.0)
    assert list(snapshot.frameworks) == [HYPERVISOR, CONTAINER]
    assert site.published == []


def test_a_snapshot_grows_old_until_the_next_one(site: Site) -> None:
    first = site.cycle()
    site.clock.now_s += 7
    assert site.engine.snapshot() == (first, 7.0)
    site.engine.reserve(request("t", 1))
    snapshot, age_s = site.engine.snapshot()
    assert (snapshot.version, age_s) == (first.version + 1, 0.0)
    site.engine.run_cycle()
    assert [each.version for each in site.published] == [first.version, first.version + 2]


def test_a_reservation_that_is_refused_charges_nothing_and_may_be_asked_for_again(
    site: Site,
) -> None:
    before = site.cycle()
    asked = request("t", 101)
    refused = site.engine.reserve(asked)
    assert refused == Reservation(
        granted=False,
        text="framework container would hold 50.5 % of memory_mb; its share by weight is 50.0 % "
        "and 0.0 % more can be lent now, so it is 0.5 % over",
    )
    assert site.engine.reserve(asked) == refused
    assert not site.engine.release("t")
    assert site.engine.snapshot() == (before, 0.0)


def test_all_tasks_of_a_request_are_reserved_together(site: Site) -> None:
    site.cycle()
    assert not site.engine.reserve(request("t", 34, count=3)).granted
    assert site.engine.reserve(request("t", 33, count=3)) == Reservation(granted=True, text="")
    assert site.used_mb() == 99


def test_what_was_released_can_be_reserved_from_the_next_cycle(site: Site) -> None:
    site.cycle()
    assert site.engine.reserve(request("t", 100)).granted
    assert not site.engine.reserve(request("u", 100)).granted
    site.engine.release("t")
    site.cycle()
    assert site.used_mb() == 0
    assert site.engine.reserve(request("u", 100)).granted


def test_a_reservation_lasts_as_long_as_the_option_says_now(site: Site) -> None:
    site.cycle()
    site.conf.set_override("reservation_ttl_s", 10, group="quota")
    site.engine.reserve(request("t", 60))
    used = []
    for _ in range(3):
        site.cycle()
        used.append(site.used_mb())
        site.clock.now_s += 5
    assert used == [60, 60, 0]


def test_threads_that_reserve_at_once_do_not_exceed_the_share(site: Site) -> None:
    site.cycle()
    start = threading.Barrier(8)

    def reserve(thread: int) -> int:
        start.wait()
        asked = [request(f"{thread}-{number}", 5) for number in range(5)]
        return sum(site.engine.reserve(each).granted for each in asked)

    with ThreadPoolExecutor(8) as threads:
        granted = sum(threads.map(reserve, range(8)))
    assert granted == 20
    assert site.used_mb() == 100


def test_a_lender_gets_its_share_back_once_it_was_refused() -> None:
    site = Site(lending_of_guests="1")
    held = [task(str(number), 10) for number in range(10)]
    lent = site.cycle(*held).frameworks
    assert (lent[CONTAINER].entitlement, lent[HYPERVISOR].entitlement) == (Fraction(1, 2), 0)
    assert site.engine.reserve(request("more", 90)).granted
    site.engine.release("more")
    refused = decision(
        "g",
        framework=HYPERVISOR,
        demand=Resources(memory_mb=150),
        refused_by_share=True,
    )
    site.engine.take_decision(refused)
    wanted = site.cycle(*held).frameworks[HYPERVISOR]
    assert (wanted.wanted[1], wanted.entitlement) == (150, Fraction(1, 2))
    assert not site.engine.reserve(request("more", 10)).granted


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


def test_records_tell_the_age_of_each_report(site: Site) -> None:
    site.engine.take_report(report("b"))
    site.clock.now_s += 4
    site.engine.take_report(report("a", task("t", 10)))
    site.clock.now_s += 1
    assert [(record.report, age_s) for record, age_s in site.engine.records()] == [
        (report("a", task("t", 10)), 1.0),
        (report("b"), 5.0),
    ]


def test_hosts_grow_old_and_are_forgotten_as_the_options_say() -> None:
    site = Site(report_max_age_s=20, forget_host_after_s=50)
    site.cycle(task("t", 10))
    seen = []
    for _ in range(3):
        site.clock.now_s += 20
        site.engine.run_cycle()
        hosts = site.published[-1].hosts
        seen.append({name: host.fresh for name, host in hosts.items()})
    assert seen == [{"a": True, "b": True}, {"a": False, "b": False}, {}]
    assert site.used_mb() == 0


def test_lending_that_cannot_be_used_changes_nothing_until_it_is_mended(site: Site) -> None:
    first = site.cycle()
    site.conf.set_override("lending", {CONTAINER: "half"}, group="quota")
    site.engine.run_cycle()
    assert site.published[-1].frameworks == first.frameworks
    site.conf.set_override("lending", {CONTAINER: "1/2"}, group="quota")
    site.engine.run_cycle()
    assert site.published[-1].frameworks[CONTAINER].floor == Fraction(1, 4)


def test_a_change_of_the_rules_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    site.cycle()
    assert caplog.text == ""
    site.conf.set_override("weights", {CONTAINER: "3"}, group="quota")
    for _ in range(2):
        site.cycle()
    assert caplog.text.count("Sharing rules changed") == 1


def test_a_reservation_whose_time_is_over_is_asked_for_anew(site: Site) -> None:
    site.cycle()
    assert site.engine.reserve(request("t", 40)).granted
    site.clock.now_s += site.conf.quota.reservation_ttl_s
    site.engine.reserve(request("t", 40))
    site.cycle()
    assert site.used_mb() == 40


def test_an_unknown_framework_is_refused_each_time(site: Site) -> None:
    site.cycle()
    asked = request("t", 1, "pods")
    answers = {site.engine.reserve(asked).text for _ in range(2)}
    assert answers == {"framework pods is unknown; use hypervisor or container"}
