# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hybrid_sched.agent import rates
from hybrid_sched.agent.clock import Instant
from hybrid_sched.agent.rates import SHORTEST_WINDOW_S, Counters, Look, Rates
from hybrid_sched.core.measures import (
    CPU_CORES,
    DISK_READ_BPS,
    NET_IN_BPS,
    RATE_OF_COUNTER,
    RATES_OVER_S,
)

numbers = st.floats() | st.floats(0, 1e15)
counters = st.builds(
    Counters,
    st.dictionaries(st.sampled_from([*RATE_OF_COUNTER, "no_counter"]), numbers),
    st.sampled_from(["", "a", "b"]),
)
instants = st.builds(Instant, st.sampled_from(["k", "l"]), st.floats(0, 1e9))
looks = st.builds(Look, instants, counters, st.dictionaries(st.sampled_from(["s", "t"]), counters))


def look(at_s: float, kernel: str = "k", life: str = "", **values: float) -> Look:
    return Look(Instant(kernel, at_s), Counters(values), {"t": Counters(values, life)})


def test_a_rate_is_the_growth_over_the_time_between_the_looks() -> None:
    told = rates.between(look(10, cpu_s=5, net_in_bytes=100), look(14, cpu_s=7, net_in_bytes=500))
    assert told.host == {CPU_CORES: 0.5, NET_IN_BPS: 100}
    assert told.tasks == {"t": {**told.host, RATES_OVER_S: 4}}


def test_a_long_window_gives_the_mean_over_all_of_it() -> None:
    assert rates.between(look(0, cpu_s=0), look(36_000, cpu_s=18_000)).host == {CPU_CORES: 0.5}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, look(10, cpu_s=7)),
        (look(10, cpu_s=5), look(20, kernel="l", cpu_s=7)),
        (look(10, cpu_s=5), look(10, cpu_s=7)),
        (look(10, cpu_s=5), look(10 + SHORTEST_WINDOW_S / 2, cpu_s=7)),
        (look(10, cpu_s=5), look(9, cpu_s=7)),
        (look(10, cpu_s=7), look(20, cpu_s=5)),
        (look(10), look(20, cpu_s=5)),
        (look(10, no_counter=1), look(20, no_counter=5)),
    ],
    ids=["first", "reboot", "no time", "too short", "back", "fell", "new counter", "unknown"],
)
def test_there_is_no_rate_where_it_would_be_a_guess(before: Look | None, after: Look) -> None:
    assert rates.between(before, after) == Rates()


def test_a_task_that_began_a_new_life_has_no_rate_but_the_host_has() -> None:
    told = rates.between(look(10, life="1", cpu_s=5), look(20, life="2", cpu_s=7))
    assert told == Rates({CPU_CORES: 0.2}, {})


def test_a_counter_that_fell_takes_no_other_with_it() -> None:
    told = rates.between(
        look(10, cpu_s=5, disk_read_bytes=100), look(20, cpu_s=7, disk_read_bytes=0)
    )
    assert told.host == {CPU_CORES: 0.2}
    assert DISK_READ_BPS not in told.tasks["t"]


@given(st.none() | looks, looks)
def test_whatever_comes_gives_finite_rates_of_0_or_more_of_known_names(
    before: Look | None, after: Look
) -> None:
    told = rates.between(before, after)
    for figures in (told.host, *told.tasks.values()):
        assert all(math.isfinite(rate) and rate >= 0 for rate in figures.values())
        assert set(figures) <= {*RATE_OF_COUNTER.values(), RATES_OVER_S}


@given(
    st.lists(st.tuples(st.floats(0.001, 20), st.floats(0, 1)), min_size=1, max_size=40),
    st.integers(1, 64),
)
def test_over_any_series_of_looks_no_rate_is_above_what_was_ever_used(
    steps: list[tuple[float, float]], cores: int
) -> None:
    """However short the steps are, the looks that are compared lie so far apart that no rate is a spike."""
    at_s = used_s = 0.0
    known: Look | None = None
    told_s = 0.0
    for seconds, busy in [(1.0, 0.0), *steps]:
        at_s += seconds
        used_s += seconds * busy * cores
        now = look(at_s, cpu_s=used_s)
        told = rates.between(known, now).host
        if told:
            assert told[CPU_CORES] <= cores * (1 + 1e-6)
            told_s += told[CPU_CORES] * (now.at.boottime_s - known.at.boottime_s)
        known = rates.base(known, now)
    # What was told adds up to what was used, but for the end that was too short to tell.
    assert told_s == pytest.approx(used_s, abs=SHORTEST_WINDOW_S * cores + 1e-6)


@given(looks, looks)
def test_the_base_moves_on_unless_too_little_time_has_passed(before: Look, after: Look) -> None:
    elapsed_s = after.at.seconds_since(before.at)
    assume(elapsed_s is None or elapsed_s < 0 or elapsed_s >= SHORTEST_WINDOW_S)
    assert rates.base(before, after) is after
    assert rates.base(None, after) is after
