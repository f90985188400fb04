# SPDX-License-Identifier: Apache-2.0
"""The host-centric dot product of Panigrahy, Talwar, Uyeda and Wieder (Heuristics for vector bin packing, 2011)."""

from __future__ import annotations

import numpy as np

from hybrid_sched.core.packing.base import Packer, Packing, Rows
from hybrid_sched.core.packing.instance import Instance, Integers
from hybrid_sched.core.packing.kinds import Kinds, largest_hosts_first


class DotProduct(Packer):
    """Fill one host after the other, each time with the task whose demand points most where the host has room.

    That is the task that fits with the largest sum over r of a_r d_r f_r, where d is its demand and f what the host has left,
    both as shares of what all hosts have, and a the mean demand of the queue. Hosts are opened largest first, by the
    sum of their shares. Ties go to the lowest index. The products are floats, added in a fixed order; what fits is exact.
    """

    def pack(self, tasks: Rows, hosts: Rows) -> Packing:
        """Place tasks; see :class:`~hybrid_sched.core.packing.base.Packer`."""
        instance = Instance.of(tasks, hosts)
        if not len(tasks) or not len(hosts):
            return Packing({}, tuple(range(len(tasks))), instance.vectors(instance.hosts))
        kinds = Kinds(instance.tasks)
        weights = _weights(instance)
        profits = kinds.demand.astype(float) * weights
        free = instance.hosts.copy()
        bins: dict[int, tuple[int, ...]] = {}
        for host in largest_hosts_first(instance).tolist():
            if not kinds.waits:
                break
            placed = _fill(kinds, profits, free[host])
            if placed:
                bins[host] = tuple(placed)
        return Packing(bins, kinds.remaining(), instance.vectors(free))


def _weights(instance: Instance) -> Integers:
    """Give a_r / E_r**2, which turns the product of two amounts into its part of the score."""
    count = len(instance.tasks)
    return np.array(
        [
            demand / (count * amount) / amount / amount if amount > 0 else 0.0
            for demand, amount in zip(instance.demand(), instance.pool(), strict=True)
        ]
    )


def _fill(kinds: Kinds, profits: Integers, room: Integers) -> list[int]:
    placed = []
    fitting = kinds.fitting(room)
    while len(fitting):
        room_now = room.astype(float)
        scores = profits[fitting, 0] * room_now[0]
        for resource in range(1, len(room)):
            scores += profits[fitting, resource] * room_now[resource]
        kind = int(fitting[scores.argmax()])
        room -= kinds.demand[kind]
        placed.append(kinds.take(kind))
        fitting = kinds.fitting(room, fitting)
    return placed
