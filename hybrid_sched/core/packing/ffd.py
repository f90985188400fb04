# SPDX-License-Identifier: Apache-2.0
"""First fit decreasing."""

from __future__ import annotations

from hybrid_sched.core.packing.one_by_one import OneByOne, Rooms
from hybrid_sched.core.packing.ordering import Indices


class FirstFitDecreasing(OneByOne):
    """Give each task, by dominant share, largest first, to the first host in the order given on which it fits.

    In one dimension and on equal hosts it uses at most 11/9 of the fewest hosts possible plus 6/9 (Dosa, 2007).
    """

    def choose(self, rooms: Rooms, fitting: Indices) -> int:
        """Choose the first."""
        return int(fitting[0])
