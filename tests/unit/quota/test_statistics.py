# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from values import Clock, report, task

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.statistics import ReportRefused, Statistics


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
