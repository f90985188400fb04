# SPDX-License-Identifier: Apache-2.0
"""Spreading, as Nova does it."""

from __future__ import annotations

import numpy as np

from hybrid_sched.core.packing.instance import Instance
from hybrid_sched.core.packing.one_by_one import OneByOne, Rooms
from hybrid_sched.core.packing.ordering import Indices


class Spread(OneByOne):
    """Give each task, in the order of the queue, to the host with most left, as Nova's weighers do with their defaults.

    What a host has left is the sum over its resources of the share of all hosts' capacity. Ties go to the lowest index. It uses
    as many hosts as it can, which is what one wants where hosts are not to be saved.
    """

    def order(self, instance: Instance) -> Indices:
        """Keep the order of the queue."""
        return np.arange(len(instance.tasks))

    def choose(self, rooms: Rooms, fitting: Indices) -> int:
        """Choose the host with most left."""
        return int(fitting[rooms.sizes[fitting].argmax()])
