# SPDX-License-Identifier: Apache-2.0
"""The history of shares as the leader writes it, with the real database."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from engines import Site
from prometheus_client import CollectorRegistry
from values import task

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.share_history import ShareHistory
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.quota.history import HistoryDuty

DAY_S = 86_400.0
_LIMIT_S = 30


class Leader:
    """An engine whose shares are recorded."""

    def __init__(
        self, database: Database, now_s: Callable[[], float] | None = None, **options: Any
    ) -> None:
        self.database = database
        self.terms = Terms(database)
        self.site = Site(self.terms.begin("test", 1.0), **options)
        self.history = ShareHistory(database)
        self.over = threading.Event()
        self.duty = HistoryDuty(
            self.site.conf,
            1,
            database,
            self.site.engine,
            self.over.set,
            now_s or self.site.clock,
            self.site.clock,
        )

    def later(self, seconds: float = 60.0, *tasks: Any) -> None:
        """Let time pass, a cycle and a round."""
        self.site.clock.now_s += seconds
        self.site.cycle(*tasks)
        self.duty.run_round()

    @property
    def times_s(self) -> list[float]:
        return sorted({each.taken_at_s for each in self.history.page(999)})

    @property
    def missed(self) -> float | None:
        registry = CollectorRegistry()
        registry.register(self.duty.collectors[0])
        return registry.get_sample_value("hybrid_sched_missed_history_records_total")


@pytest.fixture
def leader(database: Database) -> Leader:
    return Leader(database)


def test_each_framework_is_recorded_with_exact_shares(leader: Leader) -> None:
    leader.later(60, task("t", 50))
    guests, containers = sorted(leader.history.page(9), key=lambda row: row.framework)[::-1]
    assert (guests.framework, containers.framework) == (HYPERVISOR, CONTAINER)
    assert containers.taken_at_s == leader.site.snapshot.taken_at_s
    assert containers.figures == {
        "weight": 1,
        "used": "1/4",
        "wanted": "1/4",
        "fair": "1/2",
        "entitled": "1/4",
        "borrowed": 0,
        "owed": 0,
        "rung": "none",
        "squeeze": 1,
    }
    assert guests.figures["used"] == 0


def test_there_is_one_record_an_interval(leader: Leader) -> None:
    start_s = leader.site.clock()
    for _ in range(12):
        leader.later(15)
    assert leader.times_s == [start_s + 60, start_s + 120, start_s + 180]
    assert leader.duty.pause_s() == 60
    leader.site.clock.now_s += 45
    assert leader.duty.pause_s() == 15


def test_a_changed_interval_counts_at_once(leader: Leader) -> None:
    leader.site.set(history_interval_s=5)
    leader.later(5)
    assert len(leader.times_s) == 1
    leader.site.set(history_interval_s=3600)
    # A still shorter one would be seen in time.
    assert leader.duty.pause_s() == 60


@pytest.mark.parametrize("option", ["history_interval_s", "history_retention_days"])
def test_without_interval_or_retention_there_is_no_history(leader: Leader, option: str) -> None:
    leader.site.set(**{option: 0})
    leader.later(3600)
    assert leader.times_s == []
    assert leader.duty.pause_s() == 60


def test_shares_that_no_cycle_has_worked_out_are_not_recorded(leader: Leader) -> None:
    leader.site.clock.now_s += 60
    leader.duty.run_round()
    assert leader.times_s == []
    leader.later()
    leader.site.clock.now_s += 60
    leader.duty.run_round()
    assert len(leader.times_s) == 1


def test_what_is_too_old_is_forgotten(leader: Leader) -> None:
    leader.later()
    leader.later()
    leader.site.clock.now_s += 14 * DAY_S - 30
    leader.duty.run_round()
    assert len(leader.times_s) == 1
    leader.site.set(history_retention_days=1, history_interval_s=0)
    leader.duty.run_round()
    assert leader.times_s == []


def test_much_that_is_too_old_goes_in_batches(leader: Leader) -> None:
    leader.site.set(history_interval_s=1)
    for _ in range(300):
        leader.later(1)
    leader.site.set(history_interval_s=0, history_retention_days=0)
    leader.duty.run_round()
    assert len(leader.history.page(999)) == 100
    assert leader.duty.pause_s() == 0.1
    leader.duty.run_round()
    assert leader.duty.pause_s() == 60


def test_a_database_that_is_away_is_told_once_and_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    leader = Leader(database, time.monotonic, history_interval_s=0.01)
    put, failed, back, wrote = (
        *(ShareHistory.put, threading.Semaphore(0)),
        *(threading.Event(), threading.Event()),
    )

    def write(*arguments: Any) -> None:
        if not back.is_set():
            failed.release()
            raise DatabaseError("It is away.")
        put(*arguments)
        wrote.set()

    monkeypatch.setattr(ShareHistory, "put", write)
    leader.site.cycle()
    leader.duty.start()
    try:
        assert all(failed.acquire(timeout=_LIMIT_S) for _ in range(3))
        # The cycles go on.
        leader.site.cycle()
        back.set()
        assert wrote.wait(_LIMIT_S)
    finally:
        leader.duty.stop()
    assert leader.duty.missed >= 3
    assert leader.missed == leader.duty.missed
    assert caplog.text.count("The history of shares waits for the database: It is away.") == 1
    assert leader.times_s == [leader.site.snapshot.taken_at_s]
    assert not leader.over.is_set()


def test_a_leader_whose_term_is_over_records_nothing(leader: Leader) -> None:
    leader.terms.begin("other", 2.0)
    with pytest.raises(Deposed):
        leader.later()
    assert leader.missed == 0
    assert leader.times_s == []
