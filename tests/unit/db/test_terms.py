# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import pytest
import sqlalchemy as sa

from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.reservations import ReservationStore, StoredReservation
from hybrid_sched.db.schema import TERMS
from hybrid_sched.db.terms import Deposed, Terms, fenced
from hybrid_sched.db.weights import WeightStore

RESERVATION = StoredReservation("a", "container", "", Resources(vcpu=1), 1, 1.0, 2.0)


def test_terms_grow(database: Database):
    terms = Terms(database)
    assert terms.newest() == 0
    assert [terms.begin("one", 1_760_000_000.25), terms.begin("two", 1_760_000_001.5)] == [1, 2]
    assert terms.newest() == 2
    row = database.read(lambda connection: connection.execute(sa.select(TERMS)).one())
    assert tuple(row) == (1, 2, "two", 1_760_000_001.5)


def test_no_two_threads_get_the_same(database_url: str, database: Database):
    def begin(number: int) -> list[int]:
        terms = Terms(Database(database_url))
        return [terms.begin(f"engine {number}", 1.0) for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(begin, range(4)))
    assert all(numbers == sorted(numbers) for numbers in taken)
    assert sorted(itertools.chain(*taken)) == list(range(1, 41))


def test_every_write_of_an_old_leader_is_refused_and_changes_nothing(database: Database):
    terms, reservations, weights = (
        Terms(database),
        ReservationStore(database),
        WeightStore(database),
    )
    old = terms.begin("old", 1.0)
    reservations.put(RESERVATION, old)
    weights.set("", "container", 2, old)
    new = terms.begin("new", 2.0)
    for write in (
        lambda: reservations.put(RESERVATION, old),
        lambda: reservations.put_many([], old),
        lambda: reservations.remove(["a"], old),
        lambda: weights.set("", "container", 3, old),
        lambda: weights.unset("", "container", old),
    ):
        with pytest.raises(Deposed, match=f"Term {old} is over: the newest is {new}"):
            write()
    assert reservations.all() == (RESERVATION,)
    assert weights.all() == {"": {"container": 2}}
    reservations.remove(["a"], new)
    weights.set("", "container", Fraction(1, 2), new)
    assert reservations.all() == ()
    assert weights.all() == {"": {"container": Fraction(1, 2)}}


def test_a_term_that_nobody_has_begun_is_refused_too(database: Database):
    with pytest.raises(Deposed):
        ReservationStore(database).put(RESERVATION, 1)


def test_what_follows_the_fence_is_undone_with_it(database: Database):
    """A store that forgot to fence first still writes nothing."""

    def work(connection: sa.Connection) -> None:
        connection.execute(TERMS.update().values(holder="intruder"))
        fenced(connection, 5)

    with pytest.raises(Deposed):
        database.write(work)
    row = database.read(lambda connection: connection.execute(sa.select(TERMS)).one())
    assert row.holder == ""


def test_a_table_without_its_row_is_told(database: Database):
    database.write(lambda connection: connection.execute(TERMS.delete()))
    for use in (lambda: Terms(database).newest(), lambda: Terms(database).begin("a", 1.0)):
        with pytest.raises(DatabaseError, match="terms has lost its row: restore"):
            use()
