# SPDX-License-Identifier: Apache-2.0
import operator
from functools import cache, reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.packing.bin_completion import BinCompletion, TooManySteps


@cache
def goes_in(sizes, rooms):
    """Try each size in each room."""
    if not sizes:
        return True
    return any(
        goes_in(sizes[1:], tuple(sorted((*rooms[:i], room - sizes[0], *rooms[i + 1 :]))))
        for i, room in enumerate(rooms)
        if room >= sizes[0]
    )


@given(st.lists(st.integers(1, 12), min_size=1, max_size=10), st.integers(1, 5))
@settings(max_examples=400)
def test_it_finds_a_packing_whenever_there_is_one(sizes, bins):
    sizes = sorted(sizes, reverse=True)
    packed = BinCompletion(12, 1_000_000).pack(sizes, bins)
    assert (packed is not None) == goes_in(tuple(sizes), (12,) * bins)
    if packed is not None:
        assert sorted(reduce(operator.iadd, packed, []), reverse=True) == sizes
        assert all(sum(inside) <= 12 for inside in packed)
        assert len(packed) <= bins


def test_it_gives_up_after_its_steps():
    search = BinCompletion(100, 3)
    with pytest.raises(TooManySteps):
        search.pack([51, 50, 48, 40, 35, 33, 22, 21], 3)
