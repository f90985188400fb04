# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import START_S, Clock, request

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.db import DatabaseError
from hybrid_sched.db.reservations import StoredReservation
from hybrid_sched.quota.ledger import Ledger


def held_mb(ledger: Ledger, framework: str = CONTAINER, pool: str = DEFAULT_POOL) -> object:
    return ledger.demand_of(framework, pool)[1]


def hold(ledger: Ledger, asked: Request, ttl_s: float = 10, pool: str = DEFAULT_POOL) -> None:
    ledger.hold(asked, pool, ttl_s)


def nobody(_uuid: str) -> bool:
    return False


def test_demand_is_held_until_placed_dropped_or_over() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    hold(ledger, request("placed", 1))
    hold(ledger, request("dropped", 2))
    hold(ledger, request("over", 4), ttl_s=5)
    hold(ledger, request("three", 8, count=3))
    hold(ledger, request("guest", 100, HYPERVISOR))
    assert (held_mb(ledger), held_mb(ledger, HYPERVISOR)) == (31, 100)
    assert ledger.drop("dropped")
    assert not ledger.drop("dropped")
    clock.now_s += 5
    ledger.settle({"placed"}.__contains__)
    assert held_mb(ledger) == 24
    assert [entry.request_uuid for entry in ledger.entries()] == ["three", "guest"]


def test_demand_is_held_in_its_pool_alone() -> None:
    ledger = Ledger(Clock())
    hold(ledger, request("here", 1))
    hold(ledger, request("there", 2), pool="fast")
    assert (held_mb(ledger), held_mb(ledger, pool="fast")) == (1, 2)
    assert held_mb(ledger, pool="none") == 0


def test_the_same_request_is_held_once() -> None:
    ledger = Ledger(Clock())
    hold(ledger, request("r", 5))
    hold(ledger, request("r", 7), pool="fast")
    assert (held_mb(ledger), held_mb(ledger, pool="fast")) == (0, 7)


def test_the_whole_demand_is_summed_up_exactly() -> None:
    ledger = Ledger(Clock())
    third = Resources(vcpu=Fraction(1, 3), memory_mb=5)
    hold(ledger, Request("r", HYPERVISOR, third, count=3))
    hold(ledger, request("s", 7, HYPERVISOR))
    assert ledger.demand_of(HYPERVISOR, DEFAULT_POOL) == Resources(vcpu=1, memory_mb=22)
    assert ledger.demand_of(CONTAINER, DEFAULT_POOL) == Resources()


def test_time_is_over_at_its_end_and_not_before() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    hold(ledger, request("r", 5))
    hold(ledger, request("none", 7), ttl_s=0)
    held = []
    for second in (0, 9.5, 10):
        clock.now_s = START_S + second
        known = ledger.get("r") is not None
        ledger.settle(nobody)
        held.append((known, held_mb(ledger)))
    assert held == [(True, 5), (True, 5), (False, 0)]


def test_holding_a_request_again_starts_its_time_anew() -> None:
    clock = Clock()
    ledger = Ledger(clock)
    for _ in range(3):
        hold(ledger, request("r", 5))
        clock.now_s += 8
        ledger.settle(nobody)
        assert ledger.get("r") is not None
    clock.now_s += 2
    ledger.settle(nobody)
    assert ledger.entries() == ()


class MemoryStore:
    """A store that a test may take away."""

    def __init__(self) -> None:
        self.kept: dict[str, StoredReservation] = {}
        self.fault: Exception | None = None

    def put(self, entry: StoredReservation) -> None:
        self._work()
        self.kept[entry.request_uuid] = entry

    def remove(self, request_uuids: Collection[str]) -> None:
        self._work()
        for uuid in request_uuids:
            self.kept.pop(uuid, None)

    def all(self) -> list[StoredReservation]:
        return list(self.kept.values())

    def confirm(self) -> None:
        self._work()

    def _work(self) -> None:
        if self.fault is not None:
            raise self.fault


def test_what_is_held_is_in_the_store_and_read_back_from_it() -> None:
    clock, store = Clock(), MemoryStore()
    ledger = Ledger(clock, store)
    hold(ledger, request("a", 1))
    hold(ledger, request("b", 2, HYPERVISOR, count=4), ttl_s=30, pool="fast")
    hold(ledger, request("c", 3))
    ledger.drop("c")
    again = Ledger(clock, store)
    assert again.entries() == ledger.entries()
    assert again.get("b") == StoredReservation(
        "b", HYPERVISOR, "fast", Resources(memory_mb=2), 4, START_S, START_S + 30
    )
    clock.now_s += 10
    again.settle(nobody)
    assert list(store.kept) == ["b"]


def test_what_the_store_did_not_take_is_not_held() -> None:
    store = MemoryStore()
    ledger = Ledger(Clock(), store)
    hold(ledger, request("a", 1))
    store.fault = DatabaseError("It is away.")
    for uuid in "ab":
        with pytest.raises(DatabaseError):
            hold(ledger, request(uuid, 7))
    assert (held_mb(ledger), list(store.kept)) == (1, ["a"])


def test_what_is_over_while_the_store_is_away_is_over_and_forgotten_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, store = Clock(), MemoryStore()
    ledger = Ledger(clock, store)
    for uuid in ("over", "placed", "again", "kept"):
        hold(ledger, request(uuid, 1), ttl_s=5 if uuid == "over" else 100)
    clock.now_s += 5
    store.fault = DatabaseError("It is away.")
    for _ in range(2):
        ledger.settle({"placed", "again"}.__contains__)
    assert held_mb(ledger) == 1
    assert caplog.text.count("It is away.") == 1
    store.fault = None
    hold(ledger, request("again", 1))
    ledger.settle(nobody)
    assert store.kept.keys() == {"kept", "again"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["hold", "drop", "settle", "wait", "fail", "restart"]),
            st.sampled_from("abc"),
            st.integers(1, 20),
        ),
        max_size=30,
    )
)
def test_an_engine_that_starts_again_has_at_least_what_is_held(
    story: list[tuple[str, str, int]],
) -> None:
    clock, store = Clock(), MemoryStore()
    ledger = Ledger(clock, store)
    for step, uuid, number in story:
        match step:
            case "hold" if store.fault is None:
                hold(ledger, request(uuid, number), ttl_s=number)
            case "drop" if store.fault is None:
                ledger.drop(uuid)
            case "settle":
                ledger.settle({uuid}.__contains__)
            case "wait":
                clock.now_s += number
            case "fail":
                store.fault = None if store.fault else DatabaseError("It is away.")
            case "restart":
                ledger = Ledger(clock, store)
        kept = store.all()
        assert set(ledger.entries()) <= set(kept)
    store.fault = None
    ledger.settle(nobody)
    assert set(ledger.entries()) == set(store.all())
