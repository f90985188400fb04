# SPDX-License-Identifier: Apache-2.0
"""The left-most task of a sorted queue that fits into a room, without looking at each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.packing.instance import Integers

_BLOCK = 256


class Heads:
    """Finds heads: what is too large for a room is passed over in blocks of positions.

    :param demand: of the tasks in sorted order, of shape (tasks, resources).
    :ivar taken: for each position, whether it was found and taken.
    """

    def __init__(self, demand: Integers) -> None:
        self._demand = demand
        self.taken: npt.NDArray[np.bool_] = np.zeros(len(demand), dtype=bool)
        self._least: Integers | None = None
        # Tasks only leave the queue, so that for one room the answers go to the right.
        self._found: dict[tuple[int, ...], int] = {}

    def first(self, room: tuple[int, ...], left: int, right: int) -> int | None:
        """Find the first position in a range that is not taken and whose task fits.

        :param room: a number a resource.
        """
        position = self._first(room, max(left, self._found.get(room, 0)), right)
        self._found[room] = right if position is None else position
        return position

    def _first(self, room: tuple[int, ...], left: int, right: int) -> int | None:
        if left >= right:
            return None
        if not self.taken[left] and (self._demand[left] <= room).all():
            return left
        block = left // _BLOCK
        for candidate in [block, *self._blocks_to_look_at(room, block + 1)]:
            start, stop = max(left, candidate * _BLOCK), min(right, (candidate + 1) * _BLOCK)
            if start >= right:
                break
            fitting = (self._demand[start:stop] <= room).all(axis=1) & ~self.taken[start:stop]
            if fitting.any():
                return start + int(fitting.argmax())
        return None

    def _blocks_to_look_at(self, room: tuple[int, ...], first: int) -> list[int]:
        """Give the blocks in which each resource has some task that needs no more of it than there is."""
        if self._least is None:
            starts = np.arange(0, len(self._demand), _BLOCK)
            self._least = np.minimum.reduceat(self._demand, starts, axis=0)
        hopeful = (self._least[first:] <= room).all(axis=1)
        blocks: list[int] = (np.flatnonzero(hopeful) + first).tolist()
        return blocks
