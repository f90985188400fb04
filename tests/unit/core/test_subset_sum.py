# SPDX-License-Identifier: Apache-2.0
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.packing.subset_sum import fill_exactly


@given(st.lists(st.integers(0, 15), max_size=9), st.integers(0, 40))
def test_no_other_sizes_leave_less(sizes, room):
    chosen = fill_exactly(sizes, room)
    assert chosen == sorted(set(chosen))
    sums = {sum(some) for count in range(len(sizes) + 1) for some in combinations(sizes, count)}
    assert sum(sizes[place] for place in chosen) == max(s for s in sums if s <= room)


def test_what_comes_first_is_preferred():
    assert fill_exactly([3, 4, 3, 4], 7) == [0, 1]


def test_rooms_with_too_many_sums_are_filled_in_order():
    unit = 10**9
    assert fill_exactly([4 * unit, 9 * unit, 3 * unit, unit], 8 * unit) == [0, 2, 3]
