# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.packing.prefix import longest_prefix

SIZES = st.lists(st.integers(1, 10), max_size=20)


@given(SIZES, st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_the_prefix_is_placed_completely_and_one_task_more_is_not(
    sizes: list[int], rooms: list[int]
) -> None:
    tasks, hosts = [(size,) for size in sizes], [(room,) for room in rooms]
    count, packing = longest_prefix(CrossFill(), tasks, hosts)
    assert sorted(task for placed in packing.bins.values() for task in placed) == list(range(count))
    if count < len(tasks):
        assert CrossFill().pack(tasks[: count + 1], hosts).unplaced


@given(SIZES, st.integers(0, 60))
def test_on_one_host_the_prefix_is_as_long_as_it_can_be(sizes: list[int], room: int) -> None:
    count, _ = longest_prefix(CrossFill(conserve=True), [(size,) for size in sizes], [(room,)])
    assert sum(sizes[:count]) <= room
    assert count == len(sizes) or sum(sizes[: count + 1]) > room
