# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from values import Clock, report, task

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Host
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.statistics import HostRecord, ReportRefused, Statistics


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def statistics(clock: Clock) -> Statistics:
    return Statistics(report_max_age_s=15, forget_host_after_s=60, now_s=clock)


def uuids(statistics: Statistics, host: str = "a") -> set[str]:
    return set(statistics.records()[host].tasks)


@pytest.mark.parametrize(("sequence", "reason"), [(2, "repeated"), (1, "reordered")])
def test_an_old_report_changes_nothing_and_is_counted(
    statistics: Statistics, sequence: int, reason: str
) -> None:
    statistics.accept(report("a", task("t", 10), sequence=2))
    with pytest.raises(ReportRefused) as refused:
        statistics.accept(report("a", task("u", 10), sequence=sequence))
    assert refused.value.reason == reason
    assert uuids(statistics) == {"t"}
    assert statistics.refusals == {reason: 1}


def test_an_agent_that_started_again_counts_from_the_beginning(statistics: Statistics) -> None:
    statistics.accept(report("a", task("t", 10), sequence=9))
    statistics.accept(report("a", task("u", 10), sequence=1, boot_id="second"))
    assert uuids(statistics) == {"u"}


def test_use_is_summed_by_framework(statistics: Statistics) -> None:
    tasks = (task("t", 10), task("u", 20), task("v", 5, HYPERVISOR))
    statistics.accept(report("a", *tasks))
    host = statistics.host(statistics.records()["a"], score=1)
    assert host.used == {
        CONTAINER: Resources(memory_mb=30),
        HYPERVISOR: Resources(memory_mb=5),
    }
    assert (host.task_count, host.free[1]) == (3, 65)


def test_a_source_that_failed_keeps_its_tasks_but_the_host_is_not_fresh(
    statistics: Statistics,
) -> None:
    statistics.accept(report("a", task("t", 10), task("v", 5, HYPERVISOR)))
    statistics.accept(report("a", sequence=2, unknown_frameworks=(CONTAINER,)))
    assert uuids(statistics) == {"t"}
    assert not statistics.host(statistics.records()["a"], score=1).fresh


def test_a_report_grows_old_and_the_host_is_forgotten(statistics: Statistics, clock: Clock) -> None:
    statistics.accept(report("a"))
    ages = []
    for second in (15, 16, 60, 61):
        clock.now_s = 1000.0 + second
        forgotten = statistics.forget_silent_hosts()
        known = statistics.records().get("a")
        ages.append((forgotten, known and statistics.host(known, score=1).fresh))
    assert ages == [([], True), ([], False), ([], False), (["a"], None)]


def test_the_newest_report_of_each_host_is_kept_by_name(
    statistics: Statistics, clock: Clock
) -> None:
    statistics.accept(report("b", task("t", 10), sequence=4))
    statistics.accept(report("a", task("u", 20), sequence=1))
    clock.now_s += 5
    newest = report("b", task("v", 30), sequence=5)
    statistics.accept(newest)
    assert list(statistics.records().items()) == [
        ("a", HostRecord(report("a", task("u", 20), sequence=1), 1000.0, {"u": task("u", 20)})),
        ("b", HostRecord(newest, 1005.0, {"v": task("v", 30)})),
    ]
    assert statistics.refusals == {}


def test_a_report_that_is_refused_makes_no_host_younger(
    statistics: Statistics, clock: Clock
) -> None:
    statistics.accept(report("a", sequence=5))
    clock.now_s += 60
    for _ in range(2):
        with pytest.raises(ReportRefused, match=r"^report 4 of host a came after 5$"):
            statistics.accept(report("a", sequence=4))
    assert statistics.age_s(statistics.records()["a"]) == 60
    assert statistics.refusals == {"reordered": 2}
    clock.now_s += 1
    assert statistics.forget_silent_hosts() == ["a"]


def test_a_new_life_of_an_agent_refuses_its_own_repetitions(statistics: Statistics) -> None:
    statistics.accept(report("a", sequence=9))
    statistics.accept(report("a", sequence=1, boot_id="second"))
    with pytest.raises(ReportRefused):
        statistics.accept(report("a", sequence=1, boot_id="second"))
    assert statistics.refusals == {"repeated": 1}


def test_a_host_is_summed_up_with_its_score(statistics: Statistics) -> None:
    statistics.accept(report("a", task("t", 10)))
    record = statistics.records()["a"]
    assert statistics.host(record, Fraction(3, 4)) == Host(
        "a",
        capacity=Resources(memory_mb=100),
        score=Fraction(3, 4),
        used={CONTAINER: Resources(memory_mb=10)},
        task_count=1,
        fresh=True,
    )


def test_a_host_that_is_not_fresh_stays_charged_until_it_reports(
    statistics: Statistics, clock: Clock
) -> None:
    statistics.accept(report("a", task("t", 10)))
    clock.now_s += 16
    old = statistics.host(statistics.records()["a"], 1)
    assert (old.fresh, old.used) == (False, {CONTAINER: Resources(memory_mb=10)})
    statistics.accept(report("a", sequence=2))
    new = statistics.host(statistics.records()["a"], 1)
    assert (new.fresh, new.used) == (True, {})


def test_tasks_that_cannot_be_listed_are_kept_until_they_can_be(statistics: Statistics) -> None:
    statistics.accept(report("a", task("t", 10), task("v", 5, HYPERVISOR)))
    # The other framework is taken as it is reported, and so is a task that was seen all the same.
    statistics.accept(
        report("a", task("t", 30), sequence=2, unknown_frameworks=(CONTAINER,)),
    )
    assert dict(statistics.records()["a"].tasks) == {"t": task("t", 30)}
    statistics.accept(report("a", boot_id="second", unknown_frameworks=(CONTAINER, HYPERVISOR)))
    assert uuids(statistics) == {"t"}
    statistics.accept(report("a", task("w", 1), sequence=2, boot_id="second"))
    assert uuids(statistics) == {"w"}
    assert statistics.host(statistics.records()["a"], 1).fresh


def test_a_host_that_was_never_seen_whole_is_not_fresh(statistics: Statistics) -> None:
    statistics.accept(report("a", unknown_frameworks=(CONTAINER,)))
    assert statistics.host(statistics.records()["a"], 1) == Host(
        "a", Resources(memory_mb=100), fresh=False
    )


def test_each_host_is_forgotten_by_its_own_silence_and_may_come_back(
    statistics: Statistics, clock: Clock
) -> None:
    statistics.accept(report("a", sequence=9))
    clock.now_s += 30
    statistics.accept(report("b"))
    clock.now_s += 31
    assert statistics.forget_silent_hosts() == ["a"]
    assert list(statistics.records()) == ["b"]
    assert statistics.forget_silent_hosts() == []
    # Nothing of it is left that could refuse it.
    statistics.accept(report("a", sequence=9))
    assert list(statistics.records()) == ["a", "b"]
    assert statistics.refusals == {}
