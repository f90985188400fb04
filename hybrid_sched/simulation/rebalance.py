# SPDX-License-Identifier: Apache-2.0
"""Ways to rebalance a cluster, compared on the same series: overload, moves, and whether the imbalance score fell."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hybrid_sched.core.rebalance import decide
from hybrid_sched.core.rebalancing.base import Strategy
from hybrid_sched.core.rebalancing.history import History
from hybrid_sched.core.rebalancing.moves import Move, MoveState
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.readings import NO_USE, HostReading, Use
from hybrid_sched.core.rebalancing.score import Imbalance
from hybrid_sched.core.rebalancing.situation import Situation
from hybrid_sched.simulation.rebalance_world import MEMORY_PART, Floats, World
from hybrid_sched.simulation.threshold_mmt import (
    ThresholdMmt,
    by_median_deviation,
    by_quartiles,
    fixed,
)

_DAY_S = 86400
#: A move is judged afterwards by the mean use over that time.
_JUDGED_OVER_S = 3600


class Mover(Protocol):
    """Something that says after each period which guests are to go to which hosts, as indices."""

    def moves(self, world: World, period: int) -> list[tuple[int, int]]:
        """Decide."""

    def expected(self, world: World, period: int) -> Floats:
        """Give the cores that it took each guest to use."""


class Nothing:
    """Move nothing."""

    def moves(self, world: World, period: int) -> list[tuple[int, int]]:
        """Decide on nothing."""
        return []

    def expected(self, world: World, period: int) -> Floats:
        """Give what was used last."""
        return world.given(period)


class Watchdog:
    """The watchdog with one of its strategies.

    :param strategy: a plug-in.
    :param parameters: of the watchdog.
    :param history: what it remembers from before; None for nothing.
    """

    def __init__(
        self, strategy: Strategy, parameters: Parameters, history: History | None = None
    ) -> None:
        self._strategy, self._parameters = strategy, parameters
        self._history = history or History()
        self._ledger: list[Move] = []

    @property
    def history(self) -> History:
        """Give what it remembers."""
        return self._history

    def observe(self, world: World, period: int) -> list[HostReading]:
        """Take in what agents report at the end of a period, and give it."""
        now_s = (period + 1) * world.shapes.period_s
        readings = world.readings(period)
        self._history = self._history.observe(readings, self._parameters, now_s)
        return readings

    def moves(self, world: World, period: int) -> list[tuple[int, int]]:
        """Decide; what is decided is done by the next period."""
        now_s = (period + 1) * world.shapes.period_s
        readings = self.observe(world, period)
        longest_s = max(self._parameters.task_cooldown_s, self._parameters.host_cooldown_s)
        self._ledger = [move for move in self._ledger if now_s - move.at_s < longest_s]
        situation = Situation(
            world.snapshot(),
            {reading.host: reading for reading in readings},
            self._history,
            now_s,
            self._parameters,
            tuple(self._ledger),
        )
        decisions = decide(self._strategy, situation).decisions
        self._ledger += [each.as_move(MoveState.DONE, now_s) for each in decisions]
        return [
            (world.index_of_task[each.task], world.index_of_host[each.target]) for each in decisions
        ]

    def expected(self, world: World, period: int) -> Floats:
        """Give the larger of recent and usual use."""
        signals = self._history.tasks
        return np.array([signals[task.uuid].expected[0] for task in world.tasks])


#: The literature's strategies by name; those with ``+off`` empty hosts of little use as well.
LITERATURE: dict[str, Callable[[], Mover]] = {
    "thr-mmt": lambda: ThresholdMmt(fixed),
    "mad-mmt": lambda: ThresholdMmt(by_median_deviation),
    "iqr-mmt": lambda: ThresholdMmt(by_quartiles),
    "thr-mmt+off": lambda: ThresholdMmt(fixed, consolidate=True),
    "mad-mmt+off": lambda: ThresholdMmt(by_median_deviation, consolidate=True),
    "iqr-mmt+off": lambda: ThresholdMmt(by_quartiles, consolidate=True),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one way.

    :param strategy: its name.
    :param overload_host_minutes: in which a host was asked for more than its limit of CPU.
    :param saturated_host_minutes: in which it was asked for more than it has.
    :param overload_reduced: part by which the first is less than when nothing is moved.
    :param moves: in all.
    :param moves_per_guest_day: of each guest in a day, mean.
    :param most_moves_in_cooldown: of one guest within any ``task_cooldown_s``.
    :param score_fell_when_decided: part of the moves by which the imbalance score fell, with what each guest was taken to use.
    :param score_fell_afterwards: the same with what they did use in the hour after.
    :param hosts_used: mean number of hosts with a guest.
    :param copied_gib: memory copied.
    :param seconds: that the run took.
    """

    strategy: str
    overload_host_minutes: float
    saturated_host_minutes: float
    overload_reduced: float | None
    moves: int
    moves_per_guest_day: float
    most_moves_in_cooldown: int
    score_fell_when_decided: float | None
    score_fell_afterwards: float | None
    hosts_used: float
    copied_gib: float
    seconds: float


