# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.reservations import ReservationStore, StoredReservation
from hybrid_sched.db.schema import RESERVATIONS
from hybrid_sched.db.terms import Terms

FIRST = StoredReservation(
    "first", "hypervisor", "", Resources(vcpu=Fraction(3, 7), memory_mb=512), 3, 1e9 + 0.25, 2e9
)
SECOND = StoredReservation("second", "container", "gold", Resources(), 1, 1e9 + 0.5, 2e9)

amounts = st.one_of(st.integers(0, 2**62), st.fractions(0, 2**40, max_denominator=10**6))
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255)
times = st.floats(0, 4e9)
any_reservation = st.builds(
    StoredReservation,
    names,
    names,
    st.just("") | names,
    st.builds(Resources, *[amounts] * len(Resources._fields)),
    st.integers(1, 10_000),
    times,
    times,
)


@pytest.fixture
def term(database: Database) -> int:
    return Terms(database).begin("test", 1.0)


@given(reservation=any_reservation)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_put_comes_back_exactly(database: Database, reservation: StoredReservation):
    term = Terms(database).begin("test", 1.0)
    store = ReservationStore(database)
    store.remove([each.request_uuid for each in store.all()], term)
    store.put(reservation, term)
    assert ReservationStore(database).all() == (reservation,)


def test_the_oldest_come_first(database: Database, term: int):
    store = ReservationStore(database)
    store.put(SECOND, term)
    store.put(FIRST, term)
    assert store.all() == (FIRST, SECOND)


def test_the_same_request_is_replaced(database: Database, term: int):
    store = ReservationStore(database)
    store.put(FIRST, term)
    store.put_many([SECOND, replace(FIRST, count=1), replace(FIRST, count=2)], term)
    assert store.all() == (replace(FIRST, count=2), SECOND)


def test_many_are_put_and_removed_at_once(database: Database, term: int):
    store = ReservationStore(database)
    many = [replace(FIRST, request_uuid=f"{number:05}") for number in range(2500)]
    store.put_many(many, term)
    store.put_many(many, term)
    assert store.all() == tuple(many)
    assert store.remove([each.request_uuid for each in many[1:]] + ["unknown"], term) == 2499
    assert store.all() == (many[0],)
    assert store.remove([], term) == 0


def test_all_or_none_are_put(database: Database, term: int):
    store = ReservationStore(database)
    broken = replace(SECOND, framework=None)
    with pytest.raises(DatabaseError, match="NOT NULL"):
        store.put_many([FIRST, broken], term)
    assert store.all() == ()


@pytest.mark.parametrize("demand", ["no json", "[1]", '{"vcpu": -1}', '{"gpu": 1}'])
def test_a_row_that_cannot_be_read_is_named(database: Database, term: int, demand: str):
    store = ReservationStore(database)
    store.put(FIRST, term)
    statement = RESERVATIONS.update().values(demand=demand)
    database.write(lambda connection: connection.execute(statement))
    with pytest.raises(DatabaseError, match=r"reservation of first .*: delete its row"):
        store.all()
