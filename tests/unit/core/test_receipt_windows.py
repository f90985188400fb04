# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core import measures
from hybrid_sched.core.receipt_windows import BUCKETS, FIGURES, ReceiptWindows, Usage
from hybrid_sched.core.resources import Resources

WINDOW_S = 120.0
BUCKET_S = WINDOW_S / BUCKETS
#: A moment at which a bucket begins.
BEGIN_S = 1_700_000_000.0
NOTHING = Resources()


class Windows:
    """Windows that are filled by name."""

    def __init__(self) -> None:
        self.windows = ReceiptWindows(WINDOW_S)

    def add(
        self,
        at_s: float,
        over_s: float = 1.0,
        uuid: str = "t",
        promised: Resources = NOTHING,
        **figures: float,
    ) -> None:
        row = self.windows.row(uuid, promised)
        values = [figures.get(name, math.nan) for name in FIGURES]
        self.windows.add(np.array([row]), BEGIN_S + at_s, np.array([values]), np.array([over_s]))

    def usage(self, now_s: float, uuid: str = "t") -> Usage:
        usage = self.windows.usage(uuid, BEGIN_S + now_s)
        assert usage is not None
        return usage


def test_a_sample_counts_for_its_time() -> None:
    made = Windows()
    made.add(5, 5, cpu_cores=2.0, net_in_bps=100.0)
    made.add(7, 2, cpu_cores=1.0)
    usage = made.usage(7)
    assert usage.integral == {"cpu_cores": 12.0, "net_in_bps": 500.0}
    assert usage.covered_s == {"cpu_cores": 7.0, "net_in_bps": 5.0}
    assert usage.most == {"cpu_cores": 2.0, "net_in_bps": 100.0}
    assert (usage.begun_s, usage.last_s, usage.samples) == (BEGIN_S, BEGIN_S + 7, 2)


def test_what_lies_between_samples_is_a_gap_and_not_filled() -> None:
    made = Windows()
    made.add(5, 5, cpu_cores=2.0)
    made.add(40, 5, cpu_cores=2.0)
    usage = made.usage(40)
    assert usage.covered_s == {"cpu_cores": 10.0}
    assert usage.last_s - usage.begun_s == 40


@pytest.mark.parametrize("at_s", [5, 4.5, 0])
def test_a_sample_that_is_not_after_the_last_one_changes_nothing(at_s: float) -> None:
    made = Windows()
    made.add(5, 5, cpu_cores=2.0)
    before = made.usage(5)
    made.add(at_s, 1, cpu_cores=64.0)
    assert made.usage(5) == before


def test_no_time_counts_twice() -> None:
    made = Windows()
    made.add(5, 5, cpu_cores=1.0)
    made.add(6, 5, cpu_cores=3.0)
    assert made.usage(6).integral == {"cpu_cores": 8.0}


@pytest.mark.parametrize("over_s", [math.nan, 0.0])
def test_a_sample_of_unknown_length_does_not_count(over_s: float) -> None:
    made = Windows()
    made.add(5, over_s, cpu_cores=1.0)
    assert made.windows.usage("t", BEGIN_S + 5) is None


def test_what_leaves_the_window_leaves_sums_and_maxima() -> None:
    made = Windows()
    made.add(1, 1, cpu_cores=4.0)
    made.add(30, 1, cpu_cores=1.0)
    assert made.usage(WINDOW_S + BUCKET_S - 0.1).most == {"cpu_cores": 4.0}
    later = made.usage(WINDOW_S + BUCKET_S)
    assert (later.most, later.integral) == ({"cpu_cores": 1.0}, {"cpu_cores": 1.0})
    assert made.windows.usage("t", BEGIN_S + 10 * WINDOW_S) is None
    # The bucket is used anew.
    made.add(10 * WINDOW_S, 1, cpu_cores=0.5)
    assert made.usage(10 * WINDOW_S).most == {"cpu_cores": 0.5}


