# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sqlalchemy as sa

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.rebalancing.moves import Decision, Effect, MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.schema import MOVES
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.db.watchdog import StrategySwitch, WatchdogStore

EFFECT = Effect("vcpu", 0.9, 0.5, 0.1, 0.5)


def move(uuid: str = "m", task: str = "t", **fields: object) -> MoveRecord:
    decision = Decision(
        task=task,
        framework=HYPERVISOR,
        demand=Resources(Fraction(3, 2), 1024),
        use=(1.5, 1024.0, 0.0, 0.0, 0.0, 0.0),
        source="a",
        target="b",
        reason="host a is exhausted",
        effect=EFFECT,
        score_before=2.0,
        score_after=1.0,
        cost=0.1,
        copy_mb=1024.0,
        needed_above=0.7,
    )
    made = MoveRecord(uuid, "p", decision, "nova_live", planned_at_s=5.0, strategy="relieve")
    return replace(made, **fields)


@pytest.fixture
def term(database: Database) -> int:
    return Terms(database).begin("test", 1.0)


def test_a_move_is_given_back_as_it_was_taken_up(database: Database, term: int) -> None:
    store = MoveStore(database)
    assert store.add([move("m", details={"port": ["x", 1]}), move("n", "u")], term)
    assert store.get("m") == move("m", details={"port": ["x", 1]}, position=1)
    assert [each.uuid for each in store.newest(10)] == ["n", "m"]
    assert [each.uuid for each in store.newest(10, before=2)] == ["m"]
    assert store.get("none") is None


def test_a_task_has_one_move_in_flight_and_a_move_is_taken_up_once(
    database: Database, term: int
) -> None:
    store = MoveStore(database)
    assert store.add([move()], term)
    assert store.add([move()], term)
    assert not store.add([move("other", "u"), move("n")], term)
    assert [each.uuid for each in store.newest(10)] == ["m"]
    ended = replace(move(), state=MoveState.FAILED, ended_at_s=9.0)
    assert store.update(ended, MoveState.PLANNED, term)
    assert store.add([move("n")], term)


def test_a_write_needs_the_expected_state_and_keeps_the_wish_to_cancel(
    database: Database, term: int
) -> None:
    store = MoveStore(database)
    store.add([move()], term)
    running = replace(move(), state=MoveState.RUNNING, started_at_s=6.0)
    assert store.update(running, MoveState.PLANNED, term)
    assert not store.update(replace(running, step="one"), MoveState.PLANNED, term)
    noted = store.cancel("m", term, 7.0, "Enough.")
    assert noted is not None
    assert (noted.state, noted.cancelling, noted.text) == (MoveState.RUNNING, True, "Enough.")
    stepped = replace(running, step="two", details={"a": 1})
    assert store.update(stepped, MoveState.RUNNING, term)
    known = store.get("m")
    assert known is not None
    assert (known.step, known.details, known.cancelling) == ("two", {"a": 1}, True)


def test_a_planned_move_is_cancelled_at_once(database: Database, term: int) -> None:
    store = MoveStore(database)
    store.add([move()], term)
    ended = store.cancel("m", term, 7.0, "Enough.")
    assert ended is not None
    assert (ended.state, ended.ended_at_s) == (MoveState.CANCELLED, 7.0)
    assert store.in_flight() == []
    assert not store.update(replace(move(), state=MoveState.RUNNING), MoveState.PLANNED, term)
    assert store.cancel("none", term, 7.0, "") is None


def test_writes_of_an_earlier_leader_change_nothing(database: Database, term: int) -> None:
    store, settings = MoveStore(database), WatchdogStore(database)
    store.add([move()], term)
    Terms(database).begin("other", 2.0)
    for write in (
        lambda: store.add([move("n", "u")], term),
        lambda: store.update(replace(move(), state=MoveState.RUNNING), MoveState.PLANNED, term),
        lambda: store.cancel("m", term, 7.0, ""),
        lambda: store.note_measured("m", EFFECT, term),
        lambda: store.forget(100.0, term),
        lambda: store.confirm(term),
        lambda: settings.drain("a", term, 1.0),
        lambda: settings.undrain("a", term),
        lambda: settings.switch("relieve", "off", term, 1.0),
    ):
        with pytest.raises(Deposed):
            write()
    assert store.get("m") == move(position=1)
    assert len(store.newest(10)) == 1
    assert settings.drained() == frozenset()


def test_what_is_in_flight_or_ended_lately_is_looked_back_at(database: Database, term: int) -> None:
    store = MoveStore(database)
    store.add([move(name, name) for name in "abc"], term)
    for name, at_s in (("a", 10.0), ("b", 20.0)):
        ended = move(name, name, state=MoveState.DONE, ended_at_s=at_s)
        assert store.update(ended, MoveState.PLANNED, term)
    assert [each.uuid for each in store.since(15.0)] == ["b", "c"]
    store.note_measured("b", EFFECT, term)
    store.note_measured("c", EFFECT, term)
    assert [each.uuid for each in store.newest_measured("relieve", 0.0, 3)] == ["b"]
    assert store.newest_measured("relieve", 6.0, 3) == []
    assert store.newest_measured("drain", 0.0, 3) == []
    assert store.forget(15.0, term) == 1
    assert [each.uuid for each in store.newest(10)] == ["c", "b"]


def test_a_row_that_cannot_be_read_is_named(database: Database, term: int) -> None:
    store = MoveStore(database)
    store.add([move()], term)
    damage = sa.update(MOVES).values(figures="{")
    database.write(lambda connection: connection.execute(damage))
    with pytest.raises(DatabaseError, match="The move m has figures that cannot be read"):
        store.get("m")


def test_hosts_are_drained_and_strategies_switched_for_good(database: Database, term: int) -> None:
    store = WatchdogStore(database)
    store.drain("a", term, 1.0)
    store.drain("a", term, 2.0)
    assert store.drained() == frozenset({"a"})
    assert store.undrain("a", term)
    assert not store.undrain("a", term)
    store.switch("relieve", "It is wrong.", term, 3.0)
    assert store.switches() == {"relieve": StrategySwitch(3.0, "It is wrong.")}
    store.switch("relieve", "", term, 4.0)
    assert store.switches() == {"relieve": StrategySwitch(4.0)}
