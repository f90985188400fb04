# SPDX-License-Identifier: Apache-2.0
"""Tasks of equal demand as one kind: packers that look for the best task next look at each kind once."""

from __future__ import annotations

import numpy as np

from hybrid_sched.core.packing.instance import Instance, Integers
from hybrid_sched.core.packing.ordering import Indices, descending, share_weights, weighted


class Kinds:
    """The tasks that wait, by demand.

    Kinds count from 0 in the order of their first task.

    :param tasks: demand of each task, of shape (tasks, resources).
    :ivar demand: of each kind, of shape (kinds, resources).
    :ivar count: how many of each kind wait.
    """

    def __init__(self, tasks: Integers) -> None:
        members: dict[tuple[int, ...], list[int]] = {}
        for task, demand in enumerate(map(tuple, tasks.tolist())):
            members.setdefault(demand, []).append(task)
        self.demand: Integers = np.array(list(members), dtype=tasks.dtype).reshape(
            -1, tasks.shape[1]
        )
        self.count: Indices = np.array([len(of_kind) for of_kind in members.values()])
        # The first task of a kind is taken first.
        self._members = [of_kind[::-1] for of_kind in members.values()]

    @property
    def waits(self) -> bool:
        """Say whether any task waits."""
        return bool(self.count.any())

    def fitting(self, room: Integers, among: Indices | None = None) -> Indices:
        """Give the kinds that wait and fit into a room, ascending.

        :param among: look at these only.
        """
        kinds = np.flatnonzero(self.count) if among is None else among[self.count[among] > 0]
        for resource in range(len(room)):
            kinds = kinds[self.demand[kinds, resource] <= room[resource]]
        return kinds

    def take(self, kind: int) -> int:
        """Take the first waiting task of a kind."""
        self.count[kind] -= 1
        return self._members[kind].pop()

    def remaining(self) -> tuple[int, ...]:
        """Give the tasks that wait, ascending."""
        return tuple(sorted(task for of_kind in self._members for task in of_kind))


def largest_hosts_first(instance: Instance) -> Indices:
    """Sort hosts by the sum of their shares of the pool, largest first; ties by index."""
    columns = weighted(instance.hosts, share_weights(instance.pool()))
    sizes: Integers = sum(columns[1:], columns[0])
    return descending(sizes)
