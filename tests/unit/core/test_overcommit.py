# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.overcommit import (
    BadLending,
    Foreseen,
    Lending,
    foresee,
    foresee_all,
    takes,
)
from hybrid_sched.core.rebalancing.history import TaskSignal
from hybrid_sched.core.resources import Resources

CPU = 0
LENDING = Lending(margin=0.1, deviations=2, largest_ratio=8)


def task(name="t", vcpu=4):
    return Task(name, HYPERVISOR, Resources(vcpu, 1024), name=name)


def signal(recent, usual, variance=0.0, count=12, at_s=1000.0):
    def vector(value):
        return (value, *[0.0] * (len(Resources._fields) - 1))

    return TaskSignal(
        at_s, count, vector(recent), vector(usual), vector(variance), vector(max(recent, usual))
    )


def test_a_task_counts_with_what_was_measured_of_it():
    known = foresee(task(), signal(0.5, 1.0, 0.25), CPU, LENDING, 1000.0)
    assert known == Foreseen(declared=4.0, recent=0.5, usual=1.0, variance=0.25)
    assert known.peak(2) == 2.0


@pytest.mark.parametrize(
    "measured",
    [None, signal(0.5, 0.5, count=11), signal(0.5, 0.5, at_s=1000.0 - LENDING.stale_after_s - 1)],
    ids=["nothing", "too little", "nothing fresh"],
)
def test_a_task_that_is_not_known_counts_with_what_it_declared(measured):
    assert foresee(task(), measured, CPU, LENDING, 1000.0) == Foreseen(4.0, 4.0, 4.0)


def test_a_host_is_ready_for_less_than_the_sum_of_its_tasks_peaks():
    signals = {"a": signal(1.0, 0.5, 0.25), "b": signal(0.5, 1.0, 0.25)}
    together = foresee_all([task("a"), task("b")], signals, CPU, LENDING, 1000.0)
    alone = [
        foresee(task(name), each, CPU, LENDING, 1000.0).peak(2) for name, each in signals.items()
    ]
    assert together.peak(2) == pytest.approx(1.5 + 2 * 0.5**0.5)
    assert together.peak(2) < sum(alone)


def on_offer(capacity: float, there: Foreseen, lending: Lending) -> float:
    """Work out how much may be declared in all: what is, and what remains after the peak and the margin."""
    idle = (1 - lending.margin) * capacity - there.peak(lending.deviations)
    lent = min(there.declared + idle, lending.largest_ratio * capacity)
    return max(capacity, lent)


def unknown(declared: float) -> Foreseen:
    return Foreseen(declared, declared, declared)


def test_idle_capacity_is_lent_up_to_the_margin_and_the_largest_ratio():
    there = Foreseen(declared=10.0, recent=2.0, usual=1.0, variance=0.25)
    # 9 of 10 may be used at the peak of 3, so that 6 more may be declared.
    assert takes(10.0, there, unknown(6.0), LENDING)
    assert not takes(10.0, there, unknown(6.01), LENDING)
    full = Foreseen(declared=79.0, recent=2.0)
    assert takes(10.0, full, unknown(1.0), LENDING)
    assert not takes(10.0, full, unknown(1.01), LENDING)


def test_nothing_is_refused_that_fits_without_overcommit():
    busy = Foreseen(declared=8.0, recent=8.0, usual=8.0)
    assert takes(10.0, busy, unknown(2.0), LENDING)
    assert not takes(10.0, busy, unknown(2.01), LENDING)
    assert not takes(10.0, busy, unknown(3.0), LENDING)


def test_a_known_task_asks_for_what_it_uses_and_an_unknown_one_for_what_it_declared():
    there = Foreseen(declared=12.0, recent=7.0, usual=7.0)
    assert takes(10.0, there, Foreseen(4.0, 1.0, 1.0), LENDING)
    assert not takes(10.0, there, Foreseen(4.0, 4.0, 4.0), LENDING)
    assert not takes(1.0, Foreseen(declared=7.0), Foreseen(2.0), LENDING)


amounts = st.integers(0, 60).map(lambda number: number / 4)


@given(amounts, amounts, amounts, amounts, st.integers(1, 40), st.integers(1, 40))
def test_what_is_on_offer_is_what_an_unknown_task_is_taken_for(
    declared, recent, usual, variance, demand, capacity
):
    there = Foreseen(declared, min(declared, recent), min(declared, usual), variance)
    room = on_offer(capacity, there, LENDING) - declared
    if abs(room - demand) > 1e-6:
        assert takes(capacity, there, unknown(float(demand)), LENDING) == (demand <= room)


@given(amounts, amounts, amounts, amounts, st.floats(0, 0.5), st.floats(0, 0.4))
def test_a_larger_margin_never_lends_more(declared, used, variance, demand, margin, more):
    there = Foreseen(declared, used, used, variance)
    if declared + demand <= 10.0 or takes(
        10.0, there, unknown(demand), Lending(margin=margin + more)
    ):
        assert takes(10.0, there, unknown(demand), Lending(margin=margin))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"margin": 1.0}, "margin: 1.0 must be at least 0 and below 1"),
        ({"margin": float("nan")}, "margin: nan"),
        ({"deviations": -1}, "deviations: -1 must be at least 0"),
        ({"largest_ratio": 0.5}, "largest_ratio: 0.5 must be at least 1"),
        ({"least_measurements": 0}, "least_measurements: 0"),
        ({"stale_after_s": 0}, "stale_after_s: 0 must be above 0"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting, said):
    with pytest.raises(BadLending, match=said):
        Lending(**setting)
