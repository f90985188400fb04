# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import START_S, Clock, report, task

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.quota.statistics import HostRecord, ReportLimits, ReportRefused, Statistics
from hybrid_sched.rpc.messages import HostReport

LIMITS = ReportLimits(max_age_s=15, clock_skew_s=2, forget_after_s=60)


class Site:
    """Statistics with the engine's two clocks."""

    def __init__(self) -> None:
        self.now, self.unix = Clock(), Clock()
        self.statistics = Statistics(LIMITS, self.now, self.unix)

    def advance(self, seconds: float) -> None:
        self.now.now_s += seconds
        self.unix.now_s += seconds

    def accept(self, *reports: HostReport) -> None:
        for each in reports:
            self.statistics.accept(each)

    def refuse(self, refused: HostReport) -> ReportRefused:
        """See a report refused, with a sentence and without any change but the count."""
        before, counted = self.state(), self.statistics.refusals.copy()
        with pytest.raises(ReportRefused) as fault:
            self.statistics.accept(refused)
        assert self.state() == before
        assert self.statistics.refusals == counted + Counter([fault.value.reason])
        return fault.value

    def state(self) -> object:
        """Give all that is known, and all that follows from it."""
        records = self.statistics.records()
        return (
            records,
            # The order in which they came decides who is silent.
            [name for name, _ in sorted(records.items(), key=lambda each: each[1].received_at_s)],
            {name: self.statistics.age_s(record) for name, record in records.items()},
            {name: self.statistics.is_fresh(record) for name, record in records.items()},
            list(self.statistics.stale()),
            set(self.statistics.squeezed),
            self.statistics.known_hosts,
        )

    def uuids(self, host: str = "a") -> set[str]:
        return set(self.statistics.records()[host].tasks)


@pytest.fixture
def site() -> Site:
    return Site()


def sampled_ago(seconds: float, **changes: Any) -> HostReport:
    return report("a", task("new", 9), sampled_at_s=START_S - seconds, **changes)


def measured(figure: str, value: float) -> dict[str, Any]:
    return {"measured": {figure: value}}


@pytest.mark.parametrize(
    ("refused", "reason", "text"),
    [
        (
            report("gone"),
            "unknown_host",
            "host 'gone' has no provider in Placement: check [agent] host there",
        ),
        (
            sampled_ago(15.5, sequence=5),
            "late",
            "report 5 of host a is 16 s old: check its clock and the broker",
        ),
        (
            sampled_ago(-3, sequence=5),
            "clock_jump",
            "the clock of host a is 3 s ahead: check NTP there",
        ),
        (
            sampled_ago(0, sequence=5, **measured(measures.CPU_CORES, 8.81)),
            "impossible",
            "host a: 8.81 of 8 CPUs are in use",
        ),
        (
            sampled_ago(0, sequence=5, task_measured={"new": {measures.CPU_CORES: 9.0}}),
            "impossible",
            "host a, task new: 9.00 of 8 CPUs are in use",
        ),
        (
            sampled_ago(0, sequence=5, **measured(measures.MEMORY_USED_MB, 100.5)),
            "impossible",
            "host a: 100 of 100 MiB of memory are in use",
        ),
        (
            sampled_ago(0, sequence=5, task_measured={"new": {measures.MEMORY_USED_MB: 101.0}}),
            "impossible",
            "host a, task new: 101 of 100 MiB of memory are in use",
        ),
        (
            sampled_ago(0, sequence=5, **measured(measures.IO_STALL_FRACTION, 1.25)),
            "impossible",
            "host a: io_stall_fraction is 1.25, which is more than 1",
        ),
        (sampled_ago(0, sequence=4), "repeated", "report 4 of host a came after 4"),
        (sampled_ago(0, sequence=3), "reordered", "report 3 of host a came after 4"),
        (
            sampled_ago(2, sequence=99, boot_id="earlier"),
            "reordered",
            "report 99 of host a is of an earlier life of its agent",
        ),
    ],
)
def test_a_report_that_cannot_be_used_is_counted_and_changes_nothing(
    site: Site, refused: HostReport, reason: str, text: str
) -> None:
    site.statistics.known_hosts = frozenset("ab")
    held = report("a", task("t", 10), sequence=4, sampled_at_s=START_S - 1, squeezed={CONTAINER: 0})
    site.accept(report("b", sequence=9), held)
    fault = site.refuse(refused)
    assert (fault.reason, str(fault)) == (reason, text)
    assert site.refuse(refused).reason == reason
    assert site.statistics.refusals == {reason: 2}


