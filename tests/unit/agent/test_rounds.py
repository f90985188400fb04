# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from typing import Any

import pytest
from agents import conf

from hybrid_sched.agent.rounds import GAP_OF_ROUNDS, GATHERED_S, LEAST_GAP_S, Round, Rounds

ALL = Round(report=True, sweep=True)
REPORT, EVENTS, SWEEP = Round(report=True), Round(events=True), Round(sweep=True)


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


def rounds(time: Time, **options: Any) -> Rounds:
    """Give rounds of which the first has been made."""
    made = Rounds(conf(period_s=10, isolation_period_s=60, **options), time)
    assert made.next() == ALL
    return made


def after(time: Time, made: Rounds, seconds: float) -> Round:
    """Give what is due after a time, and take it."""
    time.now_s += seconds
    due = made.due()
    return made.next() if due != Round() else due


def test_reports_and_sweeps_come_in_their_time(time: Time) -> None:
    made = rounds(time)
    told = [after(time, made, 5) for _ in range(12)]
    assert told == [Round(), REPORT] * 5 + [Round(), ALL]


def test_a_short_sweep_sends_no_more_reports(time: Time) -> None:
    made = Rounds(conf(period_s=10, isolation_period_s=2), time)
    made.next()
    assert [after(time, made, 2) for _ in range(5)] == [SWEEP] * 4 + [ALL]


def test_events_that_come_together_are_one_pass_soon_after_the_first(time: Time) -> None:
    made = rounds(time)
    time.now_s += LEAST_GAP_S
    made.happened()
    assert after(time, made, GATHERED_S / 2) == Round()
    made.happened()
    assert after(time, made, GATHERED_S / 2) == EVENTS
    assert after(time, made, LEAST_GAP_S) == Round()


def test_events_that_go_on_leave_a_gap_between_passes(time: Time) -> None:
    made = rounds(time)
    passes = 0
    for _ in range(128):
        made.happened()
        passes += after(time, made, LEAST_GAP_S / 16) == EVENTS
    assert passes == 128 / 16


def test_events_that_go_on_take_a_tenth_of_the_time_however_long_a_round_is(time: Time) -> None:
    made = rounds(time)
    made.over()
    began_s, spent_s = time.now_s, 0.0
    for _ in range(1000):
        made.happened()
        due = after(time, made, 0.125)
        if due.events or due.sweep:
            time.now_s += 0.5
        if due.events:
            spent_s += 0.5
        made.over()
    assert 0.05 < spent_s / (time.now_s - began_s) <= 0.1


def test_after_a_quick_round_events_wait_no_longer_for_the_long_one_before(time: Time) -> None:
    made = rounds(time)
    time.now_s += 3.0
    made.over()
    made.happened()
    assert after(time, made, 1.0).events is False
    assert after(time, made, GAP_OF_ROUNDS * 3.0 - 1.0).events is True
    made.over()
    made.happened()
    assert after(time, made, LEAST_GAP_S).events is True


def test_a_report_that_is_asked_for_comes_at_once_and_once(time: Time) -> None:
    made = rounds(time)
    made.report_now()
    assert after(time, made, 0) == REPORT
    assert after(time, made, 9) == Round()


@pytest.mark.parametrize(
    ("call", "due"),
    [(Rounds.report_now, REPORT), (Rounds.happened, EVENTS), (Rounds.stop, None)],
)
def test_who_waits_is_woken(call: Any, due: Round | None) -> None:
    made = Rounds(conf(period_s=600, isolation_period_s=600))
    made.next()
    got: list[Round | None] = []
    waiting = threading.Thread(target=lambda: got.append(made.next()))
    waiting.start()
    call(made)
    waiting.join(20)
    assert got == [due]
