# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hybrid_sched.db import Database
from hybrid_sched.db.decisions import DecisionStore, StoredDecision
from hybrid_sched.db.terms import Deposed, Terms

STAGES = ("share_gate", "order")


@pytest.fixture
def store(database: Database) -> DecisionStore:
    assert Terms(database).begin("test", 1.0) == 1
    return DecisionStore(database, steps_kept=3)


def step(uuid: str, at_s: float, stage: str = "order", document: str = "{}") -> StoredDecision:
    return StoredDecision(uuid, at_s, stage, document)


def test_the_steps_of_a_request_come_back_in_order(store: DecisionStore):
    steps = [step("a", 1e9 + 0.1, "share_gate", "ü"), step("a", 1e9 + 0.2, document="x" * 60_000)]
    store.put_many([*reversed(steps), step("b", 1e9)], 1)
    assert store.of("a") == tuple(steps)
    assert store.of("A") == ()


def test_what_comes_twice_is_one_row_and_the_first_stays(store: DecisionStore):
    first, second = step("a", 1 / 3), step("a", 2 / 3)
    store.put_many([first, first], 1)
    store.put_many([step("a", 1 / 3, document="other"), second], 1)
    store.put_many([], 1)
    assert store.of("a") == (first, second)


def test_a_request_keeps_its_newest_steps(store: DecisionStore):
    store.put_many([step("a", float(second)) for second in range(5)], 1)
    store.put_many([step("b", 0.5), step("a", 7.0)], 1)
    assert [each.decided_at_s for each in store.of("a")] == [3.0, 4.0, 7.0]
    assert len(store.of("b")) == 1


def test_a_leader_of_the_past_writes_and_forgets_nothing(store: DecisionStore, database: Database):
    store.put_many([step("a", 1.0)], 1)
    Terms(database).begin("other", 2.0)
    with pytest.raises(Deposed):
        store.put_many([step("b", 2.0)], 1)
    with pytest.raises(Deposed):
        store.forget_before(9.0, 1)
    assert (len(store.of("a")), store.of("b")) == (1, ())


def test_old_ones_are_forgotten_a_few_at_a_time(store: DecisionStore):
    store.put_many([step(f"r{second:03}", float(second)) for second in range(1200)], 1)
    assert [store.forget_before(1100.0, 1, most=500) for _ in range(4)] == [500, 500, 100, 0]
    assert store.of("r1099") == ()
    assert len(store.of("r1100")) == 1


def test_the_newest_requests_come_with_their_last_step(store: DecisionStore):
    for at_s, uuid in enumerate("abcabd"):
        store.put_many([step(uuid, float(at_s))], 1)
    store.put_many([step("c", 9.0, "claimed")], 1)
    assert store.newest(9, STAGES) == (
        step("d", 5.0),
        step("b", 4.0),
        step("a", 3.0),
        step("c", 2.0),
    )
    assert store.newest(2, STAGES) == (step("d", 5.0), step("b", 4.0))
    assert store.newest(0, STAGES) == ()


def test_the_steps_of_all_requests_in_some_time_come_in_order(store: DecisionStore):
    store.put_many([step("b", 2.0), step("a", 1.0), step("a", 3.0), step("c", 4.0)], 1)
    assert [(each.request_uuid, each.decided_at_s) for each in store.between(2.0, 4.0)] == [
        ("b", 2.0),
        ("a", 3.0),
    ]
