# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
from watched import Guest, watch

from hybrid_sched.core.rebalance import decide
from hybrid_sched.core.rebalancing.moves import Effect, Move, MoveState
from hybrid_sched.core.rebalancing.outcome import measured_effect, shortfall
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.rebalancing.relieve import Relieve

BEFORE = {"a": (Guest("big", 4), Guest("mid", 3), Guest("small", 2)), "b": (Guest("b1", 1),)}


def moved() -> MoveRecord:
    """The move of ``big`` from a to b, done before the clusters that are looked at."""
    (decision,) = decide(Relieve(), watch(BEFORE)).decisions
    made = MoveRecord("m", "p", decision, "e", state=MoveState.DONE, planned_at_s=9e8)
    return replace(made, started_at_s=9e8, ended_at_s=9e8 + 60)


def after(big: float = 4.0, mid: float = 3.0, *others: Move, **more: object):
    hosts = {
        "a": (Guest("mid", mid), Guest("small", 2)),
        "b": (Guest("b1", 1), Guest("big", big)),
    }
    return watch(hosts, moves=(moved().as_move(), *others), **more)


def test_what_is_predicted_and_comes_true_is_measured() -> None:
    move = moved()
    measured = measured_effect(move, after())
    assert measured == move.decision.effect
    assert shortfall(move.decision.effect, measured) == 0


@pytest.mark.parametrize(
    ("big", "mid", "short"), [(6.0, 3.0, 0.2), (4.0, 6.0, 0.3), (1.0, 1.0, 0.0)]
)
def test_a_host_that_is_fuller_than_predicted_is_a_shortfall(big, mid, short) -> None:
    move = moved()
    measured = measured_effect(move, after(big, mid))
    assert measured is not None
    assert shortfall(move.decision.effect, measured) == pytest.approx(short)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (("x", "b", "c", MoveState.RUNNING, 1.0), False),
        (("x", "c", "a", MoveState.DONE, 9e8 + 90), False),
        (("x", "c", "a", MoveState.DONE, 8e8), True),
        (("x", "c", "d", MoveState.RUNNING, 9e8 + 90), True),
    ],
)
def test_what_another_move_has_changed_cannot_be_told(other, told) -> None:
    move = moved()
    made = Move(*other, move.decision.demand, move.decision.use)
    assert (measured_effect(move, after(4.0, 3.0, made)) is not None) is told


def test_hosts_without_a_fresh_report_tell_nothing() -> None:
    assert measured_effect(moved(), after(stale=("b",))) is None


def test_the_shortfall_is_the_larger_of_both_hosts() -> None:
    predicted, measured = Effect("vcpu", 1, 0.5, 0, 0.5), Effect("vcpu", 1, 0.6, 0, 0.9)
    assert shortfall(predicted, measured) == pytest.approx(0.4)
