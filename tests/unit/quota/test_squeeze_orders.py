# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from engines import Site
from values import decision, task

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Number
from hybrid_sched.quota.squeeze import SqueezeOrders, squeezed_pools


class Squeezed(Site):
    """An engine with hosts ``a`` and ``b`` in the default pool, whose containers borrow, and ``f`` in another one."""

    def __init__(self) -> None:
        super().__init__(lending_of_guests="1", squeeze_after_s=0)
        self.orders = SqueezeOrders(repeat_s=60)
        self.applied: dict[str, dict[str, Number]] = {"a": {}, "b": {}, "f": {}}
        self.run(pool_of={"f": "fast"})

    def due(self, owed_mb: int = 100) -> dict[str, dict[str, Number]]:
        """Run a cycle in which guests want so much; gives what the agents are told."""
        wanted = decision(
            "g",
            framework=HYPERVISOR,
            demand=task("g", owed_mb).demand,
            refused_by_share=owed_mb > 0,
        )
        self.engine.take_decision(wanted)
        self.report("a", task("t", 100), squeezed=self.applied["a"])
        self.report("b", task("u", 50), squeezed=self.applied["b"])
        self.report("f", task("v", 50), squeezed=self.applied["f"])
        self.run()
        due = self.engine.squeeze_due(self.orders)
        return {host: dict(factors) for host, factors in due.items()}

    def apply(self, orders: dict[str, dict[str, Number]]) -> None:
        """Do what the agents were told, so that the next reports say so."""
        self.applied.update(orders)


HALVED = {CONTAINER: Fraction(100, 150)}


@pytest.fixture
def site() -> Squeezed:
    return Squeezed()


def test_hosts_of_a_pool_with_a_borrower_are_told_until_they_report_it(site: Squeezed) -> None:
    orders = site.due()
    assert orders == {"a": HALVED, "b": HALVED}
    assert squeezed_pools(site.snapshot) == {"": HALVED}
    # Neither has done it yet.
    assert site.due() == orders
    site.apply({"a": HALVED})
    assert site.due() == {"b": HALVED}
    site.apply({"b": HALVED})
    assert site.due() == {}


def test_an_order_is_repeated_now_and_then(site: Squeezed) -> None:
    site.apply(site.due())
    told = []
    for _ in range(4):
        site.clock.now_s += 20
        told.append(set(site.due()))
    assert told == [set(), set(), {"a", "b"}, set()]


def test_a_factor_that_changes_is_told_at_once(site: Squeezed) -> None:
    site.apply(site.due())
    less = {CONTAINER: Fraction(120, 150)}
    assert site.due(owed_mb=80) == {"a": less, "b": less}


def test_hosts_are_released_once_nobody_is_owed(site: Squeezed) -> None:
    site.apply(site.due())
    assert site.due(owed_mb=0) == {"a": {}, "b": {}}
    site.apply({"a": {}})
    assert site.due(owed_mb=0) == {"b": {}}
    site.apply({"b": {}})
    assert site.due(owed_mb=0) == {}
    # Released, an order to squeeze is new again.
    assert site.due() == {"a": HALVED, "b": HALVED}


def test_a_host_that_is_squeezed_without_reason_is_released(site: Squeezed) -> None:
    site.apply({"f": HALVED})
    assert site.due(owed_mb=0) == {"f": {}}


def test_a_host_that_leaves_its_pool_is_released(site: Squeezed) -> None:
    site.apply(site.due())
    site.inputs = site.inputs.__class__(pool_of={"b": "fast", "f": "fast"})
    # The borrower now holds 100 of the 100 MiB that are left of the pool.
    assert site.due(owed_mb=50) == {"a": {CONTAINER: Fraction(1, 2)}, "b": {}}


def test_a_host_that_was_forgotten_is_told_nothing(site: Squeezed) -> None:
    site.apply(site.due())
    site.clock.now_s += 601
    site.report("f")
    site.run()
    assert site.engine.squeeze_due(site.orders) == {}
