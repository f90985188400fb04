# SPDX-License-Identifier: Apache-2.0
"""What the engine keeps of decisions: in memory, in the archive, and where the requests turned up."""

from __future__ import annotations

from typing import Any

import pytest
from engines import Site
from oslo_config import cfg
from values import by_host, claim, decision, quota_conf, request, task

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.db import DatabaseError
from hybrid_sched.quota.decisions import MOST_HOSTS
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.whereabouts import WATCHED_S


class HeldArchive:
    """An archive in memory that outlives engines."""

    def __init__(self) -> None:
        self.steps: list[Decision] = []
        self.away = False

    def put(self, decision: Decision) -> None:
        self.steps.append(decision)

    def of(self, request_uuid: str) -> list[Decision]:
        self._check()
        return [step for step in self.steps if step.request_uuid == request_uuid]

    def newest(self, limit: int) -> list[Decision]:
        self._check()
        last = {step.request_uuid: step for step in self.steps if step.stage is not Stage.CLAIMED}
        return sorted(last.values(), key=lambda step: -step.decided_at_s)[:limit]

    def _check(self) -> None:
        if self.away:
            raise DatabaseError("it is away")


def conf(**options: Any) -> cfg.ConfigOpts:
    return quota_conf(**options)


@pytest.fixture
def archive() -> HeldArchive:
    return HeldArchive()


def seen(site: Site, uuid: str) -> list[str]:
    return [step.hosts[0] for step in site.engine.decisions_of(uuid) if step.stage is Stage.CLAIMED]


def test_an_engine_that_comes_next_knows_what_was_decided(archive: HeldArchive) -> None:
    first = Engine(conf(), archive=archive)
    gate = decision("a", hosts=("x",), decided_at_s=1.0)
    first.take_decision(gate)
    first.take_decision(decision("b", decided_at_s=2.0))
    later = Engine(conf(), archive=archive)
    order = decision("a", Stage.ORDER, decided_at_s=3.0)
    later.take_decision(order)
    assert later.decisions_of("a") == (gate, order)
    assert [step.request_uuid for step in later.newest_decisions(9)] == ["a", "b"]
    assert [step.request_uuid for step in later.newest_decisions(1)] == ["a"]


def test_an_archive_that_is_away_takes_nothing_from_what_is_known(archive: HeldArchive) -> None:
    engine = Engine(conf(), archive=archive)
    engine.take_decision(decision("a"))
    archive.away = True
    assert engine.decisions_of("a") == (decision("a"),)
    assert engine.newest_decisions(9) == [decision("a")]
    with pytest.raises(DatabaseError):
        engine.decisions_of("unknown")


def test_what_is_told_twice_is_kept_once(archive: HeldArchive) -> None:
    engine = Engine(conf(), archive=archive)
    for _ in range(2):
        engine.take_decision(decision("a"))
    assert engine.decisions_of("a") == (decision("a"),)
    assert archive.steps == [decision("a")]


def test_hosts_beyond_a_number_are_left_out_and_counted() -> None:
    engine = Engine(conf())
    hosts = tuple(map(str, range(MOST_HOSTS + 2)))
    told = decision("a", hosts=hosts, weights=(1,) * len(hosts), refused=dict.fromkeys(hosts, "no"))
    engine.take_decision(told)
    (kept,) = engine.decisions_of("a")
    assert kept.hosts == hosts[:MOST_HOSTS]
    assert (len(kept.weights), len(kept.refused)) == (MOST_HOSTS, MOST_HOSTS)
    assert (kept.more_hosts, kept.more_refused) == (2, 2)


def test_the_host_whose_agent_shows_a_request_is_taken_down_once() -> None:
    site = Site()
    site.cycle()
    site.engine.take_decision(decision("t", Stage.ORDER, hosts=("a", "b"), weights=(2, 1)))
    site.cycle()
    assert seen(site, "t") == []
    site.clock.now_s += 7
    site.cycle(task("t", 10))
    seen_at_s = site.clock.now_s
    site.clock.now_s += 1
    site.cycle(task("t", 10))
    assert seen(site, "t") == ["a"]
    step = site.engine.decisions_of("t")[-1]
    assert (step.decided_at_s, step.framework, step.weights) == (seen_at_s, CONTAINER, ())
    # It is no decision.
    assert site.engine.newest_decisions(9)[0].stage is Stage.ORDER


def test_the_host_whose_claim_names_a_request_is_taken_down_and_a_move_too() -> None:
    site = Site()
    site.cycle()
    held = {"b": {"t": claim(10)}}
    claims = by_host(held)
    # The claim may be read before the decision comes.
    site.run(claims_of=claims, claims_changed=frozenset("b"))
    site.engine.take_decision(decision("t", Stage.ORDER, hosts=("b",)))
    site.run(claims_changed=frozenset())
    assert seen(site, "t") == ["b"]
    held["a"] = held.pop("b")
    site.clock.now_s += 1
    site.run(claims_changed=frozenset("ab"))
    assert seen(site, "t") == ["b", "a"]


def test_a_known_task_that_is_decided_anew_is_told_of_when_it_is_elsewhere() -> None:
    site = Site()
    site.engine.take_decision(decision("t", hosts=("a", "b")))
    site.cycle(task("t", 10))
    site.clock.now_s += WATCHED_S
    site.cycle(task("t", 10))
    site.engine.take_decision(decision("t", hosts=("b",), decided_at_s=site.clock.now_s))
    site.cycle(task("t", 10))
    assert seen(site, "t") == ["a"]
    site.report("a")
    site.report("b", task("t", 10))
    site.run()
    assert seen(site, "t") == ["a", "b"]


def test_a_request_is_not_looked_for_forever_nor_one_that_no_host_may_take() -> None:
    site = Site()
    site.engine.take_decision(decision("late", hosts=("a",)))
    site.engine.take_decision(decision("refused", refused={"a": "no"}))
    site.run()
    site.clock.now_s += WATCHED_S
    site.cycle(task("late", 10), task("refused", 10))
    assert seen(site, "late") == seen(site, "refused") == []


def test_tasks_are_given_with_the_demand_that_their_host_is_charged() -> None:
    site = Site()
    site.cycle(task("claimed", 10), task("seen", 20), task("elsewhere", 30))
    claims = by_host(
        {"a": {"claimed": claim(15), "unborn": claim(5)}, "b": {"elsewhere": claim(30)}}
    )
    site.run(claims_of=claims, claims_changed=frozenset("ab"))
    assert site.engine.tasks_on("a") == [task("claimed", 15), task("seen", 20)]
    assert site.engine.tasks_on("none") == []


def test_whose_a_request_is_is_known_from_what_was_decided() -> None:
    engine = Engine(conf())
    engine.take_decision(decision(request("t", 1).uuid))
    assert engine.framework_of("t") == CONTAINER
