# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from values import Clock, request

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
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
