# SPDX-License-Identifier: Apache-2.0
"""How many hosts any packing needs at least."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate

import numpy as np

from hybrid_sched.core.packing.base import Rows
from hybrid_sched.core.packing.instance import Instance, Integers

# The bound of Martello and Toth is tried with this many thresholds at most.
_THRESHOLDS = 2000


def lower_bound(tasks: Rows, hosts: Rows) -> int:
    """Give a number of hosts that no packing can go below.

    It is the largest of these: for each resource, the fewest hosts whose room, largest first, covers the demand, and
    on equal hosts the bound L2 of Martello and Toth (Discrete Applied Mathematics 28, 1990), which sees that large tasks
    cannot share a host. Tasks that fit on no host, were it theirs alone, are not counted.

    :param tasks: demand of each, a number a resource.
    :param hosts: what each host has free, a number a resource.
    :returns: at most the number of hosts, since what exceeds all of them stays unplaced.
    """
    instance = Instance.of(tasks, hosts)
    demand = instance.tasks[placeable(instance)]
    if not len(demand):
        return 0
    best = 1
    for wanted, rooms in zip(demand.T, instance.hosts.T, strict=True):
        best = max(best, _volume_bound(wanted, rooms))
        if (rooms == rooms[0]).all():
            best = max(best, _martello_toth(wanted.tolist(), int(rooms[0])))
    return min(best, len(hosts))


def placeable(instance: Instance) -> Integers:
    """Say for each task whether it fits on some host that has nothing else."""
    kinds, kind_of = _distinct(instance.tasks)
    shapes, _ = _distinct(instance.hosts)
    fits = np.array([bool((kind <= shapes).all(axis=1).any()) for kind in kinds], dtype=bool)
    return fits[kind_of]


def _distinct(rows: Integers) -> tuple[Integers, list[int]]:
    """Give the distinct rows, and for each row which of them it is."""
    index: dict[tuple[int, ...], int] = {}
    of_row = [index.setdefault(tuple(row), len(index)) for row in rows.tolist()]
    return np.array(list(index), dtype=rows.dtype).reshape(len(index), rows.shape[1]), of_row


def _volume_bound(wanted: Integers, rooms: Integers) -> int:
    """Give the fewest hosts whose rooms together hold what is wanted; one more than there are if all do not."""
    total = int(wanted.sum())
    held = list(accumulate(sorted((max(room, 0) for room in rooms.tolist()), reverse=True)))
    return bisect_left(held, total) + 1 if total > 0 else 0


def _martello_toth(sizes: list[int], capacity: int) -> int:
    """Give the bound L2 for sizes in one dimension, none above the capacity.

    For a threshold k up to half of the capacity: those above capacity - k go alone; those above half need a host each; what
    those from k to a half need beyond the room beside the latter takes further hosts.
    """
    if capacity <= 0:
        return 0
    sizes = sorted(sizes)
    sums = [0, *accumulate(sizes)]
    half = bisect_right(sizes, capacity // 2)
    large = len(sizes) - half
    thresholds = sorted({0, *sizes[:half]})
    step = -(-len(thresholds) // _THRESHOLDS)
    best = 0
    for threshold in thresholds[::step]:
        alone = bisect_right(sizes, capacity - threshold)
        least = bisect_left(sizes, threshold)
        paired = alone - half
        beside = paired * capacity - (sums[alone] - sums[half])
        beyond = sums[half] - sums[least] - beside
        best = max(best, large + max(0, -(-beyond // capacity)))
    return best
