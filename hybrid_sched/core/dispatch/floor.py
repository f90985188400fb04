# SPDX-License-Identifier: Apache-2.0
"""Tasks that wait and hosts that have room, in exact integers, for rules that say which task starts where."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from heapq import merge
from operator import add, le, sub

from hybrid_sched.core.packing.instance import Instance
from hybrid_sched.core.packing.ordering import share_weights
from hybrid_sched.core.resources import Number, Vector

Amounts = tuple[int, ...]

# Newest ended tasks of a framework that tell how long its tasks last.
_NEWEST = 7


@dataclass(frozen=True, slots=True)
class FloorTask:
    """A task as the rules see it: how long it runs is not known.

    :param framework: its place in the list of frameworks.
    :param demand: of it, unscored.
    """

    framework: int
    demand: Vector


@dataclass(frozen=True, slots=True)
class FloorHost:
    """A host that is empty at first.

    :param capacity: of it, a number a resource.
    :param score: q_h in (0, 1].
    :param only: place of the one framework that may use it; None for all.
    """

    capacity: Vector
    score: Number = 1
    only: int | None = None


class Floor:
    """Hosts, and the tasks on them and before them.

    Tasks of one framework and one demand are of one *kind*; within a kind the task with the lowest index is the first. The key
    of a framework is its dominant share of the effective pool over its weight, times ``unit`` (algorithms: k_i = s_i / phi_i).

    :param tasks: all that will ever come; none of them waits yet.
    :param hosts: at least one.
    :param weights: phi > 0, one a framework; their number is the number of frameworks.
    :raises ValueError: when vectors differ in length or an amount is negative.
    :ivar free: what each host has left.
    :ivar used: scored charge of each framework.
    :ivar count: tasks of each framework that wait.
    :ivar now_s: the time.
    """

    def __init__(
        self, tasks: Sequence[FloorTask], hosts: Sequence[FloorHost], weights: Sequence[Number]
    ) -> None:
        instance = Instance.of([task.demand for task in tasks], [host.capacity for host in hosts])
        self.demands: list[Amounts] = [tuple(row) for row in instance.tasks.tolist()]
        self.frameworks = [task.framework for task in tasks]
        self.capacities: list[Amounts] = [tuple(row) for row in instance.hosts.tolist()]
        self.free = list(self.capacities)
        self.only = [host.only for host in hosts]
        common = math.lcm(*(Fraction(host.score).denominator for host in hosts))
        self._scores = [int(host.score * common) for host in hosts]
        length = len(self.capacities[0])
        #: E, in the unit of the charges.
        self.pool: list[int] = [
            sum(row[r] * score for row, score in zip(self.capacities, self._scores, strict=True))
            for r in range(length)
        ]
        self._resources = range(length)
        self._mean_score = sum(self._scores), len(self._scores)
        self._share_weights = share_weights(self.pool)
        exact_weights = [Fraction(weight) for weight in weights]
        rates = [1 / weight for weight in exact_weights]
        scale = math.lcm(*(rate.denominator for rate in rates))
        self._rates = [int(rate * scale) for rate in rates]
        self._common = math.lcm(*(amount for amount in self.pool if amount > 0))
        self.unit = self._common * scale
        self.used = [[0] * length for _ in weights]
        self.keys = [0] * len(weights)
        self.count = [0] * len(weights)
        self.now_s = 0.0
        self.host_of: dict[int, int] = {}
        #: For each framework its kinds that have a task waiting, largest first by :meth:`size`.
        self.kinds: list[list[Amounts]] = [[] for _ in weights]
        self._lines: list[dict[Amounts, deque[int]]] = [{} for _ in weights]
        self._order = self._scarcest_first()
        self._looked_at = list(range(len(hosts)))
        self._started: list[tuple[int, int]] = []
        self._started_s: dict[int, float] = {}
        self._ran: list[list[float]] = [[] for _ in weights]

    def _scarcest_first(self) -> tuple[int, ...]:
        """Sort the resources by how much of the pool all tasks together ask for."""
        asked = [sum(demand[r] for demand in self.demands) for r in self._resources]
        return tuple(
            sorted(
                self._resources,
                key=lambda r: (-Fraction(asked[r], self.pool[r]) if self.pool[r] else 1, r),
            )
        )

    def size(self, amounts: Amounts) -> Amounts:
        """Give the amounts with the scarcest resource first: compares tasks and rooms by size."""
        return tuple([amounts[r] for r in self._order])

    def share(self, framework: int) -> Fraction:
        """Give the dominant share of a framework."""
        return Fraction(self._share(self.used[framework]), self._common)

    def key_of(self, framework: int, used: Sequence[int]) -> int:
        """Give the key that a framework has with a scored charge."""
        return self._share(used) * self._rates[framework]

    def charge(self, demand: Amounts) -> list[int]:
        """Give what a task is expected to be charged: on a host of the mean score."""
        return [-(-amount * self._mean_score[0] // self._mean_score[1]) for amount in demand]

    def room(self, host: int) -> int:
        """Give what a host has left: the sum over resources of its part of the pool, times a constant."""
        return sum([a * w for a, w in zip(self.free[host], self._share_weights, strict=True)])

    def waits(self, framework: int, demand: Amounts) -> bool:
        """Say whether a task of a kind waits."""
        return demand in self._lines[framework]

    def arrive(self, task: int) -> None:
        """Let a task wait from now on."""
        framework, demand = self.frameworks[task], self.demands[task]
        if len(self._looked_at) < len(self.free):
            self._looked_at = list(range(len(self.free)))
        line = self._lines[framework].get(demand)
        if line is None:
            self._lines[framework][demand] = deque([task])
            insort(self.kinds[framework], demand, key=self._largest_first)
        elif line[-1] < task:
            line.append(task)
        else:
            self._lines[framework][demand] = deque(sorted([*line, task]))
        self.count[framework] += 1

    def first(self, framework: int, demand: Amounts) -> int:
        """Give the first task of a kind."""
        return self._lines[framework][demand][0]

    def in_order(self, wanted: Sequence[tuple[int, Amounts]] | None = None) -> Iterator[int]:
        """Give waiting tasks by index.

        :param wanted: of these kinds; None for all. Nothing may be started while one looks at them.
        """
        if wanted is None:
            wanted = [(f, kind) for f, kinds in enumerate(self.kinds) for kind in kinds]
        return merge(*(self._lines[framework][demand] for framework, demand in wanted))

    def fits(self, demand: Amounts, host: int) -> bool:
        """Say whether a demand fits on a host now."""
        return all(map(le, demand, self.free[host]))

    def hosts_for(self, framework: int, demand: Amounts) -> list[int]:
        """Give the hosts on which a kind fits, ascending."""
        free, only = self.free, self.only
        return [
            host
            for host in self._looked_at
            if all(map(le, demand, free[host])) and only[host] in {None, framework}
        ]

    def settle(self) -> None:
        """Say that nothing that waits fits on any host: until a task comes, only hosts on which one ends are looked at."""
        self._looked_at = []

    def start(self, task: int, host: int) -> None:
        """Start a waiting task that is the first of its kind, on a host on which it fits.

        :raises ValueError: when it is not the first of its kind, does not fit, or the host is not for its framework.
        """
        framework, demand = self.frameworks[task], self.demands[task]
        line = self._lines[framework].get(demand)
        if not line or line[0] != task or not self.fits(demand, host):
            raise ValueError(
                f"task {task} is not the first of its kind, or host {host} is too full"
            )
        if self.only[host] not in {None, framework}:
            raise ValueError(f"host {host} is for another framework than that of task {task}")
        line.popleft()
        if not line:
            del self._lines[framework][demand]
            self.kinds[framework].remove(demand)
        self.count[framework] -= 1
        self.host_of[task] = host
        self._started_s[task] = self.now_s
        self._started.append((task, host))
        self._charge(task, host, 1)

    def take_started(self) -> list[tuple[int, int]]:
        """Give tasks and hosts of what was started since the last call, in that order."""
        started, self._started = self._started, []
        return started

    def end(self, task: int) -> None:
        """Take a task that has run off its host."""
        host = self.host_of.pop(task)
        if host not in self._looked_at:
            insort(self._looked_at, host)
        self._charge(task, host, -1)
        self._ran[self.frameworks[task]].append(self.now_s - self._started_s.pop(task))

    def lasting(self) -> int:
        """Give the framework whose tasks last longest, as far as is known; the first one where nothing is.

        What has ended tells its length, and of a framework of which nothing has, its oldest task tells the least it can be.
        """
        oldest = [0.0] * len(self.keys)
        for task, since_s in self._started_s.items():
            framework = self.frameworks[task]
            oldest[framework] = max(oldest[framework], self.now_s - since_s)
        known = [
            sum(ran[-_NEWEST:]) / len(ran[-_NEWEST:]) if ran else least
            for ran, least in zip(self._ran, oldest, strict=True)
        ]
        return known.index(max(known))

    def _charge(self, task: int, host: int, sign: int) -> None:
        framework, demand = self.frameworks[task], self.demands[task]
        self.free[host] = tuple(map(sub if sign > 0 else add, self.free[host], demand))
        factor = sign * self._scores[host]
        used = self.used[framework]
        for resource, amount in enumerate(demand):
            used[resource] += factor * amount
        self.keys[framework] = self.key_of(framework, used)

    def _share(self, used: Sequence[int]) -> int:
        return max([a * w for a, w in zip(used, self._share_weights, strict=True)])

    def _largest_first(self, demand: Amounts) -> Amounts:
        return tuple([-amount for amount in self.size(demand)])
