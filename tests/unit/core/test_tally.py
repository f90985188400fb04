# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Host
from hybrid_sched.core.resources import Resources, dominant_share
from hybrid_sched.core.shares import charge, effective_pool
from hybrid_sched.core.tally import DemandDistribution, RecentDemands, Tally

amounts = st.one_of(st.integers(0, 50), st.fractions(0, 50, max_denominator=8))
resources = st.builds(Resources, amounts, amounts, st.just(0), amounts)
scores = st.sampled_from([1, Fraction(1, 2), Fraction(2, 3)])
hosts_of = st.lists(
    st.builds(
        Host,
        name=st.sampled_from("abcdef"),
        capacity=resources,
        score=scores,
        used=st.dictionaries(st.sampled_from([HYPERVISOR, CONTAINER]), resources),
    ),
    max_size=8,
)


@given(hosts_of)
def test_the_sums_are_those_of_the_hosts(hosts: list[Host]) -> None:
    tally = Tally(hosts)
    assert tally.capacity() == effective_pool(hosts)
    assert tally.charge(HYPERVISOR) == charge(hosts, HYPERVISOR)
    assert tally.charge(CONTAINER) == charge(hosts, CONTAINER)


@given(hosts_of, hosts_of, st.randoms())
def test_what_is_counted_out_leaves_no_trace(stay: list[Host], go: list[Host], order) -> None:
    tally = Tally()
    both = [*stay, *go]
    order.shuffle(both)
    for host in both:
        tally.add(host)
    order.shuffle(go)
    for host in go:
        tally.remove(host)
    assert (tally.capacity(), tally.charge(CONTAINER)) == (
        effective_pool(stay),
        charge(stay, CONTAINER),
    )


@given(st.lists(resources, max_size=12), resources)
def test_the_upper_median_is_that_of_the_sorted_shares(
    demands: list[Resources], pool: Resources
) -> None:
    distribution = DemandDistribution()
    distribution.change(Counter(demands))
    shares = sorted(dominant_share(demand, pool) for demand in demands)
    assert distribution.upper_median(pool) == (shares[len(shares) // 2] if shares else 0)


def test_demands_are_counted_out_again() -> None:
    pool = Resources(vcpu=10)
    one, two, five = (Resources(vcpu=n) for n in (1, 2, 5))
    distribution = DemandDistribution()
    distribution.change({one: 3, two: 1})
    assert distribution.upper_median(pool) == Fraction(1, 10)
    distribution.change({one: -3, five: 2})
    assert distribution.upper_median(pool) == Fraction(1, 2)
    # Another pool makes other shares of the same demands.
    assert distribution.upper_median(Resources(vcpu=20)) == Fraction(1, 4)
    distribution.change({two: -1, five: -2})
    assert distribution.upper_median(pool) == 0


@given(st.lists(st.tuples(resources, st.integers(1, 4)), max_size=10), resources, st.integers(1, 9))
def test_heads_are_the_large_half_of_the_newest_tasks(
    came: list[tuple[Resources, int]], pool: Resources, most: int
) -> None:
    recent = RecentDemands(most)
    for demand, count in came:
        recent.add(demand, count)
    newest = [demand for demand, count in came for _ in range(count)][-most:]
    shares = sorted(dominant_share(demand, pool) for demand in newest)
    assert recent.head_threshold(pool) == (shares[len(shares) // 2] if shares else 0)


@pytest.mark.parametrize("empty", [Resources(), Resources(memory_mb=4)])
def test_a_resource_that_the_pool_lacks_makes_no_share(empty: Resources) -> None:
    distribution = DemandDistribution()
    distribution.change({Resources(vcpu=3): 1})
    assert distribution.upper_median(empty) == 0
