# SPDX-License-Identifier: Apache-2.0
"""Cross-Fill, the packer of the paper (5.2, algorithm 2)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hybrid_sched.core.packing.base import Packer, Packing, Rows
from hybrid_sched.core.packing.instance import Instance, Integers
from hybrid_sched.core.packing.ordering import descending, dominant_keys
from hybrid_sched.core.packing.two_ended import TwoEndedQueue
from hybrid_sched.core.resources import dominant_resource


class CrossFill(Packer):
    """Open a host with the largest task that fits, then fill it from the small end.

    Tasks are sorted by dominant share of the hosts' free capacity, largest first; hosts by their free amount of the resource
    that the queue as a whole needs most, largest first. In one dimension it uses at most 3/2 of the fewest hosts possible.

    The time is that of a sort of the tasks and a few searches a host: what the small end's tasks need together is summed up
    once, so that where a host's filling ends is found by bisection.

    :param conserve: go on past a small task that does not fit, instead of closing the host there.
    :param resource: sort tasks and hosts by this resource alone, as the paper's one-dimensional text does.
    """

    def __init__(self, *, conserve: bool = False, resource: int | None = None) -> None:
        self._conserve = conserve
        self._resource = resource

    def pack(self, tasks: Rows, hosts: Rows) -> Packing:
        """Place tasks; see :class:`~hybrid_sched.core.packing.base.Packer`."""
        instance = Instance.of(tasks, hosts)
        if not len(tasks) or not len(hosts):
            return Packing({}, tuple(range(len(tasks))), instance.vectors(instance.hosts))
        order = descending(self._task_keys(instance))
        demand = instance.tasks.take(order, axis=0)
        hosts_in_order = descending(self._host_keys(instance))
        left = instance.hosts.take(hosts_in_order, axis=0)
        bins: Mapping[int, tuple[int, ...]]
        if self._conserve:
            bins, remaining = _conserving(demand, left, order.tolist(), hosts_in_order.tolist())
        else:
            queue = TwoEndedQueue(order, demand)
            queue.fill(left)
            bins, remaining = queue.bins(hosts_in_order.tolist()), queue.remaining()
        free = np.empty_like(left)
        free[hosts_in_order] = left
        return Packing(bins, tuple(sorted(remaining)), instance.vectors(free))

    def _task_keys(self, instance: Instance) -> Integers:
        if self._resource is None:
            return dominant_keys(instance)
        column: Integers = instance.tasks[:, self._resource]
        return column

    def _host_keys(self, instance: Instance) -> Integers:
        resource = self._resource
        if resource is None:
            resource = dominant_resource(tuple(instance.demand()), tuple(instance.pool()))
        column: Integers = instance.hosts[:, resource]
        return column


def _conserving(
    demand: Integers, rooms: Integers, order: list[int], hosts: list[int]
) -> tuple[dict[int, tuple[int, ...]], list[int]]:
    """Fill hosts from both ends, and go on past what does not fit.

    :param demand: of the tasks in sorted order.
    :param rooms: of the hosts in order; becomes what they have left.
    :param order: the tasks' indices.
    :param hosts: the hosts' indices.
    :returns: the bins, and the tasks that are left.
    """
    bins: dict[int, tuple[int, ...]] = {}
    waiting = np.arange(len(demand))
    for host, left in zip(hosts, rooms, strict=True):
        room = left
        fitting = waiting[(demand[waiting] <= room).all(axis=1)]
        if not len(fitting):
            continue
        room = room - demand[fitting[0]]
        placed = [int(fitting[0])]
        fitting = fitting[:0:-1]
        while len(fitting):
            # All up to the first that does not fit beside those before it.
            together = demand[fitting].cumsum(axis=0)
            beside = (together <= room).all(axis=1)
            count = len(fitting) if beside.all() else int(beside.argmin())
            if count:
                room = room - together[count - 1]
                placed += fitting[:count].tolist()
            fitting = fitting[count + 1 :]
            fitting = fitting[(demand[fitting] <= room).all(axis=1)]
        left[:] = room
        bins[host] = tuple(order[position] for position in placed)
        waiting = np.setdiff1d(waiting, placed, assume_unique=True)
    return bins, [order[position] for position in waiting.tolist()]
