# SPDX-License-Identifier: Apache-2.0
"""Strategies of the literature to compare with: a threshold on CPU use, and minimum migration time.

Beloglazov and Buyya, "Optimal online deterministic algorithms and adaptive heuristics for energy and performance efficient
dynamic consolidation of virtual machines in cloud data centers", Concurrency and Computation 24 (2012): a host is overloaded
when its use is above a threshold, which is fixed (THR) or follows from how much its use varied (MAD, IQR); then the guests that
are migrated soonest leave it until it is not; they are placed by best fit decreasing. Optionally hosts of little use are
emptied in the same period. There are no cooldowns, caps or scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hybrid_sched.simulation.rebalance_world import Floats, World

#: As published: the fixed threshold, and the safety parameters s of the adaptive ones.
_FIXED = 0.8
_SAFETY_MAD = 2.5
_SAFETY_IQR = 1.5

#: Without that many periods an adaptive threshold is the fixed one, as in the authors' own code.
_LEAST_PERIODS = 12
#: Periods by which an adaptive threshold goes.
_WINDOW = 30

Threshold = Callable[[Floats], float]


def fixed(_history: Floats) -> float:
    """Give the fixed threshold (THR)."""
    return _FIXED


def by_median_deviation(history: Floats) -> float:
    """Give 1 - s * MAD, the median absolute deviation."""
    if len(history) < _LEAST_PERIODS:
        return _FIXED
    return float(1 - _SAFETY_MAD * np.median(np.abs(history - np.median(history))))


def by_quartiles(history: Floats) -> float:
    """Give 1 - s * IQR, the distance between the quartiles."""
    if len(history) < _LEAST_PERIODS:
        return _FIXED
    low, high = np.percentile(history, (25, 75))
    return float(1 - _SAFETY_IQR * (high - low))


class ThresholdMmt:
    """One of these strategies on a world.

    :param threshold: of a host, from the parts of its cores that were used up to now.
    :param consolidate: whether hosts of little use are emptied too.
    """

    def __init__(self, threshold: Threshold, *, consolidate: bool = False) -> None:
        self._threshold = threshold
        self._consolidate = consolidate
        self._history: list[Floats] = []

    def moves(self, world: World, period: int) -> list[tuple[int, int]]:
        """Say which guests go to which hosts after a period, as indices."""
        given = world.given(period)
        used = world.sums(given)
        self._history = [*self._history[1 - _WINDOW :], used / world.cores]
        past = np.array(self._history)
        thresholds = np.array([self._threshold(past[:, host]) for host in range(len(used))])
        hosts = _Hosts(world, given, used, thresholds)
        over = used > thresholds * world.cores
        leaving: list[int] = []
        for host in np.flatnonzero(over):
            leaving += hosts.relieve(int(host))
        taking = ~over
        moves = hosts.place(leaving, taking)
        if self._consolidate:
            moves += hosts.empty_the_least_used(taking, {target for _, target in moves})
        return moves

    def expected(self, world: World, period: int) -> Floats:
        """Give what was used last: it goes by that."""
        return world.given(period)


class _Hosts:
    """What hosts use and have declared, as guests are taken from them and put on them."""

    def __init__(self, world: World, given: Floats, used: Floats, thresholds: Floats) -> None:
        self._world, self._given = world, given
        self._used, self._limit = used.copy(), thresholds * world.cores
        self._memory = world.sums(world.task_memory_mb)
        self._cpus = world.sums(world.declared_cpus)
        self._most_cpus = world.cores * float(world.shapes.overcommit)

    def relieve(self, host: int) -> list[int]:
        """Take guests off, those with the least memory to copy first, until the host is within its threshold."""
        there = np.flatnonzero(self._world.host_of == host)
        leaving = []
        for task in there[np.argsort(self._world.task_memory_mb[there], kind="stable")]:
            if self._used[host] <= self._limit[host]:
                break
            self._add(int(task), host, -1)
            leaving.append(int(task))
        return leaving

    def place(self, tasks: list[int], taking: np.ndarray) -> list[tuple[int, int]]:
        """Place by best fit decreasing; a guest for which there is no host stays."""
        moves = []
        for task in sorted(tasks, key=lambda each: -self._given[each]):
            target = self._best_fit(task, taking)
            if target is None:
                self._add(task, int(self._world.host_of[task]), 1)
            else:
                self._add(task, target, 1)
                moves.append((task, target))
        return moves

    def empty_the_least_used(self, taking: np.ndarray, received: set[int]) -> list[tuple[int, int]]:
        """Empty hosts, the least used first, each only if all its guests find another one that is in use."""
        world = self._world
        moves: list[tuple[int, int]] = []
        in_use = np.bincount(world.host_of, minlength=len(self._used)) > 0
        open_hosts = taking & in_use
        candidates = open_hosts.copy()
        candidates[list(received)] = False
        for host in np.argsort(self._used / world.cores, kind="stable"):
            if not candidates[host]:
                continue
            open_hosts[host] = False
            there = [int(task) for task in np.flatnonzero(world.host_of == host)]
            found = self._place_all(there, int(host), open_hosts)
            if found is None:
                open_hosts[host] = True
            else:
                moves += found
                candidates[[target for _, target in found]] = False
        return moves

    def _place_all(
        self, tasks: list[int], source: int, taking: np.ndarray
    ) -> list[tuple[int, int]] | None:
        done: list[tuple[int, int]] = []
        for task in sorted(tasks, key=lambda each: -self._given[each]):
            target = self._best_fit(task, taking)
            if target is None:
                for placed, host in done:
                    self._add(placed, host, -1)
                return None
            self._add(task, target, 1)
            done.append((task, target))
        for task in tasks:
            self._add(task, source, -1)
        return done

    def _best_fit(self, task: int, taking: np.ndarray) -> int | None:
        """Give the host that would have the least left below its threshold."""
        world = self._world
        left = self._limit - self._used - self._given[task]
        fits = (
            taking
            & (left >= 0)
            & (self._memory + world.task_memory_mb[task] <= world.memory_mb)
            & (self._cpus + world.declared_cpus[task] <= self._most_cpus)
        )
        fits[world.host_of[task]] = False
        if not fits.any():
            return None
        return int(np.where(fits, left, np.inf).argmin())

    def _add(self, task: int, host: int, sign: int) -> None:
        self._used[host] += sign * self._given[task]
        self._memory[host] += sign * self._world.task_memory_mb[task]
        self._cpus[host] += sign * self._world.declared_cpus[task]
