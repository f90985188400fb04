# SPDX-License-Identifier: Apache-2.0
"""Cross-Fill, the packer of the paper (5.2, algorithm 2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hybrid_sched.core.packing.base import Packer, Packing
from hybrid_sched.core.resources import (
    Number,
    Vector,
    dominant_resource,
    dominant_share,
    fits,
    subtract,
    total,
)


class CrossFill(Packer):
    """Open a host with the largest task that fits, then fill it from the small end.

    Tasks are sorted by dominant share of the hosts' free capacity, largest first; hosts by their free amount of the resource
    that the queue as a whole needs most, largest first. In one dimension it uses at most 3/2 of the fewest hosts possible.

    :param conserve: go on past a small task that does not fit, instead of closing the host there.
    :param resource: sort tasks and hosts by this resource alone, as the paper's one-dimensional text does.
    """

    def __init__(self, *, conserve: bool = False, resource: int | None = None) -> None:
        self._conserve = conserve
        self._resource = resource

    def pack(self, tasks: Sequence[Vector], hosts: Sequence[Vector]) -> Packing:
        """Place tasks; see :class:`~hybrid_sched.core.packing.base.Packer`."""
        free = [tuple(host) for host in hosts]
        if not tasks:
            return Packing({}, (), tuple(free))
        queue = _Queue(self._sorted_tasks(tasks, hosts))
        bins: dict[int, tuple[int, ...]] = {}
        for host in self._sorted_hosts(tasks, hosts):
            if queue.empty:
                break
            room = free[host]
            placed: list[int] = []
            # The head: the left-most task that fits.
            for position in queue.from_left():
                task = queue.task(position)
                if fits(tasks[task], room):
                    room = self._place(tasks, queue, position, room, placed)
                    break
            if not placed:
                continue
            # The filling: from the right-most end.
            for position in queue.from_right():
                task = queue.task(position)
                if fits(tasks[task], room):
                    room = self._place(tasks, queue, position, room, placed)
                elif not self._conserve:
                    break
            free[host] = room
            bins[host] = tuple(placed)
        unplaced = sorted(queue.task(position) for position in queue.from_left())
        return Packing(bins, tuple(unplaced), tuple(free))

    @staticmethod
    def _place(
        tasks: Sequence[Vector], queue: _Queue, position: int, room: Vector, placed: list[int]
    ) -> Vector:
        task = queue.task(position)
        queue.remove(position)
        placed.append(task)
        return subtract(room, tasks[task])

    def _sorted_tasks(self, tasks: Sequence[Vector], hosts: Sequence[Vector]) -> list[int]:
        resource = self._resource
        if resource is not None:
            return sorted(range(len(tasks)), key=lambda task: -tasks[task][resource])
        pool = total(hosts, len(tasks[0]))
        shares: list[Number] = [dominant_share(task, pool) for task in tasks]
        return sorted(range(len(tasks)), key=lambda task: -shares[task])

    def _sorted_hosts(self, tasks: Sequence[Vector], hosts: Sequence[Vector]) -> list[int]:
        resource = self._resource
        if resource is None:
            length = len(tasks[0])
            resource = dominant_resource(total(tasks, length), total(hosts, length))
        return sorted(range(len(hosts)), key=lambda host: -hosts[host][resource])


class _Queue:
    """Sorted tasks that can be walked from both ends while some are taken out, without moving the others."""

    def __init__(self, order: list[int]) -> None:
        self._order = order
        # Neighbours of each position that is still in the queue; the last place is the fence around both ends.
        fence = len(order)
        self._next: list[int] = [*range(1, fence + 1), 0]
        self._previous = [fence, *range(fence)] if order else [0]

    @property
    def empty(self) -> bool:
        fence = len(self._order)
        return self._next[fence] == fence

    def task(self, position: int) -> int:
        return self._order[position]

    def remove(self, position: int) -> None:
        before, after = self._previous[position], self._next[position]
        self._next[before] = after
        self._previous[after] = before

    def from_left(self) -> Iterator[int]:
        fence = len(self._order)
        position = self._next[fence]
        while position != fence:
            following = self._next[position]
            yield position
            position = following

    def from_right(self) -> Iterator[int]:
        fence = len(self._order)
        position = self._previous[fence]
        while position != fence:
            following = self._previous[position]
            yield position
            position = following
