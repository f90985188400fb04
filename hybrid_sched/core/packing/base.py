# SPDX-License-Identifier: Apache-2.0
"""The contract of a packer: entry points of ``hybrid_sched.packing``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.resources import Vector

# The entry point that is taken where none is named: the best by ``make bench-pack``.
DEFAULT_PACKER = "repack"

# A row a task or host, a column a resource: vectors of exact numbers, or an integer array of shape (rows, resources).
Rows = Sequence[Vector] | npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each task goes.

    :param bins: tasks of each host that got any, in the order they were placed; hosts in the order they were opened. A packer
        may make the tuples only when they are asked for.
    :param unplaced: tasks for which there was no room, ascending.
    :param free: what each host has left.
    """

    bins: Mapping[int, tuple[int, ...]]
    unplaced: tuple[int, ...]
    free: tuple[Vector, ...]

    @property
    def used(self) -> int:
        """Give the number of hosts that got a task."""
        return len(self.bins)


class Packer(ABC):
    """Pack a queue of tasks onto hosts, all at once.

    A packer keeps nothing between calls, never places a task where it does not fit on every resource, and gives the same
    answer for the same input. Its constructor works without arguments.
    """

    @abstractmethod
    def pack(self, tasks: Rows, hosts: Rows) -> Packing:
        """Place tasks.

        :param tasks: demand of each, a number a resource, none negative.
        :param hosts: what each host has free, a number a resource.
        :returns: the placement; indices count from 0 in the order given.
        :raises ValueError: when rows differ in length, or a demand is negative.
        """
