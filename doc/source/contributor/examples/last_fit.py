# SPDX-License-Identifier: Apache-2.0
"""A packer: each task, largest first, onto the last host with room, to keep the first ones free for what is to come."""

from __future__ import annotations

from hybrid_sched.core.packing.one_by_one import OneByOne, Rooms
from hybrid_sched.core.packing.ordering import Indices


class LastFit(OneByOne):
    """Take the last host on which a task fits."""

    def choose(self, rooms: Rooms, fitting: Indices) -> int:
        """Choose the last."""
        return int(fitting[-1])
