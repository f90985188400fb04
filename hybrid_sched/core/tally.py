# SPDX-License-Identifier: Apache-2.0
"""Sums over the hosts of a pool that follow each change, exact, so that a cycle costs what changed."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from fractions import Fraction

from hybrid_sched.core.cluster import Host
from hybrid_sched.core.resources import Number, Resources, Vector, add, scale, simplest

_LENGTH = len(Resources._fields)


class Tally:
    """The pool's capacity E and the charge U_i of each framework (algorithms: weighted DRF).

    Hosts of one score are summed unscored: sums of integers stay integers, and the score is multiplied in once.
    """

    def __init__(self, hosts: Iterable[Host] = ()) -> None:
        # By numerator and denominator: those of a fraction are hashed much sooner than the fraction.
        self._by_score: dict[tuple[int, int], _Sums] = {}
        for host in hosts:
            self.add(host)

    def add(self, host: Host) -> None:
        """Count a host in."""
        key = host.score.as_integer_ratio()
        sums = self._by_score.get(key)
        if sums is None:
            sums = self._by_score[key] = _Sums(host.score)
        sums.change(host, 1)

    def remove(self, host: Host) -> None:
        """Count a host out, as it was when it was counted in."""
        key = host.score.as_integer_ratio()
        sums = self._by_score[key]
        sums.change(host, -1)
        if not sums.hosts:
            del self._by_score[key]

    def capacity(self) -> Vector:
        """Give E_r = sum over hosts of q_h * C_hr."""
        return self._scored((sums.score, sums.capacity) for sums in self._by_score.values())

    def charge(self, framework: str) -> Vector:
        """Give U_ir = sum over hosts of q_h * a_ihr."""
        return self._scored(
            (sums.score, sums.used[framework])
            for sums in self._by_score.values()
            if framework in sums.used
        )

    @staticmethod
    def _scored(parts: Iterable[tuple[Number, list[Number]]]) -> Vector:
        scored: Vector = (0,) * _LENGTH
        for score, amounts in parts:
            scored = add(scored, scale(score, tuple(amounts)))
        return tuple(map(simplest, scored))


class _Sums:
    def __init__(self, score: Number) -> None:
        self.score = score
        self.hosts = 0
        self.capacity: list[Number] = [0] * _LENGTH
        self.used: dict[str, list[Number]] = {}

    def change(self, host: Host, sign: int) -> None:
        self.hosts += sign
        _accumulate(self.capacity, host.capacity, sign)
        for framework, held in host.used.items():
            if framework not in self.used:
                self.used[framework] = [0] * _LENGTH
            _accumulate(self.used[framework], held, sign)


def _accumulate(sums: list[Number], amounts: Vector, sign: int) -> None:
    for index, amount in enumerate(amounts):
        if amount:
            sums[index] += sign * amount


class DemandDistribution:
    """How often each demand is held by a framework's tasks; from it follows what counts as large."""

    def __init__(self) -> None:
        self._counts: dict[Vector, int] = {}
        self._tasks = 0
        # Sort keys of demands, for the pool that they were worked out for.
        self._pool: Vector = ()
        self._keys: dict[Vector, Number] = {}

    def change(self, demands: Mapping[Vector, int]) -> None:
        """Count demands in (positive) or out (negative)."""
        for demand, change in demands.items():
            count = self._counts.get(demand, 0) + change
            self._tasks += change
            if count:
                self._counts[demand] = count
            else:
                del self._counts[demand]
                self._keys.pop(demand, None)

    def upper_median(self, pool: Vector) -> Number:
        """Give the upper median of the tasks' dominant shares; 0 when there are none.

        :param pool: E.
        """
        if not self._tasks:
            return 0
        if pool != self._pool:
            self._pool, self._keys = pool, {}
        # Shares over one common denominator are compared as integers.
        multipliers, denominator = _common_denominator(pool)
        keys = self._keys
        for demand in self._counts:
            if demand not in keys:
                keys[demand] = max(a * m for a, m in zip(demand, multipliers, strict=True))
        place = self._tasks // 2
        for demand in sorted(self._counts, key=keys.__getitem__):
            place -= self._counts[demand]
            if place < 0:
                return simplest(Fraction(keys[demand]) / denominator)
        raise AssertionError("counts and their sum disagree")


class RecentDemands:
    """The demands of the newest tasks of one framework in one pool: the recent demand distribution.

    Tasks that have ended count until newer ones take their place. What is asked for now says what a large task is, and not
    what has been running for a year.

    :param most: tasks that are remembered, 1 or more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._arrivals: deque[tuple[Vector, int]] = deque()
        self._tasks = 0
        self._distribution = DemandDistribution()

    def add(self, demand: Vector, count: int) -> None:
        """Take in tasks that came.

        :param demand: of each.
        :param count: how many, 1 or more.
        """
        self._arrivals.append((demand, count))
        self._tasks += count
        self._distribution.change({demand: count})
        while self._tasks > self._most:
            oldest, tasks = self._arrivals.popleft()
            surplus = min(tasks, self._tasks - self._most)
            self._tasks -= surplus
            self._distribution.change({oldest: -surplus})
            if surplus < tasks:
                self._arrivals.appendleft((oldest, tasks - surplus))

    def head_threshold(self, pool: Vector) -> Number:
        """Give the dominant share from which a task belongs to the large half; 0 before the first task.

        :param pool: E.
        """
        return self._distribution.upper_median(pool)


def _common_denominator(pool: Vector) -> tuple[tuple[int, ...], Number]:
    """Give integers m and a number d with a_r / E_r = a_r * m_r / d for each resource that there is."""
    scaling = math.lcm(*(amount.denominator for amount in pool))
    there = [int(amount * scaling) for amount in pool if amount > 0]
    product = math.prod(there)
    multipliers = tuple(product // int(a * scaling) if a > 0 else 0 for a in pool)
    return multipliers, Fraction(product, scaling)
