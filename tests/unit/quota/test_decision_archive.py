# SPDX-License-Identifier: Apache-2.0
"""Decisions in the real database, and what happens while it is away."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from values import Clock, decision, quota_conf

from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.decisions import DecisionStore
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.quota.decision_archive import DecisionArchive

DAY_S = 86_400.0
_LIMIT_S = 30


class Shelf:
    """An archive over a real database that a test can take away."""

    def __init__(self, database: Database, **options: Any) -> None:
        self.database = database
        self.terms = Terms(database)
        self.term = self.terms.begin("test", 1.0)
        self.store = DecisionStore(database, steps_kept=10)
        self.clock = Clock()
        self.deposed = threading.Event()
        self.wrote = threading.Event()
        self.away = False
        self.hang = threading.Event()
        self.hang.set()
        self.conf = quota_conf(**options)

    def archive(self, **changes: Any) -> DecisionArchive:
        values = {"clock_s": self.clock, **changes}
        return DecisionArchive(self, self.term, self.deposed.set, self.conf, **values)  # type: ignore[arg-type]

    def put_many(self, *arguments: Any) -> None:
        assert self.hang.wait(_LIMIT_S)
        if self.away:
            raise DatabaseError("it is away")
        self.store.put_many(*arguments)
        self.wrote.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.fixture
def shelf(database: Database) -> Shelf:
    return Shelf(database)


def steps(count: int, uuid: str = "r") -> list[Decision]:
    return [decision(f"{uuid}{number}", decided_at_s=float(number)) for number in range(count)]


def test_what_is_put_is_read_by_the_engine_that_comes_next(shelf: Shelf) -> None:
    archive = shelf.archive()
    gate = decision("a", hosts=("x", "y"), refused={"z": "host_room: full"}, text="why")
    order = decision("a", Stage.ORDER, decided_at_s=2.0, hosts=("y",), weights=(7,))
    for step in (gate, order, decision("b", decided_at_s=3.0)):
        archive.put(step)
    assert archive.write_next()
    assert not archive.write_next()
    later = shelf.archive()
    assert later.of("a") == [gate, order]
    assert [step.request_uuid for step in later.newest(9)] == ["b", "a"]
    assert later.of("unknown") == []


def test_a_batch_that_was_not_written_is_written_once_the_database_is_back(shelf: Shelf) -> None:
    archive = shelf.archive()
    archive.put(decision("a"))
    shelf.away = True
    for _ in range(2):
        with pytest.raises(DatabaseError):
            archive.write_next()
    archive.put(decision("b"))
    shelf.away = False
    assert archive.write_next()
    assert len(archive.of("a")) == len(archive.of("b")) == 1


def test_beyond_the_bound_the_oldest_are_dropped_and_counted(shelf: Shelf) -> None:
    archive = shelf.archive(most_waiting=3)
    for step in steps(5):
        archive.put(step)
    assert archive.dropped == 2
    assert archive.write_next()
    assert [bool(archive.of(f"r{number}")) for number in range(5)] == [False] * 2 + [True] * 3


def test_nothing_is_kept_where_the_option_says_so(database: Database) -> None:
    archive = Shelf(database, decisions_retention_days=0.0).archive()
    archive.put(decision("a"))
    assert not archive.write_next()


def test_what_is_older_than_the_option_says_goes(shelf: Shelf) -> None:
    archive = shelf.archive()
    for step in (decision("old", decided_at_s=1.0), decision("new", decided_at_s=DAY_S)):
        archive.put(step)
    assert archive.write_next()
    shelf.clock.now_s = 30 * DAY_S + 2
    assert not archive.forget_old()
    assert (archive.of("old"), len(archive.of("new"))) == ([], 1)


def test_a_decision_on_too_many_hosts_is_cut_to_what_a_row_holds_and_says_so(shelf: Shelf) -> None:
    archive = shelf.archive()
    hosts = tuple(f"host-{number:05}" for number in range(4000))
    refused = dict.fromkeys(hosts, "host_room: " + "ü" * 300)
    archive.put(decision("a", hosts=hosts, weights=(1,) * 4000, refused=refused))
    assert archive.write_next()
    (found,) = archive.of("a")
    assert 1 < len(found.hosts) == len(found.weights) < 4000
    assert found.hosts == hosts[: len(found.hosts)]
    assert len(found.hosts) + found.more_hosts == 4000
    assert len(found.refused) + found.more_refused == 4000


def test_a_row_that_cannot_be_read_is_left_out(shelf: Shelf, caplog: Any) -> None:
    archive = shelf.archive()
    archive.put(decision("a"))
    archive.put(decision("a", decided_at_s=2.0))
    assert archive.write_next()
    document = json.dumps({"stage": "of a later release"})
    shelf.database.write(
        lambda connection: connection.exec_driver_sql(
            "UPDATE decisions SET document = ? WHERE decided_at = 2.0", (document,)
        )
    )
    assert archive.of("a") == [decision("a")]
    assert "A decision on a in the database cannot be read: stage: 'of a later" in caplog.text


def test_the_thread_writes_and_an_end_waits_for_it(shelf: Shelf) -> None:
    archive = shelf.archive()
    archive.start()
    archive.put(decision("a"))
    assert shelf.wrote.wait(_LIMIT_S)
    for step in steps(250):
        archive.put(step)
    archive.close()
    assert len(archive.newest(999)) == 251


def test_putting_never_waits_for_a_database_that_hangs(shelf: Shelf) -> None:
    archive = shelf.archive()
    shelf.hang.clear()
    archive.start()
    # Would not return if any of them waited.
    for step in steps(500):
        archive.put(step)
    shelf.hang.set()
    archive.close()
    assert len(archive.newest(999)) == 500


def test_who_is_deposed_says_so_and_writes_nothing(shelf: Shelf) -> None:
    archive = shelf.archive()
    shelf.terms.begin("other", 2.0)
    archive.start()
    archive.put(decision("a"))
    assert shelf.deposed.wait(_LIMIT_S)
    archive.close()
    assert archive.of("a") == []
    archive.put(decision("b"))
    with pytest.raises(Deposed):
        archive.write_next()
