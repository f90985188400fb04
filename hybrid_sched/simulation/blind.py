# SPDX-License-Identifier: Apache-2.0
"""How early all tasks can be done when no duration is known: a linear program. It needs OR-tools, of the extra ``optimum``.

A policy that does not know durations starts a task whatever its duration will be. So whatever the policy does, what it expects
to run at a time is what it expected to start before, times the chance to last until then (Moehring, Schulz and Uetz,
"Approximation in stochastic scheduling", JACM 1999). The program chooses the starts over time. It allows more than a policy can
do: tasks are divisible, all hosts are one, only memory is rationed, the distribution of durations is known, and what is never
more than all memory on average may be more in one draw. Time is a grid of ``STEP_MIN``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hybrid_sched.simulation.optimum import or_tools

STEP_MIN = 1.25
# Parts of a step in which a chance to last is averaged.
_PARTS = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """Tasks of one kind, all there at time 0.

    :param count: of them.
    :param size: memory of one, mean.
    :param least_min: no duration is shorter; all between are equally likely.
    :param most_min: none is longer.
    """

    count: int
    size: float
    least_min: float
    most_min: float


@dataclass(frozen=True, slots=True)
class Fairness:
    """How far shares may be apart.

    :param gap: mean difference of the two kinds' parts of all memory while both wait.
    :param both_min: how long both wait; that is when the last one of the second kind starts.
    """

    gap: float
    both_min: float


def least_running(
    kinds: Sequence[Kind], memory: float, end_min: float, fairness: Fairness | None = None
) -> float:
    """Give the least number of tasks that are expected to run at a time; infinite when not all can have been started by then.

    :param kinds: of tasks; two of them with ``fairness``.
    :param memory: of all hosts, in the unit of sizes.
    :param fairness: None for without.
    :raises NoSolver: without OR-tools.
    """
    solver = or_tools("ortools.linear_solver.pywraplp").Solver.CreateSolver("GLOP")
    steps = _steps(end_min) + 1
    runs: list[list[Any]] = []
    for place, kind in enumerate(kinds):
        last = _steps(fairness.both_min) if fairness and place == 1 else steps
        starts = [solver.NumVar(0, kind.count * kind.size, "") for _ in range(last)]
        solver.Add(solver.Sum(starts) == kind.count * kind.size)
        lasts = _chances_to_last(kind)
        runs.append(
            [
                solver.Sum(
                    [
                        starts[start] * lasts[step - start]
                        for start in range(max(0, step - len(lasts) + 1), min(last, step + 1))
                    ]
                )
                for step in range(steps)
            ]
        )
    for step in range(steps):
        solver.Add(solver.Sum([running[step] for running in runs]) <= memory)
    if fairness:
        gaps = []
        for step in range(_steps(fairness.both_min)):
            gap = solver.NumVar(0, memory, "")
            solver.Add(runs[0][step] - runs[1][step] <= gap)
            solver.Add(runs[1][step] - runs[0][step] <= gap)
            gaps.append(gap)
        solver.Add(solver.Sum(gaps) <= fairness.gap * memory * len(gaps))
    solver.Minimize(
        solver.Sum([running[-1] / kind.size for running, kind in zip(runs, kinds, strict=True)])
    )
    if solver.Solve() != solver.OPTIMAL:
        return math.inf
    return float(solver.Objective().Value())


def earliest_end_min(
    kinds: Sequence[Kind], memory: float, gap: float | None, both_min: Sequence[float] = ()
) -> float:
    """Give the first time of the grid at which all may be done in half of the draws: when ln 2 tasks are expected to run.

    The number that still run is taken to be spread as Poisson's, of which none is left with a chance of 1/2 at a mean of ln 2.

    :param gap: mean difference of shares while both kinds wait; None for without fairness.
    :param both_min: how long both may wait, to choose from; not empty with a gap.
    """
    choices = [None] if gap is None else [Fairness(gap, length) for length in both_min]
    work = sum(kind.count * kind.size * (kind.least_min + kind.most_min) / 2 for kind in kinds)
    # Nobody is done before the work is, nor later than twice that and the longest task: shares may halve the room.
    early = math.ceil(work / memory / STEP_MIN) - 1
    late = _steps(2 * work / memory + max(kind.most_min for kind in kinds)) + 1
    while late - early > 1:
        middle = (early + late) // 2
        if any(
            least_running(kinds, memory, middle * STEP_MIN, choice) <= math.log(2)
            for choice in choices
        ):
            late = middle
        else:
            early = middle
    return late * STEP_MIN


def _chances_to_last(kind: Kind) -> list[float]:
    """Give the chance to run still, mean of each step from the start on."""
    steps = math.ceil(kind.most_min / STEP_MIN)
    middles = [(part + 0.5) * STEP_MIN / _PARTS for part in range(steps * _PARTS)]
    spread = kind.most_min - kind.least_min
    chances = [
        min(1.0, max(0.0, (kind.most_min - at) / spread)) if spread else float(at < kind.most_min)
        for at in middles
    ]
    return [math.fsum(chances[i * _PARTS : (i + 1) * _PARTS]) / _PARTS for i in range(steps)]


def _steps(minutes: float) -> int:
    return round(minutes / STEP_MIN)
