# SPDX-License-Identifier: Apache-2.0
"""The contract of a packer: entry points of ``hybrid_sched.packing``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hybrid_sched.core.resources import Vector


@dataclass(frozen=True, slots=True)
class Packing:
    """Where each task goes.

    :param bins: tasks of each host that got any, in the order they were placed; hosts in the order they were opened.
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
    answer for the same input.
    """

    @abstractmethod
    def pack(self, tasks: Sequence[Vector], hosts: Sequence[Vector]) -> Packing:
        """Place tasks.

        :param tasks: demand of each, a number a resource.
        :param hosts: what each host has free, a number a resource.
        :returns: the placement; indices count from 0 in the order given.
        """
