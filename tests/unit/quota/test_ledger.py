# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

from values import Clock, request

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.quota.ledger import Ledger


def test_demand_is_held_by_framework_until_placed_dropped_or_over() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    ledger.hold(request("placed", 1), ttl_s=10)
    ledger.hold(request("dropped", 2), ttl_s=10)
    ledger.hold(request("over", 4), ttl_s=5)
    ledger.hold(request("three", 8, count=3), ttl_s=10)
    ledger.hold(request("guest", 100, HYPERVISOR), ttl_s=10)
    assert (ledger.demand_of(CONTAINER)[1], ledger.demand_of(HYPERVISOR)[1]) == (31, 100)
    assert ledger.drop("dropped")
    assert not ledger.drop("dropped")
    clock.now_s += 5
    ledger.settle(placed={"placed"})
    assert ledger.demand_of(CONTAINER)[1] == 24
    assert [name in ledger for name in ("placed", "dropped", "over", "three")] == [
        False,
        False,
        False,
        True,
    ]


def test_the_same_request_is_held_once() -> None:
    ledger = Ledger(Clock())
    ledger.hold(request("r", 5), ttl_s=10)
    ledger.hold(request("r", 7), ttl_s=10)
    assert ledger.demand_of(CONTAINER)[1] == 7


def test_the_whole_demand_is_summed_up_exactly() -> None:
    ledger = Ledger(Clock())
    third = Request("r", HYPERVISOR, Resources(vcpu=Fraction(1, 3), memory_mb=5), count=3)
    ledger.hold(third, ttl_s=10)
    ledger.hold(request("s", 7, HYPERVISOR), ttl_s=10)
    assert ledger.demand_of(HYPERVISOR) == Resources(vcpu=1, memory_mb=22)
    assert ledger.demand_of(CONTAINER) == Resources()


def test_time_is_over_at_its_end_and_not_before() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    ledger.hold(request("r", 5), ttl_s=10)
    ledger.hold(request("none", 7), ttl_s=0)
    held = []
    for second in (0, 9.5, 10):
        clock.now_s = 1000.0 + second
        ledger.settle(placed=())
        held.append(ledger.demand_of(CONTAINER)[1])
    assert held == [5, 5, 0]


def test_holding_a_request_again_starts_its_time_anew() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    for _ in range(3):
        ledger.hold(request("r", 5), ttl_s=10)
        clock.now_s += 8
        ledger.settle(placed=())
        assert "r" in ledger
    clock.now_s += 2
    ledger.settle(placed=())
    assert "r" not in ledger
