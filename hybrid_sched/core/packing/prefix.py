# SPDX-License-Identifier: Apache-2.0
"""How many tasks of an ordered queue a packer places when none of them may be left out."""

from __future__ import annotations

from collections.abc import Sequence

from hybrid_sched.core.packing.base import Packer, Packing
from hybrid_sched.core.resources import Vector


def longest_prefix(
    packer: Packer, demands: Sequence[Vector], hosts: Sequence[Vector]
) -> tuple[int, Packing]:
    """Find a prefix that a packer places completely, such that it does not place one task more.

    It is the longest one where a packer that places a prefix places each shorter one too. It takes a number of packings that
    grows with the logarithm of the tasks.

    :param packer: decides where.
    :param demands: of the tasks, in order.
    :param hosts: what each host has free.
    :returns: length of the prefix, and its packing.
    """
    packing = packer.pack(demands, hosts)
    if not packing.unplaced:
        return len(demands), packing
    count, best, too_many = 0, Packing({}, (), ()), len(demands)
    # Doubling first: on a full cluster the run is short, and short runs are quick to pack.
    step = 1
    while too_many - count > 1:
        middle = min(count + step, (count + too_many + 1) // 2) if step else (count + too_many) // 2
        packing = packer.pack(demands[:middle], hosts)
        if packing.unplaced:
            too_many, step = middle, 0
        else:
            count, best = middle, packing
            step *= 2
    return count, best