def test_a_sample_from_before_the_window_counts_as_far_as_it_lies_in_it() -> None:
    made = Windows()
    made.add(1000 * WINDOW_S, 500 * WINDOW_S, cpu_cores=2.0)
    usage = made.usage(1000 * WINDOW_S)
    assert usage.covered_s["cpu_cores"] == pytest.approx(WINDOW_S)
    assert usage.begun_s == BEGIN_S + 999 * WINDOW_S


def test_with_another_promise_the_window_begins_anew() -> None:
    made = Windows()
    made.add(5, 5, promised=Resources(vcpu=1), cpu_cores=2.0)
    made.add(7, 2, promised=Resources(vcpu=2), cpu_cores=1.0)
    usage = made.usage(7)
    assert usage.integral == {"cpu_cores": 2.0}
    assert usage.begun_s == BEGIN_S + 5


def test_a_row_that_is_given_to_another_task_tells_nothing_of_the_first() -> None:
    made = Windows()
    for number in range(200):
        made.add(5, 5, uuid=str(number), cpu_cores=2.0)
    made.windows.forget(str(number) for number in range(200))
    assert len(made.windows) == 0
    made.add(6, 1, uuid="other", cpu_cores=1.0)
    assert made.usage(6, "other").integral == {"cpu_cores": 1.0}
    assert "0" not in made.windows
    assert made.windows.usage("0", BEGIN_S + 6) is None


@pytest.mark.parametrize(
    ("figures", "starved_s", "held_s"),
    [
        # It waited for more than it had, and had less than promised.
        ({"cpu_cores": 0.5, "cpu_wait_cores": 1.0, "cpu_throttled_cores": 0.0}, 10, 0),
        ({"cpu_cores": 0.5, "cpu_wait_cores": 1.0}, 10, 0),
        # It had what was promised, and more processes than CPUs.
        ({"cpu_cores": 2.0, "cpu_wait_cores": 6.0, "cpu_throttled_cores": 0.0}, 0, 0),
        # It wanted no more.
        ({"cpu_cores": 0.5, "cpu_wait_cores": 0.01, "cpu_throttled_cores": 0.0}, 0, 0),
        # Its own limit is what it waited for.
        ({"cpu_cores": 0.5, "cpu_wait_cores": 1.0, "cpu_throttled_cores": 0.5}, 0, 10),
        # Whether it waited is not known.
        ({"cpu_cores": 0.5, "cpu_throttled_cores": 0.0}, 0, 0),
        ({"cpu_wait_cores": 5.0}, 0, 0),
    ],
)
def test_a_task_is_starved_when_it_waits_with_less_than_promised(
    figures: dict[str, float], starved_s: float, held_s: float
) -> None:
    made = Windows()
    made.add(10, 10, promised=Resources(vcpu=2), **figures)
    usage = made.usage(10)
    assert (usage.starved_s, usage.held_s) == (starved_s, held_s)
    assert usage.short_core_s == starved_s * min(1.5, 1.0)
    assert made.windows.broken(BEGIN_S + 10) == ({"t"} if starved_s else set())


def test_what_is_missing_is_no_more_than_what_it_waited_for_and_what_was_promised() -> None:
    made = Windows()
    made.add(10, 10, promised=Resources(vcpu=2), cpu_cores=1.5, cpu_wait_cores=8.0)
    assert made.usage(10).short_core_s == pytest.approx(5)


