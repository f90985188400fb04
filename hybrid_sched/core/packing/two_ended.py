# SPDX-License-Identifier: Apache-2.0
"""A sorted queue that is taken from both ends, at a cost per host and not per task."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hybrid_sched.core.packing.heads import Heads
from hybrid_sched.core.packing.instance import Integers
from hybrid_sched.core.packing.ordering import Indices

# How far the end of a host's filling is looked for at first, in tasks: a bisection over few is quicker.
_REACH = 64


class TwoEndedQueue:
    """Tasks in sorted order, largest first: each host gets the left-most that fits, then those at the right end.

    Positions count from the left. *Depths* count from the right end: ``sums[r][depth]`` is what the last ``depth`` tasks need
    of resource r, so that what any stretch needs is one subtraction. A head that is not the left-most task leaves a hole
    which the filling passes over.

    :param order: the tasks' indices in sorted order.
    :param demand: of the tasks in that order, of shape (tasks, resources).
    """

    def __init__(self, order: Indices, demand: Integers) -> None:
        self._order = order
        self._demand = demand
        self._sums = [_sums(column[::-1]) for column in demand.T]
        self._prefixes = [_indexable(sums) for sums in self._sums]
        self._heads = Heads(demand)
        self._holes: list[int] = []
        self._left = 0
        self._depth = 0
        # For each host that was opened: its place in the order of hosts, its head, and the depths of its filling.
        self._opened: list[int] = []
        self._positions: list[int] = []
        self._starts: list[int] = []
        self._stops: list[int] = []

    def fill(self, rooms: Integers) -> None:
        """Fill hosts one after the other.

        :param rooms: of the hosts in order, of shape (hosts, resources); becomes what they have left.
        """
        for host in range(self._fill_simply(rooms), len(rooms)):
            if self._left >= len(self._order) - self._depth:
                break
            self._fill_one(host, rooms)

    def remaining(self) -> list[int]:
        """Give the tasks that are left."""
        end = len(self._order) - self._depth
        tasks = self._order[self._left : end]
        left: list[int] = tasks[~self._heads.taken[self._left : end]].tolist()
        return left

    def bins(self, hosts: Sequence[int]) -> Mapping[int, tuple[int, ...]]:
        """Give the tasks of each opened host; the tuples are made when they are asked for.

        :param hosts: the hosts' indices in order.
        """
        opened = dict(
            zip([hosts[place] for place in self._opened], range(len(hosts)), strict=False)
        )
        return _Bins(
            opened,
            self._order,
            heads=self._heads.taken,
            positions=self._positions,
            starts=self._starts,
            stops=self._stops,
        )

    def _fill_simply(self, rooms: Integers) -> int:
        """Fill hosts as long as the left-most task fits on the next one: its head is known then without a search.

        :returns: how many hosts are done.
        """
        count = min(len(rooms), len(self._order))
        fitting = (self._demand[:count] <= rooms[:count]).all(axis=1)
        count = count if fitting.all() else int(fitting.argmin())
        beside_heads = rooms[:count] - self._demand[:count]
        stops = self._ends_of_fillings(zip(*beside_heads.T.tolist(), strict=True))
        count = len(stops)
        starts = [0, *stops[:-1]] if stops else []
        for resource, sums in enumerate(self._sums):
            needed = sums[stops] - sums[starts]
            rooms[:count, resource] = beside_heads[:count, resource] - needed
        self._opened = list(range(count))
        self._positions = list(range(count))
        self._starts, self._stops = starts, stops
        self._heads.taken[:count] = True
        self._left = count
        self._depth = stops[-1] if stops else 0
        return count

    def _ends_of_fillings(self, rooms: Iterator[tuple[int, ...]]) -> list[int]:
        """Find how deep each host's filling goes, until the ends of the queue meet.

        :param rooms: what each host has beside its head, which is the next one from the left.
        """
        stops = []
        depth, deepest = 0, len(self._order)
        prefixes = self._prefixes
        for room in rooms:
            if depth >= deepest:
                break
            deepest -= 1
            stop = end = min(depth + _REACH, deepest + 1)
            for prefix, amount in zip(prefixes, room, strict=True):
                stop = bisect_right(prefix, prefix[depth] + amount, depth, stop)
            depth = stop - 1 if stop < end else self._end_of_filling(depth, room, deepest)
            stops.append(depth)
        return stops

    def _end_of_filling(self, depth: int, room: Sequence[int], deepest: int) -> int:
        """Find the largest depth to which the tasks from a depth on fit into a room."""
        stop = deepest + 1
        for prefix, amount in zip(self._prefixes, room, strict=True):
            stop = bisect_right(prefix, prefix[depth] + amount, depth, stop)
        return stop - 1

    def _fill_one(self, host: int, rooms: Integers) -> None:
        """Fill one host, whatever fits on it."""
        last = len(self._order)
        position = self._heads.first(tuple(rooms[host].tolist()), self._left, last - self._depth)
        if position is None:
            return
        rooms[host] -= self._demand[position]
        self._take_head(position)
        room = rooms[host].tolist()
        start = depth = self._depth
        while True:
            hole = -self._holes[0] if self._holes else -1
            deepest = last - max(self._left, hole + 1)
            stop = self._end_of_filling(depth, room, deepest)
            room = [
                amount - (prefix[stop] - prefix[depth])
                for amount, prefix in zip(room, self._prefixes, strict=True)
            ]
            depth = stop
            if depth < deepest or hole < self._left:
                break
            heapq.heappop(self._holes)
            depth += 1
        rooms[host] = room
        self._opened.append(host)
        self._positions.append(position)
        self._starts.append(start)
        self._stops.append(depth)
        self._depth = depth

    def _take_head(self, position: int) -> None:
        taken = self._heads.taken
        taken[position] = True
        if position != self._left:
            heapq.heappush(self._holes, -position)
            return
        end = len(self._order) - self._depth
        while self._left < end and taken[self._left]:
            self._left += 1


class _Bins(Mapping[int, tuple[int, ...]]):
    """The tasks of each host, as stretches of the sorted order."""

    def __init__(
        self,
        opened: dict[int, int],
        order: Indices,
        *,
        heads: Integers,
        positions: list[int],
        starts: list[int],
        stops: list[int],
    ) -> None:
        self._opened = opened
        self._order = order
        self._heads = heads
        self._positions = positions
        self._starts = starts
        self._stops = stops

    def __getitem__(self, host: int) -> tuple[int, ...]:
        index = self._opened[host]
        last = len(self._order)
        stretch = slice(last - self._stops[index], last - self._starts[index])
        # Heads of hosts before this one may stand in the stretch.
        filling = self._order[stretch][~self._heads[stretch]][::-1]
        return (int(self._order[self._positions[index]]), *filling.tolist())

    def __iter__(self) -> Iterator[int]:
        return iter(self._opened)

    def __len__(self) -> int:
        return len(self._opened)

    def __repr__(self) -> str:
        return repr(dict(self))


def _sums(column: Integers) -> Integers:
    sums = np.zeros(len(column) + 1, dtype=column.dtype)
    np.cumsum(column, out=sums[1:])
    return sums


def _indexable(sums: Integers) -> Sequence[int]:
    """Give something whose elements are read quickly one by one, as Python integers."""
    if sums.dtype == object:
        values: list[int] = sums.tolist()
        return values
    return memoryview(sums)  # type: ignore[arg-type]
