# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.packing.base import DEFAULT_PACKER
from hybrid_sched.core.packing.bfd import BestFitDecreasing
from hybrid_sched.core.packing.bounds import lower_bound
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.packing.dot_product import DotProduct
from hybrid_sched.core.packing.ffd import FirstFitDecreasing
from hybrid_sched.core.packing.repack import Repack
from hybrid_sched.core.packing.spread import Spread

PACKERS = {
    "bfd": BestFitDecreasing,
    "cross_fill": CrossFill,
    "dot_product": DotProduct,
    "ffd": FirstFitDecreasing,
    "repack": lambda: Repack(effort=300),
    "spread": Spread,
}


@st.composite
def problems(draw):
    length = draw(st.integers(1, 3))
    vector = st.lists(st.integers(0, 9), min_size=length, max_size=length).map(tuple)
    return draw(st.lists(vector, max_size=14)), draw(st.lists(vector, max_size=7))


def contents(packing):
    return dict(packing.bins), list(packing.bins), packing.unplaced, packing.free


each_packer = pytest.mark.parametrize("make", PACKERS.values(), ids=PACKERS.keys())


def test_the_default_is_one_of_them():
    assert DEFAULT_PACKER in PACKERS


@each_packer
@given(problem=problems())
def test_each_task_is_on_one_host_with_room_or_unplaced(make, problem):
    tasks, hosts = problem
    packing = make().pack(tasks, hosts)
    placed = [task for of_host in packing.bins.values() for task in of_host]
    assert sorted([*placed, *packing.unplaced]) == list(range(len(tasks)))
    assert list(packing.unplaced) == sorted(packing.unplaced)
    assert all(packing.bins.values())
    assert packing.used == len(packing.bins)
    for host, room in enumerate(hosts):
        of_host = packing.bins.get(host, ())
        left = tuple(room[r] - sum(tasks[task][r] for task in of_host) for r in range(len(room)))
        assert packing.free[host] == left
        assert all(amount >= 0 for amount in left)


@pytest.mark.parametrize("name", sorted(set(PACKERS) - {"cross_fill"}))
@given(problem=problems())
def test_what_is_unplaced_fits_nowhere(name, problem):
    tasks, hosts = problem
    packing = PACKERS[name]().pack(tasks, hosts)
    for task in packing.unplaced:
        for room in packing.free:
            assert any(need > left for need, left in zip(tasks[task], room, strict=True))


@each_packer
@given(problem=problems())
def test_arrays_fractions_and_numbers_beyond_64_bits_are_packed_as_integers_are(make, problem):
    tasks, hosts = problem
    plain = make().pack(tasks, hosts)
    assert contents(make().pack(tasks, hosts)) == contents(plain)
    length = len((tasks or hosts or [(0,)])[0])
    arrays = [np.array(rows, dtype=np.int32).reshape(-1, length) for rows in problem]
    assert contents(make().pack(*arrays)) == contents(plain)
    # One 2**61 of the unit: sums do not fit in 64 bits.
    huge = [[tuple(amount << 61 for amount in row) for row in rows] for rows in problem]
    bins, opened, unplaced, free = contents(make().pack(*huge))
    assert (bins, opened, unplaced) == contents(plain)[:3]
    assert free == tuple(tuple(amount << 61 for amount in row) for row in plain.free)
    eighths = [[tuple(Fraction(amount, 8) for amount in row) for row in rows] for rows in problem]
    bins, opened, unplaced, free = contents(make().pack(*eighths))
    assert (bins, opened, unplaced) == contents(plain)[:3]
    assert free == tuple(tuple(Fraction(amount, 8) for amount in row) for row in plain.free)


@each_packer
@given(problem=problems())
@settings(max_examples=60)
def test_no_packing_that_places_all_uses_fewer_hosts_than_the_bound(make, problem):
    tasks, hosts = problem
    packing = make().pack(tasks, hosts)
    if not packing.unplaced:
        assert packing.used >= lower_bound(tasks, hosts) or not tasks


@each_packer
@pytest.mark.parametrize(
    ("tasks", "hosts", "said"),
    [
        ([(1, 2), (3,)], [(4, 4)], "each task and host needs 2 numbers"),
        ([(1, 2)], [(4,)], "each task and host needs 2 numbers"),
        ([(1, -2)], [(4, 4)], "a demand is negative"),
        (np.array([1, 2]), [(4,)], "shape"),
    ],
)
def test_rows_that_make_no_sense_are_refused(make, tasks, hosts, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make().pack(tasks, hosts)


HOSTS = [(8, 8), (10, 6), (8, 8)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # By dominant share of (26, 22): task 3 (6/26), 1 (5/22), 0 (4/22), 2 (1/22).
        ("ffd", {0: (3, 0), 1: (1, 2)}),
        # Host 0 is the roomiest by its shares, 8/26 + 8/22; task 1 then opens host 2, which equals it.
        ("bfd", {0: (3, 0), 2: (1, 2)}),
        # In the order of the queue, each to the roomiest.
        ("spread", {0: (0,), 2: (1,), 1: (2, 3)}),
    ],
)
def test_each_rule_chooses_its_host(name, expected):
    tasks = [(2, 4), (3, 5), (1, 1), (6, 2)]
    assert dict(PACKERS[name]().pack(tasks, HOSTS).bins) == expected


def test_the_dot_product_pairs_what_complements_each_other():
    tasks = [(8, 2), (8, 2), (2, 8), (2, 8)]
    packing = DotProduct().pack(tasks, [(10, 10)] * 4)
    assert dict(packing.bins) == {0: (0, 2), 1: (1, 3)}


def test_repacking_finds_the_optimum_where_the_others_do_not():
    # Three a host, nothing wasted; first fit decreasing needs more.
    tasks = [(size,) for size in (434, 310, 256, 471, 276, 253, 400, 341, 259, 388, 351, 261)]
    hosts = [(1000,)] * 8
    assert FirstFitDecreasing().pack(tasks, hosts).used == 5
    assert Repack().pack(tasks, hosts).used == 4


def test_more_effort_never_costs_hosts():
    sizes = [(7 * i % 83 + 17, 11 * i % 71 + 13) for i in range(120)]
    hosts = [(150, 150)] * 120
    few = Repack(effort=0).pack(sizes, hosts)
    many = Repack(effort=20_000).pack(sizes, hosts)
    assert lower_bound(sizes, hosts) <= many.used <= few.used


def test_hosts_of_different_size_are_opened_largest_first():
    tasks = [(5, 5)] * 4
    hosts = [(5, 5), (20, 20), (5, 5), (10, 10)]
    assert dict(Repack().pack(tasks, hosts).bins) == {1: (0, 1, 2, 3)}
