# SPDX-License-Identifier: Apache-2.0
"""Whether some sizes go into a number of equal bins: bin completion (Korf, AAAI 2002), given up after a number of steps."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence


class TooManySteps(Exception):
    """The search was given up; the sizes may or may not go in."""


class BinCompletion:
    """Fills bin after bin: each has the largest size that is left, and sets beside it are tried in turn.

    What all bins leave together is known from the start, so that a set which leaves more is not looked at: the less there is to
    waste, the shorter is the search.

    :param capacity: of each bin.
    :param steps: sizes tried before it is given up.
    """

    def __init__(self, capacity: int, steps: int) -> None:
        self._capacity = capacity
        self.steps_left = steps

    def pack(self, sizes: Sequence[int], bins: int) -> list[list[int]] | None:
        """Find a packing.

        :param sizes: descending, none above the capacity, all above 0.
        :param bins: how many there are.
        :returns: the sizes in each bin; None when they do not go in.
        :raises TooManySteps: when the search was given up.
        """
        waste = bins * self._capacity - sum(sizes)
        return self._pack(list(sizes), waste) if waste >= 0 else None

    def _pack(self, sizes: list[int], waste: int) -> list[list[int]] | None:
        if sum(sizes) <= self._capacity:
            return [sizes] if sizes else []
        head, rest = sizes[0], sizes[1:]
        # Negated, they ascend, and can be searched by bisection.
        ascending = [-size for size in rest]
        for chosen, left in self._completions(ascending, 0, self._capacity - head, waste):
            taken = set(chosen)
            others = [size for place, size in enumerate(rest) if place not in taken]
            packed = self._pack(others, waste - left)
            if packed is not None:
                return [[head, *(rest[place] for place in chosen)], *packed]
        return None

    def _completions(
        self, ascending: list[int], start: int, room: int, waste: int
    ) -> Iterator[tuple[tuple[int, ...], int]]:
        """Give sets of places from one on that leave at most the waste of a room, and what each leaves; larger sizes first."""
        count = len(ascending)
        least = -ascending[-1] if ascending else 0
        place = bisect_left(ascending, -room, start)
        while place < count:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise TooManySteps
            size = -ascending[place]
            left = room - size
            if left > waste and left < least:
                # Too much to waste, and too little for another: go on with what leaves room for one.
                place = bisect_left(ascending, least - room, place + 1)
                continue
            if left >= least:
                for chosen, unused in self._completions(ascending, place + 1, left, waste):
                    yield (place, *chosen), unused
            elif left <= waste:
                yield (place,), left
            # The next size that differs.
            place = bisect_left(ascending, 1 - size, place + 1)
        if room <= waste:
            yield (), room