@pytest.mark.parametrize(
    "change",
    [
        {"sampled_at_s": START_S - 15},
        {"sampled_at_s": START_S + 2},
        measured(measures.CPU_CORES, 8.8),
        measured(measures.MEMORY_USED_MB, 100.0),
        measured(measures.CPU_STALL_FRACTION, 1.0),
        # What is no part of a whole may be large.
        measured(measures.DISK_READ_BPS, 1e12),
        {"task_measured": {"t": {measures.CPU_CORES: 8.8}}},
    ],
)
def test_a_report_at_the_very_limit_is_taken(site: Site, change: dict[str, Any]) -> None:
    site.accept(report("a", task("t", 10), **change))
    assert site.uuids() == {"t"}
    assert site.statistics.refusals == {}


def test_a_host_that_nobody_has_told_of_is_taken_while_the_hosts_are_not_known(site: Site) -> None:
    site.accept(report("a"))
    site.statistics.known_hosts = frozenset()
    assert site.refuse(report("a", sequence=2)).reason == "unknown_host"


def test_an_agent_that_started_again_counts_from_the_beginning(site: Site) -> None:
    site.accept(report("a", task("t", 10), sequence=9))
    site.advance(1)
    site.accept(report("a", task("u", 10), boot_id="second", sampled_at_s=START_S + 1))
    assert site.uuids() == {"u"}
    again = report("a", task("v", 10), boot_id="second", sampled_at_s=START_S + 1)
    assert site.refuse(again).reason == "repeated"
    # One of the first life that was held up on its way.
    late = report("a", task("w", 10), sequence=10, sampled_at_s=START_S + 0.5)
    assert site.refuse(late).reason == "reordered"


def test_a_refused_report_makes_no_host_younger(site: Site) -> None:
    site.accept(report("a", sequence=5))
    site.advance(60)
    site.refuse(report("a", sequence=4, sampled_at_s=START_S + 60))
    site.advance(0.5)
    assert site.statistics.forget_silent_hosts() == ["a"]


figures = st.dictionaries(
    st.sampled_from(
        [measures.CPU_CORES, measures.MEMORY_USED_MB, measures.IO_STALL_FRACTION],
    ),
    st.sampled_from([0.5, 1.5, 50.0, 150.0]),
)
stories = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 4.0, 20.0]),
        st.builds(
            report,
            st.sampled_from("abz"),
            st.builds(task, st.sampled_from("tuv"), st.just(10), st.sampled_from([CONTAINER])),
            sequence=st.integers(1, 6),
            boot_id=st.sampled_from(["first", "second"]),
            sampled_at_s=st.floats(-20, 5),
            measured=figures,
            squeezed=st.sampled_from([{}, {CONTAINER: Fraction(1, 2)}]),
            unknown_frameworks=st.sampled_from([(), (CONTAINER,)]),
        ),
    ),
    max_size=25,
)


@given(stories)
@settings(deadline=None)
def test_what_is_known_follows_from_the_accepted_reports_alone(
    story: list[tuple[float, HostReport]],
) -> None:
    site, twin, refused = Site(), Site(), 0
    for each in (site, twin):
        each.statistics.known_hosts = frozenset("ab")
    for wait_s, relative in story:
        site.advance(wait_s)
        twin.advance(wait_s)
        sampled_at_s = site.unix.now_s + relative.sampled_at_s
        told = replace(relative, sampled_at_s=sampled_at_s)
        try:
            site.statistics.accept(told)
        except ReportRefused:
            refused += 1
        else:
            twin.statistics.accept(told)
        assert site.state() == twin.state()
        ages = [
            (name, site.statistics.age_s(each)) for name, each in site.statistics.records().items()
        ]
        assert set(site.statistics.stale()) == {name for name, age_s in ages if age_s > 15}
        assert site.statistics.forget_silent_hosts() == twin.statistics.forget_silent_hosts()
    assert sum(site.statistics.refusals.values()) == refused
    assert twin.statistics.refusals == {}


def test_the_newest_report_of_each_host_is_kept_by_name(site: Site) -> None:
    site.accept(report("b", task("t", 10), sequence=4), report("a", task("u", 20)))
    site.advance(5)
    newest = report("b", task("v", 30), sequence=5)
    site.accept(newest)
    assert list(site.statistics.records().items()) == [
        ("a", HostRecord(report("a", task("u", 20)), START_S, {"u": task("u", 20)})),
        # The newest was sampled 5 s before it came.
        ("b", HostRecord(newest, START_S + 5, {"v": task("v", 30)}, -5.0)),
    ]
    assert site.statistics.get("b") == site.statistics.records()["b"]
    assert site.statistics.get("c") is None


