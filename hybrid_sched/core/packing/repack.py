# SPDX-License-Identifier: Apache-2.0
"""Packing better by packing again: the best of several packings, and then a few hosts at a time anew."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from operator import le, mul, sub

from hybrid_sched.core.packing.base import Packer, Packing, Rows
from hybrid_sched.core.packing.bin_completion import BinCompletion, TooManySteps
from hybrid_sched.core.packing.bounds import lower_bound
from hybrid_sched.core.packing.instance import Instance
from hybrid_sched.core.packing.kinds import Kinds
from hybrid_sched.core.packing.ordering import share_weights
from hybrid_sched.core.packing.starts import Filling, starts
from hybrid_sched.core.packing.subset_sum import fill_exactly

# Tasks taken off a host and placed again, over the whole search.
_EFFORT = 250_000
# In several dimensions a move takes longer and gains less.
_SEVERAL = 8
# In one dimension it takes longer with rooms of more units than these.
_ROOM = 40_000
# Hosts that are emptied together, and about how many tasks they may have.
_MOST_HOSTS = 8
_POOL = 30
# One of so many of the emptiest hosts is always among them.
_EMPTIEST = 4
# One try in so many is a complete search over so many hosts, given up after so many steps; that many take as long as a move.
_COMPLETED_EVERY = 8
_MOST_COMPLETED = 12
_STEPS = 3_000
_STEPS_A_MOVE = 10

Demand = tuple[int, ...]


class Repack(Packer):
    """Fill hosts by several rules, keep the best packing, then empty a few hosts at a time and fill them anew.

    The rules are those of :func:`~hybrid_sched.core.packing.starts.starts`. Then one of the emptiest hosts and some others are
    emptied, and their tasks are packed onto them again, the fullest possible first and with some chance; the new packing is
    kept if the squares of what the hosts hold add up to no less, which draws tasks together until a host is empty. The search
    ends when no packing can use fewer hosts, or after a fixed number of tasks was moved; it counts moves and draws from a fixed
    seed, so that the same input has the same answer.

    :param effort: how many tasks are moved at most.
    """

    def __init__(self, *, effort: int = _EFFORT) -> None:
        self._effort = effort

    def pack(self, tasks: Rows, hosts: Rows) -> Packing:
        """Place tasks; see :class:`~hybrid_sched.core.packing.base.Packer`."""
        instance = Instance.of(tasks, hosts)
        if not len(tasks) or not len(hosts):
            return Packing({}, tuple(range(len(tasks))), instance.vectors(instance.hosts))
        reduced = instance.reduced()
        best: Filling | None = None
        bound = lower_bound(reduced.tasks, reduced.hosts)
        for filling in starts(reduced):
            if best is None or _cost(filling) < _cost(best):
                best = filling
            if len(best) <= bound:
                break
        search = _Search(reduced, best or {})
        slower = _SEVERAL
        if len(instance.scales) == 1:
            slower = 1 + int(reduced.hosts.max()) // _ROOM
        effort = self._effort // slower
        search.run(bound, effort)
        return _packing(instance, search.bins)


def _cost(filling: Filling) -> tuple[int, int]:
    """Tell which of two fillings is better: more tasks placed, then fewer hosts."""
    return -sum(map(len, filling.values())), len(filling)


class _Search:
    """Hosts in use, and the kinds of tasks on each."""

    def __init__(self, instance: Instance, filling: Filling) -> None:
        kinds = Kinds(instance.tasks)
        self._demand: list[Demand] = [tuple(row) for row in kinds.demand.tolist()]
        self._rooms: list[Demand] = [tuple(row) for row in instance.hosts.tolist()]
        self._weights = share_weights(instance.pool())
        # What one unit of each resource is of all there is.
        self._part = [1 / amount if amount > 0 else 0.0 for amount in instance.pool()]
        self._sizes = [self._size(demand) for demand in self._demand]
        self._total_room = [self._size(room) for room in self._rooms]
        self.bins = {host: list(placed) for host, placed in filling.items()}
        self._loads = {host: self._load(placed) for host, placed in self.bins.items()}
        # In one dimension and on equal hosts, where a size and its weighted size are the same.
        self._equal = (
            len(self._weights) == 1 and self._weights[0] == 1 and len(set(self._rooms)) == 1
        )
        self._random = random.Random(0)  # noqa: S311

    def _size(self, amounts: Demand) -> int:
        return sum(a * w for a, w in zip(amounts, self._weights, strict=True))

    def _load(self, kinds: Sequence[int]) -> int:
        return sum([self._sizes[kind] for kind in kinds])

    def run(self, bound: int, effort: int) -> None:
        """Pack a few hosts anew, again and again."""
        goal = max(bound, 1)
        rounds = 0
        while effort > 0 and len(self.bins) > goal:
            rounds += 1
            if self._equal and rounds % _COMPLETED_EVERY == 0:
                effort -= self._complete()
                continue
            hosts = self._choose()
            pool = [kind for host in hosts for kind in self.bins[host]]
            effort -= len(pool) + 1
            packed = self._pack(hosts, pool)
            if packed is not None:
                self._keep(hosts, packed)

    def _complete(self) -> int:
        """Try to do with one host less, all of the search being on the emptiest hosts and a few others.

        Where nothing may be wasted, drawing tasks together does not get far, and a complete search over few hosts does.

        :returns: the effort that it took, in moves.
        """
        capacity = self._rooms[0][0]
        hosts, slack = [], 0
        for host in sorted(self._loads, key=self._loads.__getitem__):
            if slack >= capacity:
                break
            hosts.append(host)
            slack += capacity - self._loads[host]
        if len(hosts) > _MOST_COMPLETED:
            return len(hosts)
        others = sorted(set(self.bins) - set(hosts))
        hosts += self._random.sample(others, min(len(others), _MOST_COMPLETED - len(hosts)))
        pool = sorted(
            (kind for host in hosts for kind in self.bins[host]),
            key=lambda kind: -self._sizes[kind],
        )
        weighty = [kind for kind in pool if self._sizes[kind]]
        search = BinCompletion(capacity, _STEPS)
        try:
            packed = search.pack([self._sizes[kind] for kind in weighty], len(hosts) - 1)
        except TooManySteps:
            packed = None
        if packed is not None:
            kind_of = {self._sizes[kind]: kind for kind in weighty}
            bins = [[kind_of[size] for size in sizes] for sizes in packed]
            bins += [[] for _ in range(len(hosts) - len(bins))]
            bins[0] += [kind for kind in pool if not self._sizes[kind]]
            self._set(hosts, bins)
        return len(pool) + (_STEPS - search.steps_left) // _STEPS_A_MOVE

    def _choose(self) -> list[int]:
        emptiest = heapq.nsmallest(_EMPTIEST, self._loads, key=self._loads.__getitem__)
        first = self._random.choice(emptiest)
        others = list(self.bins)
        chosen, tasks = [first], len(self.bins[first])
        while len(chosen) < min(_MOST_HOSTS, len(others)):
            host = self._random.choice(others)
            if host in chosen:
                continue
            tasks += len(self.bins[host])
            if tasks > _POOL and len(chosen) > 1:
                break
            chosen.append(host)
        return chosen

    def _pack(self, hosts: list[int], pool: list[int]) -> list[list[int]] | None:
        """Fill the hosts, largest first, from a pool; None when some of it is left."""
        hosts.sort(key=lambda host: (-self._total_room[host], host))
        self._random.shuffle(pool)
        fill = self._fill_by_sum if len(self._weights) == 1 else self._fill_by_room
        packed = [fill(pool, self._rooms[host]) for host in hosts]
        return None if pool else packed

    def _fill_by_sum(self, pool: list[int], room: Demand) -> list[int]:
        if not pool:
            return []
        sizes = self._sizes
        placed = []
        left = room[0]
        head = max(range(len(pool)), key=lambda place: sizes[pool[place]])
        if self._demand[pool[head]][0] <= left:
            placed.append(pool.pop(head))
            left -= self._demand[placed[0]][0]
        chosen = fill_exactly([self._demand[kind][0] for kind in pool], left)
        placed += [pool[place] for place in chosen]
        for place in reversed(chosen):
            del pool[place]
        return placed

    def _fill_by_room(self, pool: list[int], room: Demand) -> list[int]:
        """Fill by the dot product with the room, the weights of resources drawn at random."""
        factors = [part * (0.2 + self._random.random()) for part in self._part]
        demand = self._demand
        placed: list[int] = []
        pull = factors
        fitting = list(range(len(pool)))
        while True:
            fitting = [place for place in fitting if all(map(le, demand[pool[place]], room))]
            if not fitting:
                break
            scores = [sum(map(mul, pull, demand[pool[place]])) for place in fitting]
            place = fitting.pop(scores.index(max(scores)))
            room = tuple(map(sub, room, demand[pool[place]]))
            pull = [f * r * part for f, r, part in zip(factors, room, self._part, strict=True)]
            placed.append(place)
        kinds = [pool[place] for place in placed]
        for place in sorted(placed, reverse=True):
            del pool[place]
        return kinds

    def _keep(self, hosts: list[int], packed: list[list[int]]) -> None:
        loads = [self._load(placed) for placed in packed]
        if sum([load * load for load in loads]) < sum([self._loads[host] ** 2 for host in hosts]):
            return
        self._set(hosts, packed)

    def _set(self, hosts: list[int], packed: list[list[int]]) -> None:
        for host, placed in zip(hosts, packed, strict=True):
            if placed:
                self.bins[host], self._loads[host] = placed, self._load(placed)
            else:
                del self.bins[host], self._loads[host]


def _packing(instance: Instance, filling: Filling) -> Packing:
    """Turn kinds into tasks; what is left over is tried on each host once more."""
    kinds = Kinds(instance.tasks)
    free = instance.hosts.copy()
    bins: dict[int, list[int]] = {}
    for host, placed in filling.items():
        bins[host] = [kinds.take(kind) for kind in placed]
        free[host] -= kinds.demand[placed].sum(axis=0)
    unplaced = []
    for task in kinds.remaining():
        fitting = (instance.tasks[task] <= free).all(axis=1)
        if not fitting.any():
            unplaced.append(task)
            continue
        host = int(fitting.argmax())
        bins.setdefault(host, []).append(task)
        free[host] -= instance.tasks[task]
    placed_tasks = {host: tuple(of_host) for host, of_host in bins.items()}
    return Packing(placed_tasks, tuple(unplaced), instance.vectors(free))
