# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Framework, Host
from hybrid_sched.core.drf import Holding, reclaim
from hybrid_sched.core.resources import Resources, dominant_share, fits, scale, total
from hybrid_sched.core.shares import (
    SharePolicy,
    ceiling,
    charge,
    effective_pool,
    frameworks_of,
)

POOL = Resources(vcpu=12, memory_mb=12)
LENGTH = len(POOL)
NOTHING = Resources()
HALF, THIRD, QUARTER = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)


def both(vcpu):
    """Want of both resources alike."""
    return Resources(vcpu=vcpu, memory_mb=vcpu)


def two(weights=(1, 1), lending=(1, 1), used=(NOTHING, NOTHING), pending=(NOTHING, NOTHING)):
    """Work out the shares of guests and containers, in this order."""
    names = (HYPERVISOR, CONTAINER)
    policies = [SharePolicy(*values) for values in zip(names, weights, lending, strict=True)]
    return frameworks_of(
        POOL,
        policies,
        dict(zip(names, used, strict=True)),
        dict(zip(names, pending, strict=True)),
        {},
    )


HOSTS = [
    Host("rich", Resources(8, 100), 1, {HYPERVISOR: Resources(2, 10), CONTAINER: Resources(1, 5)}),
    Host("poor", Resources(6, 40), Fraction(1, 4), {HYPERVISOR: Resources(4, 20)}),
]


def test_the_pool_counts_each_host_by_its_score():
    assert effective_pool(HOSTS) == Resources(vcpu=8 + Fraction(6, 4), memory_mb=110)
    assert effective_pool([]) == NOTHING


def test_what_a_framework_holds_is_charged_by_the_score_of_the_host():
    assert charge(HOSTS, HYPERVISOR) == Resources(vcpu=3, memory_mb=15)
    assert charge(HOSTS, CONTAINER) == Resources(vcpu=1, memory_mb=5)
    assert charge(HOSTS, "unknown") == NOTHING


@pytest.mark.parametrize(
    ("situation", "fair", "entitled"),
    [
        # Nobody wants anything: the fair shares are known all the same.
        ({}, (HALF, HALF), (0, 0)),
        ({"weights": (2, 1)}, (2 * THIRD, THIRD), (0, 0)),
        ({"weights": (QUARTER, 1)}, (Fraction(1, 5), Fraction(4, 5)), (0, 0)),
        # Both want all.
        ({"used": (both(12), both(12)), "weights": (2, 1)}, (2 * THIRD, THIRD), (2 * THIRD, THIRD)),
        # What one leaves idle is the other's, and what is asked for counts like what is held.
        ({"used": (both(3), both(12))}, (HALF, HALF), (QUARTER, 3 * QUARTER)),
        ({"pending": (both(3), both(12))}, (HALF, HALF), (QUARTER, 3 * QUARTER)),
        (
            {"used": (both(1), both(9)), "pending": (both(2), both(3))},
            (HALF, HALF),
            (QUARTER, 0.75),
        ),
        # A borrower gives way as soon as the lender wants its part back.
        ({"used": (both(3), both(9)), "pending": (both(9), NOTHING)}, (HALF, HALF), (HALF, HALF)),
        # Wants that do not meet leave each with all it wants.
        ({"used": (Resources(vcpu=12), Resources(memory_mb=12))}, (1, 1), (1, 1)),
    ],
)
def test_shares_by_weight_and_by_want(situation, fair, entitled):
    frameworks = two(**situation)
    assert tuple(framework.fair_share for framework in frameworks.values()) == fair
    assert tuple(framework.entitlement for framework in frameworks.values()) == entitled


def test_the_shares_of_the_example_of_the_drf_paper():
    """Ghodsi et al., NSDI 2011, figure 3: tasks of <1 CPU, 4 GB> and <3 CPU, 1 GB> in <9 CPU, 18 GB>."""
    policies = [SharePolicy(HYPERVISOR), SharePolicy(CONTAINER)]
    used = {HYPERVISOR: Resources(1, 4), CONTAINER: Resources(3, 1)}
    frameworks = frameworks_of(Resources(9, 18), policies, used, {}, {})
    assert [each.fair_share for each in frameworks.values()] == [Fraction(2, 3), Fraction(2, 3)]
    assert [each.entitlement for each in frameworks.values()] == [Fraction(2, 9), THIRD]