@pytest.mark.parametrize(
    ("figure", "promised", "used", "exceeded"),
    [
        (measures.MEMORY_USED_MB, Resources(memory_mb=100), 100.0, False),
        (measures.MEMORY_USED_MB, Resources(memory_mb=100), 100.5, True),
        (measures.MEMORY_USED_MB, Resources(), 1e9, False),
        (measures.DISK_READ_BPS, Resources(disk_read_bps=1000), 1100.0, False),
        (measures.DISK_READ_BPS, Resources(disk_read_bps=1000), 1101.0, True),
        (measures.DISK_WRITE_BPS, Resources(disk_write_bps=1000), 1101.0, True),
        (measures.NET_IN_BPS, Resources(net_in_bps=1000), 1101.0, True),
        (measures.NET_OUT_BPS, Resources(net_out_bps=1000), 1101.0, True),
        (measures.NET_OUT_BPS, Resources(net_in_bps=1000), 1e9, False),
    ],
)
def test_a_limit_is_exceeded_by_memory_at_once_and_by_rates_above_a_tenth(
    figure: str, promised: Resources, used: float, *, exceeded: bool
) -> None:
    made = Windows()
    made.add(10, 10, promised=promised, **{figure: used})
    assert made.usage(10).exceeded_s == ({figure: 10.0} if exceeded else {})
    assert made.windows.broken(BEGIN_S + 10) == ({"t"} if exceeded else set())


# Lengths that Unix time has exactly.
_lengths = st.integers(1, 200 * 64).map(lambda number: number / 64)
_samples = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        _lengths,
        _lengths,
        st.dictionaries(st.sampled_from(FIGURES), st.floats(0, 1e9), max_size=3),
    ),
    max_size=40,
)


@given(_samples)
def test_sums_maxima_and_time_are_those_of_the_samples_inside_the_window(
    samples: list[tuple[str, float, float, dict[str, float]]],
) -> None:
    made = Windows()
    at_s = 0.0
    taken: dict[str, list[tuple[float, float, dict[str, float]]]] = defaultdict(list)
    last_s: dict[str, float] = {}
    for uuid, after_s, over_s, figures in samples:
        at_s += after_s
        made.add(at_s, over_s, uuid, **figures)
        begins_s = max(at_s - over_s, last_s.get(uuid, -math.inf))
        taken[uuid].append((begins_s, at_s, figures))
        last_s[uuid] = at_s
    window_begins_s = made.windows.begins_s(BEGIN_S + at_s) - BEGIN_S
    assert at_s - WINDOW_S - BUCKET_S < window_begins_s <= at_s - WINDOW_S
    for uuid, of_task in taken.items():
        integral: dict[str, float] = defaultdict(float)
        covered_s: dict[str, float] = defaultdict(float)
        most: dict[str, float] = {}
        for begins_s, ends_s, figures in of_task:
            inside_s = ends_s - max(begins_s, window_begins_s)
            for name, value in figures.items():
                if inside_s > 0:
                    integral[name] += inside_s * value
                    covered_s[name] += inside_s
                    most[name] = max(most.get(name, 0.0), value)
        usage = made.windows.usage(uuid, BEGIN_S + at_s)
        if usage is None:
            assert sum(covered_s.values()) == 0
            continue
        # Sums are kept with seven digits.
        assert usage.covered_s == pytest.approx(covered_s, rel=1e-5)
        assert usage.integral == pytest.approx(integral, rel=1e-5)
        assert usage.most == pytest.approx(most, rel=1e-6)
        assert all(seconds <= WINDOW_S + BUCKET_S + 1e-3 for seconds in usage.covered_s.values())


@given(
    st.lists(st.floats(0, 300), min_size=1, max_size=30),
    st.lists(st.floats(0, 10), min_size=30, max_size=30),
)
def test_whatever_order_samples_come_in_covered_time_is_never_more_than_passed(
    moments_s: list[float], cores: list[float]
) -> None:
    made = Windows()
    for at_s, used in zip(moments_s, cores, strict=False):
        made.add(at_s, 10, cpu_cores=used)
    now_s = max(moments_s)
    usage = made.usage(now_s)
    assert usage.covered_s["cpu_cores"] <= usage.last_s - usage.begun_s + 1e-3
    assert usage.last_s == BEGIN_S + now_s
    mean = usage.integral["cpu_cores"] / usage.covered_s["cpu_cores"]
    assert mean <= usage.most["cpu_cores"] + 1e-4