def run(
    name: str,
    mover: Mover,
    world: World,
    parameters: Parameters,
    progress: Callable[[], None] = lambda: None,
) -> Outcome:
    """Let one way rebalance a world through all its periods.

    :param mover: the way.
    :param world: as the schedulers placed its guests; it is changed.
    :param parameters: limits and cooldown by which it is judged.
    :param progress: called after each period.
    """
    began_s = time.process_time()
    period_s = world.shapes.period_s
    over = saturated = 0
    fell_then = fell_after = 0
    used = 0
    moved: list[tuple[int, int]] = []
    for period in range(world.periods):
        load = world.load_of_hosts(period)
        over += int((load > parameters.limits[0]).sum())
        saturated += int((load > 1).sum())
        used += len(set(world.host_of.tolist()))
        moves = mover.moves(world, period) if period + 1 < world.periods else []
        if moves:
            later = slice(period + 1, period + 1 + max(1, round(_JUDGED_OVER_S / period_s)))
            fell_then += _falls(world, moves, mover.expected(world, period), parameters)
            fell_after += _falls(world, moves, world.wanted[:, later].mean(axis=1), parameters)
        for task, host in moves:
            world.move(task, host)
            moved.append((task, period))
        progress()
    days = world.periods * period_s / _DAY_S
    count = len(moved)
    return Outcome(
        strategy=name,
        overload_host_minutes=over * period_s / 60,
        saturated_host_minutes=saturated * period_s / 60,
        overload_reduced=None,
        moves=count,
        moves_per_guest_day=count / len(world.tasks) / days,
        most_moves_in_cooldown=most_in_window(moved, parameters.task_cooldown_s / period_s),
        score_fell_when_decided=fell_then / count if count else None,
        score_fell_afterwards=fell_after / count if count else None,
        hosts_used=used / world.periods,
        copied_gib=float(sum(world.task_memory_mb[task] for task, _ in moved)) / 1024,
        seconds=time.process_time() - began_s,
    )


def most_in_window(moved: Iterable[tuple[int, int]], window: float) -> int:
    """Count the most moves of one task within a window.

    :param moved: task and period of each move, in the order of the periods.
    :param window: length in periods; a move at its very end is not in it.
    """
    periods_of: dict[int, list[int]] = {}
    most = 0
    for task, period in moved:
        periods = periods_of.setdefault(task, [])
        periods.append(period)
        most = max(most, sum(period - each < window for each in periods))
    return most


def _falls(
    world: World, moves: Sequence[tuple[int, int]], cores: Floats, parameters: Parameters
) -> int:
    """Count the moves by which the score falls, one after the other, when guests use so many cores."""
    usable = {
        name: _use(float(world.cores[index]), float(world.memory_mb[index]))
        for index, name in enumerate(world.host_names)
    }
    held = world.sums(world.task_memory_mb * MEMORY_PART).tolist()
    uses = {
        name: _use(used, held[index])
        for index, (name, used) in enumerate(
            zip(world.host_names, world.sums(cores).tolist(), strict=True)
        )
    }
    imbalance = Imbalance(usable, uses, parameters)
    host_of = world.host_of.copy()
    falls = 0
    for task, index in moves:
        source, target = world.host_names[host_of[task]], world.host_names[index]
        use = _use(float(cores[task]), float(world.task_memory_mb[task]) * MEMORY_PART)
        before = imbalance.of_host(source, uses[source]) + imbalance.of_host(target, uses[target])
        uses[source] = tuple(map(operator.sub, uses[source], use))
        uses[target] = tuple(map(operator.add, uses[target], use))
        after = imbalance.of_host(source, uses[source]) + imbalance.of_host(target, uses[target])
        falls += after < before
        host_of[task] = index
    return falls


def _use(cores: float, memory_mb: float) -> Use:
    return (cores, memory_mb, *NO_USE[2:])
