# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

from clusters import host, snapshot
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.shares import ceiling, charge, effective_pool

MB = Resources(memory_mb=1)


def shares(**options: object) -> dict[str, tuple[object, object, object]]:
    made = snapshot([host("a"), host("b")], **options)  # type: ignore[arg-type]
    return {
        each.name: (each.fair_share, each.entitlement, each.floor)
        for each in made.frameworks.values()
    }


def test_an_idle_cluster_is_shared_by_weight_and_all_is_lent() -> None:
    assert shares() == {HYPERVISOR: (Fraction(1, 2), 0, 0), CONTAINER: (Fraction(1, 2), 0, 0)}
    fair = shares(weights={CONTAINER: 3})
    assert (fair[HYPERVISOR][0], fair[CONTAINER][0]) == (Fraction(1, 4), Fraction(3, 4))


def test_what_is_not_lent_stays_entitled_without_being_wanted() -> None:
    assert shares(lending={HYPERVISOR: 0})[HYPERVISOR] == (Fraction(1, 2),) * 3


def test_one_may_borrow_what_the_other_leaves_idle() -> None:
    made = snapshot([host("a", containers_mb=90), host("b", guests_mb=20)])
    target = Resources(memory_mb=150)
    assert ceiling(made.pool, made.frameworks, CONTAINER, target) == Fraction(180, 200)


def test_what_is_wanted_by_its_owner_is_not_lent() -> None:
    pending = {HYPERVISOR: Resources(memory_mb=60)}
    made = snapshot([host("a", containers_mb=90), host("b", guests_mb=20)], pending=pending)
    target = Resources(memory_mb=150)
    assert ceiling(made.pool, made.frameworks, CONTAINER, target) == Fraction(120, 200)


def test_nothing_of_a_share_that_is_not_lent_can_be_borrowed() -> None:
    made = snapshot([host("a"), host("b")], lending={HYPERVISOR: 0})
    assert ceiling(made.pool, made.frameworks, CONTAINER, MB) == Fraction(1, 2)


def test_scores_scale_capacity_and_charge_alike() -> None:
    hosts = [host("fast", containers_mb=40), host("slow", containers_mb=40, score=Fraction(1, 2))]
    assert effective_pool(hosts)[Resources._fields.index("memory_mb")] == 150
    assert charge(hosts, CONTAINER)[Resources._fields.index("memory_mb")] == 60


@given(
    st.integers(0, 100),
    st.integers(0, 100),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 5),
    st.integers(0, 1),
)
def test_entitlements_never_exceed_the_cluster_nor_fall_below_a_met_want(
    guests: int, containers: int, more_guests: int, more_containers: int, weight: int, lent: int
) -> None:
    made = snapshot(
        [host("a", guests_mb=guests), host("b", containers_mb=containers)],
        weights={CONTAINER: weight},
        lending={HYPERVISOR: lent},
        pending={
            HYPERVISOR: Resources(memory_mb=more_guests),
            CONTAINER: Resources(memory_mb=more_containers),
        },
    )
    entitled = [each.entitlement for each in made.frameworks.values()]
    assert sum(entitled) <= 1
    for each in made.frameworks.values():
        wanted = Fraction(each.wanted[Resources._fields.index("memory_mb")], 200)
        # Sharing incentive: a framework that wants no more than its fair share gets it.
        assert each.entitlement >= min(wanted, each.fair_share)
