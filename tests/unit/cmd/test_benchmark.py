# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from hybrid_sched.cmd.manage import benchmark
from hybrid_sched.cmd.manage.benchmark import PARTS, Result

REFERENCE = {part.name: part.reference for part in PARTS}


def scaled(factor: float) -> dict[str, float]:
    return {name: rate * factor for name, rate in REFERENCE.items()}


def test_the_parts_weigh_one_together():
    assert math.isclose(sum(part.weight for part in PARTS), 1)


@pytest.mark.parametrize(("factor", "score"), [(1, 1), (0.5, 0.5), (3, 1), (1e-9, 0.01)])
def test_the_score_is_the_rate_over_the_reference_and_in_range(factor, score):
    result = Result.of([scaled(factor)] * 3)
    assert math.isclose(result.score, score)
    assert result.spread == 0


def test_a_part_moves_the_score_by_its_weight():
    for part in PARTS:
        rates = {**REFERENCE, part.name: part.reference / 2}
        assert math.isclose(Result.of([rates]).score, 0.5**part.weight)


def test_a_disturbed_round_does_not_move_the_score():
    result = Result.of([scaled(0.5), scaled(0.1), scaled(0.6)])
    assert math.isclose(result.score, 0.5)
    assert math.isclose(result.spread, 1)
    assert result.rounds == 3


@pytest.mark.parametrize(("seconds", "rounds"), [(0.01, 3), (3, 10), (30, 100)])
def test_a_longer_measurement_has_more_rounds(seconds, rounds):
    assert benchmark.count_rounds(seconds) == rounds


def test_work_is_done_and_counted():
    rounds = list(benchmark.run(2))
    assert len(rounds) == 2
    for rates in rounds:
        assert rates.keys() == REFERENCE.keys()
        # Between a slow small board and a machine of another decade.
        assert all(0.01 < rates[name] / REFERENCE[name] < 100 for name in rates)


def test_a_rate_is_work_over_processor_time(monkeypatch):
    clock_s = iter([0.0, 0.06, 0.12])
    monkeypatch.setattr(benchmark.time, "thread_time", lambda: next(clock_s))
    pieces = []
    assert math.isclose(benchmark._rate(lambda: pieces.append(1), 3.0), 2 * 3.0 / 0.12)
    assert pieces == [1, 1]