@pytest.mark.parametrize(
    ("lending", "used", "floor", "entitled"),
    [
        # The first is idle and the second wants all.
        (1, 0, 0, (0, 1)),
        (HALF, 0, QUARTER, (QUARTER, 3 * QUARTER)),
        (0, 0, HALF, (HALF, HALF)),
        # Some of the floor is in use; more than it; more than the fair share.
        (HALF, 1, QUARTER, (QUARTER, 3 * QUARTER)),
        (HALF, 4, QUARTER, (THIRD, 2 * THIRD)),
        (HALF, 9, QUARTER, (HALF, HALF)),
    ],
)
def test_the_floor_is_never_lent(lending, used, floor, entitled):
    frameworks = two(lending=(lending, 1), used=(both(used), both(12)))
    assert frameworks[HYPERVISOR].floor == floor
    assert frameworks[CONTAINER].floor == 0
    assert tuple(framework.entitlement for framework in frameworks.values()) == entitled


def test_a_framework_is_described_as_a_whole_and_the_order_of_the_policies_is_kept():
    policies = [SharePolicy(CONTAINER, 3, HALF), SharePolicy(HYPERVISOR)]
    frameworks = frameworks_of(
        POOL,
        policies,
        {CONTAINER: Resources(vcpu=2, memory_mb=1)},
        {CONTAINER: Resources(vcpu=1, memory_mb=2)},
        {CONTAINER: QUARTER},
    )
    assert list(frameworks.items()) == [
        (
            CONTAINER,
            Framework(
                name=CONTAINER,
                weight=3,
                used=Resources(vcpu=2, memory_mb=1),
                wanted=both(3),
                fair_share=3 * QUARTER,
                entitlement=Fraction(3, 8),
                floor=Fraction(3, 8),
                head_threshold=QUARTER,
                owed=Fraction(1, 12),
            ),
        ),
        (
            HYPERVISOR,
            Framework(
                name=HYPERVISOR,
                weight=1,
                used=NOTHING,
                wanted=NOTHING,
                fair_share=QUARTER,
                entitlement=0,
                floor=0,
                head_threshold=0,
            ),
        ),
    ]


def test_without_hosts_nobody_has_a_share():
    frameworks = frameworks_of(NOTHING, [SharePolicy(HYPERVISOR)], {}, {}, {})
    assert frameworks[HYPERVISOR].fair_share == frameworks[HYPERVISOR].entitlement == 0


@pytest.mark.parametrize(
    ("situation", "target", "limit"),
    [
        # The other is idle and lends all, half, nothing.
        ({}, both(1), 1),
        ({"lending": (1, HALF)}, both(1), 3 * QUARTER),
        ({"lending": (1, 0)}, both(1), HALF),
        # What it keeps for itself does not keep it from growing.
        ({"lending": (0, 1)}, both(1), 1),
        # The other wants a part, or all; what it waits for counts.
        ({"used": (NOTHING, both(3))}, both(1), 3 * QUARTER),
        ({"used": (NOTHING, both(12))}, both(1), HALF),
        ({"used": (NOTHING, both(1)), "pending": (NOTHING, both(11))}, both(1), HALF),
        ({"used": (NOTHING, both(12)), "weights": (1, 2)}, both(1), THIRD),
        # The other wants a resource that this one does not, so that they do not meet.
        ({"used": (NOTHING, Resources(memory_mb=12))}, Resources(vcpu=1), 1),
        # They meet in memory, of which this one needs a twelfth of what the other does.
        ({"used": (NOTHING, Resources(memory_mb=12))}, Resources(12, 1), Fraction(12, 13)),
        ({"used": (NOTHING, Resources(memory_mb=12))}, Resources(vcpu=1, memory_mb=1), HALF),
        # Only the direction of the target counts, and none is taken for all resources alike.
        ({"used": (NOTHING, both(3))}, both(100), 3 * QUARTER),
        ({"used": (NOTHING, both(3))}, NOTHING, 3 * QUARTER),
        # What it wants itself, pending or not, does not bound it.
        ({"used": (both(6), both(3)), "pending": (both(6), NOTHING)}, both(1), 3 * QUARTER),
    ],
)
def test_a_framework_may_grow_by_what_the_other_lends(situation, target, limit):
    assert ceiling(POOL, two(**situation), HYPERVISOR, target) == limit


def test_the_ceiling_is_that_of_the_framework_that_is_named():
    frameworks = two(weights=(1, 3), used=(both(12), both(12)))
    assert ceiling(POOL, frameworks, HYPERVISOR, both(1)) == QUARTER
    assert ceiling(POOL, frameworks, CONTAINER, both(1)) == 3 * QUARTER


UNDECLARED = Resources(vcpu=12, net_in_bps=7)


