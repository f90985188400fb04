# SPDX-License-Identifier: Apache-2.0
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.packing.bounds import lower_bound


def fewest(tasks, hosts):
    """Try every placement of all tasks; None when there is none."""
    best = None
    for where in product(range(len(hosts)), repeat=len(tasks)):
        held = [[0] * len(hosts[0]) for _ in hosts]
        for task, host in zip(tasks, where, strict=True):
            for r, amount in enumerate(task):
                held[host][r] += amount
        if all(
            h <= c
            for mine, room in zip(held, hosts, strict=True)
            for h, c in zip(mine, room, strict=True)
        ):
            used = len(set(where))
            best = used if best is None else min(best, used)
    return best


@given(
    st.integers(1, 2).flatmap(
        lambda length: st.tuples(
            st.lists(st.tuples(*[st.integers(0, 7)] * length), min_size=1, max_size=5),
            st.lists(st.tuples(*[st.integers(0, 9)] * length), min_size=1, max_size=4),
            st.booleans(),
        )
    )
)
@settings(max_examples=300)
def test_no_placement_uses_fewer(problem):
    tasks, hosts, equal = problem
    if equal:
        hosts = [hosts[0]] * len(hosts)
    used = fewest(tasks, hosts)
    if used is not None:
        assert lower_bound(tasks, hosts) <= used


@pytest.mark.parametrize(
    ("tasks", "hosts", "bound"),
    [
        ([], [(5,)], 0),
        ([(9,)], [(5,)], 0),
        ([(0, 0)], [(5, 5)], 1),
        ([(3, 1)] * 4, [(5, 5)] * 9, 4),
        # 18 of 10 + 6 + 5: the two largest do not hold it.
        ([(6,), (4,), (4,), (4,)], [(5,), (10,), (6,)], 3),
        # By volume three; but two above half of a host never share one.
        ([(6,)] * 4, [(10,)] * 9, 4),
        # Sevens go alone, and so does each four beside them.
        ([(7,), (7,), (4,), (4,)], [(10,)] * 9, 3),
        # More than there is stays unplaced.
        ([(5,)] * 9, [(5,)] * 2, 2),
    ],
)
def test_bounds_of_known_problems(tasks, hosts, bound):
    assert lower_bound(tasks, hosts) == bound
