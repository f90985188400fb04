# SPDX-License-Identifier: Apache-2.0
import random
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.packing.cross_fill import CrossFill


def by_the_book(tasks, hosts, conserve=False, resource=None):
    """Algorithm 2 written down once more with plain lists."""
    length = len(tasks[0]) if tasks else 0
    pool = [sum(host[r] for host in hosts) for r in range(length)]

    def share(task):
        if resource is not None:
            return task[resource]
        return max(Fraction(task[r], pool[r]) if pool[r] else 0 for r in range(length))

    remaining = sorted(range(len(tasks)), key=lambda t: (-share(tasks[t]), t))
    needs = [
        Fraction(sum(task[r] for task in tasks), pool[r]) if pool[r] else 0 for r in range(length)
    ]
    first = needs.index(max(needs)) if needs else 0
    main = first if resource is None else resource
    free = [list(host) for host in hosts]
    bins = {}
    order = sorted(range(len(hosts)), key=lambda h: (-hosts[h][main], h)) if tasks else []
    for h in order:

        def fits(task, h=h):
            return all(task[r] <= free[h][r] for r in range(length))

        def put(t, h=h):
            remaining.remove(t)
            bins.setdefault(h, []).append(t)
            for r in range(length):
                free[h][r] -= tasks[t][r]

        head = next((t for t in remaining if fits(tasks[t])), None)
        if head is None:
            continue
        put(head)
        for t in list(reversed(remaining)):
            if fits(tasks[t]):
                put(t)
            elif not conserve:
                break
    return bins, sorted(remaining), free


@st.composite
def instances(draw):
    length = draw(st.integers(1, 3))
    vector = st.lists(st.integers(0, 9), min_size=length, max_size=length).map(tuple)
    tasks = draw(st.lists(vector, max_size=12))
    hosts = draw(st.lists(vector, max_size=6))
    resource = draw(st.one_of(st.none(), st.integers(0, length - 1)))
    return tasks, hosts, draw(st.booleans()), resource


@given(instances())
@settings(max_examples=400)
def test_it_does_what_the_listing_says(instance):
    tasks, hosts, conserve, resource = instance
    packing = CrossFill(conserve=conserve, resource=resource).pack(tasks, hosts)
    bins, unplaced, free = by_the_book(tasks, hosts, conserve, resource)
    assert {h: list(placed) for h, placed in packing.bins.items()} == bins
    assert list(packing.bins) == list(bins)
    assert list(packing.unplaced) == unplaced
    assert [list(room) for room in packing.free] == free
    assert packing.used == len(bins)


@pytest.mark.parametrize("conserve", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_long_queues_and_hosts_of_many_sizes_are_packed_by_the_listing_too(seed, conserve):
    """Heads far from the left end, holes in the filling, fillings of more than a hundred tasks, keys of many bits."""
    draw = random.Random(seed)
    scale = (1, 10**6, 10**9 + 7, 1)[seed]
    tasks = [
        (draw.choice([1, 2, 7, 60]) * scale + draw.randrange(scale), draw.choice([0, 1, 3, 90]))
        for _ in range(1500)
    ]
    hosts = [(draw.randrange(300) * scale, draw.randrange(400)) for _ in range(60)]
    packing = CrossFill(conserve=conserve).pack(tasks, hosts)
    bins, unplaced, free = by_the_book(tasks, hosts, conserve)
    assert {h: list(placed) for h, placed in packing.bins.items()} == bins
    assert list(packing.bins) == list(bins)
    assert list(packing.unplaced) == unplaced
    assert [list(room) for room in packing.free] == free
    assert max(map(len, bins.values())) > 100


@given(instances())
def test_every_task_is_placed_once_or_unplaced_and_no_host_is_overfull(instance):
    tasks, hosts, conserve, resource = instance
    packing = CrossFill(conserve=conserve, resource=resource).pack(tasks, hosts)
    placed = [task for bin_ in packing.bins.values() for task in bin_]
    assert sorted([*placed, *packing.unplaced]) == list(range(len(tasks)))
    assert all(amount >= 0 for room in packing.free for amount in room)


def test_conserve_goes_on_past_a_small_task_that_does_not_fit():
    tasks = [(6, 1), (2, 2), (1, 9)]
    hosts = [(9, 9), (0, 0)]
    assert CrossFill().pack(tasks, hosts).bins == {0: (2,)}
    assert CrossFill(resource=0).pack(tasks, hosts).bins == {0: (0,)}
    assert CrossFill(resource=0, conserve=True).pack(tasks, hosts).bins == {0: (0, 1)}


@cache
def fewest_bins(sizes, capacity):
    """Exact: the first item goes with every subset of the others that leaves the least waste worth trying."""
    if not sizes:
        return 0
    if sum(sizes) <= capacity:
        return 1
    first, rest = sizes[0], sizes[1:]
    best = len(sizes)
    for mask in range(1 << len(rest)):
        together = first + sum(size for i, size in enumerate(rest) if mask >> i & 1)
        if together <= capacity:
            left = tuple(size for i, size in enumerate(rest) if not mask >> i & 1)
            best = min(best, 1 + fewest_bins(left, capacity))
    return best


@pytest.mark.parametrize("capacity", range(1, 13))
def test_in_one_dimension_it_uses_at_most_three_halves_of_the_fewest_hosts(capacity):
    """All multisets of at most seven sizes; that the bound is reached shows the test has teeth."""
    packer = CrossFill(resource=0)
    worst = Fraction(0)
    for count in range(1, 8):
        hosts = [(capacity,)] * count
        for sizes in combinations_with_replacement(range(capacity, 0, -1), count):
            used = packer.pack([(size,) for size in sizes], hosts).used
            # The volume bound settles most cases without the exact search.
            bound = -(-sum(sizes) // capacity)
            if 2 * used > 3 * bound:
                bound = fewest_bins(sizes, capacity)
            assert 2 * used <= 3 * bound, (sizes, used, bound)
            worst = max(worst, Fraction(used, bound))
    if capacity >= 6:
        assert worst > 1
