# SPDX-License-Identifier: Apache-2.0
"""Which of some sizes fill a room best."""

from __future__ import annotations

from collections.abc import Sequence

# Sums are kept as the bits of one integer: up to this many, each size is one shift of it.
_MOST_BITS = 2_000_000
# What the integers of one search may take together, in bits.
_MOST_MEMORY_BITS = 800_000_000


def fill_exactly(sizes: Sequence[int], room: int) -> list[int]:
    """Find sizes whose sum is the largest that does not exceed a room.

    Sizes are looked at in the order given, and the search ends as soon as the room can be filled wholly, so that a choice among
    equally good ones prefers what comes first. Where the room is too large to keep all sums, sizes are taken in the order given
    as long as they fit; that too leaves nothing behind that would have fitted.

    :param sizes: integers, none negative.
    :returns: their positions, ascending.
    """
    if room > _MOST_BITS:
        return _take_in_order(sizes, room)
    mask = (1 << (room + 1)) - 1
    full = 1 << room
    reachable = 1
    seen: list[tuple[int, int]] = []
    most = _MOST_MEMORY_BITS // (room + 1)
    for position, size in enumerate(sizes):
        if size > room:
            continue
        further = (reachable | (reachable << size)) & mask
        if further != reachable or size == 0:
            seen.append((position, reachable))
            reachable = further
        if reachable & full or len(seen) > most:
            break
    return _with_sum(sizes, seen, reachable.bit_length() - 1)


def _with_sum(sizes: Sequence[int], seen: list[tuple[int, int]], total: int) -> list[int]:
    """Walk back through what could be reached before each size."""
    chosen = []
    for position, before in reversed(seen):
        # A size without which the sum cannot be had, or one of nothing.
        if not before >> total & 1 or sizes[position] == 0:
            chosen.append(position)
            total -= sizes[position]
    return chosen[::-1]


def _take_in_order(sizes: Sequence[int], room: int) -> list[int]:
    chosen = []
    for position, size in enumerate(sizes):
        if size <= room:
            chosen.append(position)
            room -= size
    return chosen