def test_a_source_that_failed_keeps_its_tasks_but_the_host_is_not_fresh(site: Site) -> None:
    site.accept(report("a", task("t", 10), task("v", 5, HYPERVISOR)))
    # The other framework is taken as it is reported, and so is a task that was seen all the same.
    site.accept(report("a", task("t", 30), sequence=2, unknown_frameworks=(CONTAINER,)))
    record = site.statistics.records()["a"]
    assert dict(record.tasks) == {"t": task("t", 30)}
    assert not site.statistics.is_fresh(record)
    site.advance(1)
    life = {"boot_id": "second", "sampled_at_s": START_S + 1}
    both = (CONTAINER, HYPERVISOR)
    site.accept(report("a", sequence=1, unknown_frameworks=both, **life))
    assert site.uuids() == {"t"}
    site.accept(report("a", task("w", 1), sequence=2, **life))
    assert site.uuids() == {"w"}
    assert site.statistics.is_fresh(site.statistics.records()["a"])


def test_a_host_that_was_never_seen_whole_is_not_fresh(site: Site) -> None:
    site.accept(report("a", unknown_frameworks=(CONTAINER,)))
    assert not site.statistics.is_fresh(site.statistics.records()["a"])


def test_a_report_grows_old_and_the_host_is_forgotten(site: Site) -> None:
    site.accept(report("a"))
    seen = []
    for second in (15, 16, 60, 61):
        site.now.now_s = START_S + second
        stale = list(site.statistics.stale())
        forgotten = site.statistics.forget_silent_hosts()
        known = site.statistics.get("a")
        seen.append((stale, forgotten, known and site.statistics.is_fresh(known)))
    assert seen == [
        ([], [], True),
        (["a"], [], False),
        (["a"], [], False),
        (["a"], ["a"], None),
    ]


@pytest.mark.parametrize("offset_s", [-16.0, 2.5])
def test_a_clock_for_which_reports_are_refused_is_remembered_until_it_is_right(
    site: Site, offset_s: float
) -> None:
    site.accept(report("b"))
    site.refuse(replace(report("a"), sampled_at_s=START_S + offset_s))
    assert site.statistics.refused_clocks == {"a": offset_s}
    site.accept(replace(report("a"), sampled_at_s=START_S - 0.5))
    assert site.statistics.refused_clocks == {}
    offsets = {name: each.clock_offset_s for name, each in site.statistics.records().items()}
    assert offsets == {"a": -0.5, "b": 0.0}


def test_clocks_of_hosts_without_end_are_not_remembered(site: Site) -> None:
    for number in range(1100):
        site.refuse(replace(report(f"h{number}"), sampled_at_s=START_S + 99))
    assert len(site.statistics.refused_clocks) == 1000
    assert "h1099" in site.statistics.refused_clocks


def test_age_goes_by_the_engines_own_clock(site: Site) -> None:
    site.accept(report("a", sampled_at_s=START_S - 10))
    site.unix.now_s += 10_000
    site.now.now_s += 4
    record = site.statistics.records()["a"]
    assert (site.statistics.age_s(record), site.statistics.is_fresh(record)) == (4, True)


def test_each_host_is_forgotten_by_its_own_silence_and_may_come_back(site: Site) -> None:
    site.accept(report("a", sequence=9), report("b"))
    site.now.now_s += 30
    site.accept(report("b", sequence=2))
    site.now.now_s += 31
    assert site.statistics.forget_silent_hosts() == ["a"]
    assert list(site.statistics.records()) == ["b"]
    assert site.statistics.forget_silent_hosts() == []
    # One that speaks again and again hides no silent one behind it.
    site.accept(report("c"))
    site.now.now_s += 29
    site.accept(report("b", sequence=3))
    site.now.now_s += 32
    assert site.statistics.forget_silent_hosts() == ["c"]
    # Nothing of it is left that could refuse it.
    site.accept(report("a", sequence=9))
    assert list(site.statistics.records()) == ["a", "b"]
    assert site.statistics.refusals == {}


def test_hosts_with_squeezed_tasks_are_known_until_they_are_released_or_forgotten(
    site: Site,
) -> None:
    half = {"squeezed": {CONTAINER: Fraction(1, 2)}}
    site.accept(report("a", **half), report("b", **half), report("c"))
    assert site.statistics.squeezed == {"a", "b"}
    site.accept(report("a", sequence=2))
    assert site.statistics.squeezed == {"b"}
    site.now.now_s += 61
    site.statistics.forget_silent_hosts()
    assert site.statistics.squeezed == set()
