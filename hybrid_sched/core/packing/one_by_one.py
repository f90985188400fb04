# SPDX-License-Identifier: Apache-2.0
"""Packers that look at one task at a time and choose a host for it."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.packing.base import Packer, Packing, Rows
from hybrid_sched.core.packing.instance import Instance, Integers
from hybrid_sched.core.packing.ordering import (
    Indices,
    descending,
    dominant_keys,
    share_weights,
    weighted,
)


class OneByOne(Packer):
    """Take tasks in some order and give each to one of the hosts on which it fits.

    The time is that of a few numpy operations over the hosts for each task.
    """

    def pack(self, tasks: Rows, hosts: Rows) -> Packing:
        """Place tasks; see :class:`~hybrid_sched.core.packing.base.Packer`."""
        instance = Instance.of(tasks, hosts)
        if not len(tasks) or not len(hosts):
            return Packing({}, tuple(range(len(tasks))), instance.vectors(instance.hosts))
        rooms = Rooms(instance)
        bins: dict[int, list[int]] = {}
        unplaced = []
        for task in self.order(instance).tolist():
            demand = instance.tasks[task]
            fitting = rooms.fitting(demand)
            if not len(fitting):
                unplaced.append(task)
                continue
            host = int(self.choose(rooms, fitting))
            rooms.give(host, demand)
            bins.setdefault(host, []).append(task)
        placed = {host: tuple(of_host) for host, of_host in bins.items()}
        return Packing(placed, tuple(sorted(unplaced)), instance.vectors(rooms.free))

    def order(self, instance: Instance) -> Indices:
        """Give the tasks in the order in which they are looked at: by dominant share, largest first."""
        return descending(dominant_keys(instance))

    @abstractmethod
    def choose(self, rooms: Rooms, fitting: Indices) -> int:
        """Choose a host for a task.

        :param fitting: the hosts on which it fits, ascending; at least one.
        """


class Rooms:
    """What each host has left while tasks are placed one by one.

    :ivar free: of shape (hosts, resources).
    :ivar used: for each host, whether it got a task.
    """

    def __init__(self, instance: Instance) -> None:
        self.free: Integers = instance.hosts.copy(order="F")
        self.used: npt.NDArray[np.bool_] = np.zeros(len(self.free), dtype=bool)
        self._weights = share_weights(instance.pool())
        columns = weighted(self.free, self._weights)
        #: For each host an integer in the ratio of sum over r of free_r / E_r, E being what all hosts had at first.
        self.sizes: Integers = sum(columns[1:], columns[0])

    def fitting(self, demand: Integers) -> Indices:
        """Give the hosts on which a task fits, ascending."""
        fits = self.free[:, 0] >= demand[0]
        for resource in range(1, len(demand)):
            fits &= self.free[:, resource] >= demand[resource]
        return np.flatnonzero(fits)

    def give(self, host: int, demand: Integers) -> None:
        """Place a task on a host."""
        self.free[host] -= demand
        self.used[host] = True
        self.sizes[host] -= sum(
            amount * weight for amount, weight in zip(demand.tolist(), self._weights, strict=True)
        )
