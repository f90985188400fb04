# SPDX-License-Identifier: Apache-2.0
"""Best fit decreasing."""

from __future__ import annotations

from hybrid_sched.core.packing.one_by_one import OneByOne, Rooms
from hybrid_sched.core.packing.ordering import Indices


class BestFitDecreasing(OneByOne):
    """Give each task, by dominant share, largest first, to the used host with the least left on which it fits.

    What a host has left is the sum over its resources of the share of all hosts' capacity. When the task fits on no used host,
    the one with most left is opened. Ties go to the lowest index.
    """

    def choose(self, rooms: Rooms, fitting: Indices) -> int:
        """Choose the fullest used host, or else the largest."""
        used = fitting[rooms.used[fitting]]
        if len(used):
            return int(used[rooms.sizes[used].argmin()])
        return int(fitting[rooms.sizes[fitting].argmax()])