@pytest.mark.parametrize(
    "rated",
    [{"used": (UNDECLARED, both(12))}, {"pending": (UNDECLARED, both(12))}],
)
def test_a_rate_that_no_host_declares_changes_no_share(rated):
    plain = {
        name: tuple(vector._replace(net_in_bps=0) for vector in vectors)
        for name, vectors in rated.items()
    }
    assert two(**rated) == two(**plain)
    for name, target in ((CONTAINER, both(1)), (HYPERVISOR, Resources(vcpu=1))):
        limits = {ceiling(POOL, two(**wants), name, target) for wants in (rated, plain)}
        assert limits == {HALF}


amounts = st.integers(0, 12)
vectors = st.tuples(amounts, amounts).map(lambda pair: Resources(*pair))
weights = st.sampled_from([1, 2, 3, HALF, Fraction(3, 4)])
parts = st.fractions(0, 1, max_denominator=4)
situations = st.fixed_dictionaries(
    {
        name: st.tuples(values, values)
        for name, values in (
            ("weights", weights),
            ("lending", parts),
            ("used", vectors),
            ("pending", vectors),
        )
    }
)


def direction(vector):
    """Scale a vector to a dominant share of 1; none is taken for all resources alike."""
    share = dominant_share(vector, POOL)
    return scale(Fraction(1) / share, vector) if share else POOL


def want_of(framework):
    return max(dominant_share(framework.wanted, POOL), framework.floor)


def limit_by_the_book(framework, other, target):
    """Fill two by hand: both rise by weight, until the other has its want or a resource is gone."""
    mine, its, cap = direction(target), direction(other.wanted), want_of(other)

    def alone(held):
        return min(
            (room - held * need) / Fraction(own)
            for room, own, need in zip(POOL, mine, its, strict=True)
            if own
        )

    times = {
        r: Fraction(POOL[r]) / (framework.weight * mine[r] + other.weight * its[r])
        for r in range(LENGTH)
        if mine[r] or its[r]
    }
    first = min(times.values())
    if Fraction(cap) / other.weight <= first:
        return alone(cap)
    if any(mine[r] for r, time in times.items() if time == first):
        return framework.weight * first
    return alone(other.weight * first)


@given(situations, vectors)
@settings(deadline=None, max_examples=200)
def test_the_ceiling_of_two_is_what_filling_them_by_hand_gives(situation, target):
    frameworks = two(**situation)
    guests, containers = frameworks.values()
    assert ceiling(POOL, frameworks, HYPERVISOR, target) == limit_by_the_book(
        guests, containers, target
    )
    assert ceiling(POOL, frameworks, CONTAINER, target) == limit_by_the_book(
        containers, guests, target
    )


@given(situations)
@settings(deadline=None, max_examples=200)
def test_each_gets_its_want_or_its_weighted_part_and_all_together_fit(situation):
    frameworks = two(**situation)
    whole = sum(framework.weight for framework in frameworks.values())
    held = []
    for framework in frameworks.values():
        part = Fraction(framework.weight) / whole
        assert framework.fair_share >= part
        assert min(want_of(framework), part) <= framework.entitlement <= want_of(framework)
        assert framework.floor <= framework.fair_share
        held.append(scale(framework.entitlement, direction(framework.wanted)))
        grown = ceiling(POOL, frameworks, framework.name, framework.wanted)
        assert grown >= framework.entitlement
    assert fits(total(held, LENGTH), POOL)


@given(
    st.tuples(st.integers(0, 12), st.integers(0, 12)),
    st.tuples(st.integers(0, 12), st.integers(0, 12)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_borrowed_and_owed_are_those_of_reclaim(
    held: tuple[int, int], more: tuple[int, int], weights: tuple[int, int]
) -> None:
    units = (Resources(vcpu=1, memory_mb=2), Resources(vcpu=3, memory_mb=1))
    wanted = [u + m for u, m in zip(held, more, strict=True)]
    shares = two(
        weights,
        used=[scale(n, unit) for n, unit in zip(held, units, strict=True)],
        pending=[scale(n, unit) for n, unit in zip(more, units, strict=True)],
    )
    holdings = [
        Holding(unit, used, want, weight)
        for unit, used, want, weight in zip(units, held, wanted, weights, strict=True)
    ]
    # In units there, in dominant shares here.
    for framework, unit, balance in zip(
        shares.values(), units, reclaim(POOL, holdings), strict=True
    ):
        one = dominant_share(unit, POOL)
        assert framework.borrowed == balance.borrowed * one
        assert framework.owed == balance.owed * one
