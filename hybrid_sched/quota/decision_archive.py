# SPDX-License-Identifier: Apache-2.0
"""Decisions on their way into the database, and back: the engine never waits for it."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.core.decision import Decision, shortened
from hybrid_sched.db import DatabaseError
from hybrid_sched.db.decisions import MOST_BYTES, DecisionStore, StoredDecision
from hybrid_sched.db.terms import Deposed
from hybrid_sched.quota.decisions import DECIDED
from hybrid_sched.rpc.messages import BadMessage, decision_from_wire, decision_to_wire

LOG = log.getLogger(__name__)

#: Decisions that wait for a database that is away; at ten a second it may be away for a quarter of an hour.
MOST_WAITING = 10_000
_AT_ONCE = 100
_FORGET_AT_ONCE = 500
_FORGET_PERIOD_S = 3600.0
# Between two batches of old ones, so that other writers of the database have their turn.
_FORGET_PAUSE_S = 0.1
_TRY_AGAIN_AFTER_S = 2.0
_READ_PATIENCE_S = 2.0
_END_TIMEOUT_S = 3.0
_DAY_S = 86_400.0


class DecisionArchive:
    """Write decisions in batches in a thread of its own; keep what cannot be written yet, within bounds.

    :param store: of the database.
    :param term: of the leader, which alone writes.
    :param deposed: called when the term turns out to be over.
    :param conf: options, of which ``[quota] decisions_retention_days`` is used.
    :param clock_s: Unix time.
    :param most_waiting: beyond which the oldest are dropped and counted.
    """

    def __init__(  # noqa: PLR0917
        self,
        store: DecisionStore,
        term: int,
        deposed: Callable[[], None],
        conf: cfg.ConfigOpts,
        clock_s: Callable[[], float] = time.time,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._store = store
        self._term = term
        self._deposed = deposed
        self._conf = conf
        self._clock_s = clock_s
        self._waiting: deque[Decision] = deque()
        self._most_waiting = most_waiting
        self._batch: list[Decision] = []
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._ends_at_s = float("inf")
        self._fails = False
        self._dropped_told = 0
        self.dropped = 0
        self._thread = threading.Thread(target=self._work, name="decision-archive", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self) -> None:
        """Write what waits, if that can be done soon, and end."""
        self._ends_at_s = time.monotonic() + _END_TIMEOUT_S
        self._ending.set()
        self._wake.set()
        self._thread.join(_END_TIMEOUT_S)

    def put(self, decision: Decision) -> None:
        """Write a decision later; returns at once. When too many wait, the oldest is dropped and counted."""
        if not self._conf.quota.decisions_retention_days:
            return
        with self._lock:
            self._waiting.append(decision)
            if len(self._waiting) > self._most_waiting:
                self._waiting.popleft()
                self.dropped += 1
        self._wake.set()

    def of(self, request_uuid: str) -> list[Decision]:
        """Give the steps of a request that are in the database, the oldest first.

        :raises DatabaseError: when it cannot be read, or others have waited for it for too long.
        """
        return _decisions(self._read(lambda: self._store.of(request_uuid)))

    def newest(self, limit: int) -> list[Decision]:
        """Give the last decision on each of the newest requests in the database, the newest first.

        :raises DatabaseError: when it cannot be read, or others have waited for it for too long.
        """
        stages = [stage.value for stage in DECIDED]
        return _decisions(self._read(lambda: self._store.newest(limit, stages)))

    def write_next(self) -> bool:
        """Write the oldest that wait; says whether some were written.

        A batch that could not be written is kept for the next call.

        :raises DatabaseError: when it cannot be written.
        :raises Deposed: when another engine leads.
        """
        with self._lock:
            while self._waiting and len(self._batch) < _AT_ONCE:
                self._batch.append(self._waiting.popleft())
        if not self._batch:
            return False
        self._store.put_many(map(_stored, self._batch), self._term)
        self._batch.clear()
        return True

    def forget_old(self) -> int:
        """Forget a few of those that are older than the option says; says whether there may be more.

        :raises DatabaseError: when it cannot be done.
        :raises Deposed: when another engine leads.
        """
        before_s = self._clock_s() - self._conf.quota.decisions_retention_days * _DAY_S
        return self._store.forget_before(before_s, self._term, _FORGET_AT_ONCE) >= _FORGET_AT_ONCE

    def _work(self) -> None:
        forget_at_s = time.monotonic()
        while True:
            self._wake.wait(max(0.0, forget_at_s - time.monotonic()))
            self._wake.clear()
            try:
                while self.write_next():
                    self._tell_of_success()
                if time.monotonic() >= forget_at_s:
                    pause_s = _FORGET_PAUSE_S if self.forget_old() else _FORGET_PERIOD_S
                    forget_at_s = time.monotonic() + pause_s
            except Deposed:
                self._deposed()
                return
            except DatabaseError as fault:
                self._tell_of_fault(fault)
                if not self._ending.wait(_TRY_AGAIN_AFTER_S):
                    self._wake.set()
            except Exception:
                LOG.exception("Decisions cannot be kept: these are left out.")
                self._batch.clear()
            if self._ending.is_set() and (
                not self._waiting or time.monotonic() > self._ends_at_s or self._fails
            ):
                return

    def _tell_of_fault(self, fault: DatabaseError) -> None:
        if not self._fails:
            LOG.warning("Decisions wait for the database: %s", fault)
        self._fails = True
        self._tell_of_dropped()

    def _tell_of_success(self) -> None:
        if self._fails:
            LOG.info("Decisions are written to the database again.")
        self._fails = False
        self._tell_of_dropped()

    def _tell_of_dropped(self) -> None:
        dropped = self.dropped
        if dropped > self._dropped_told:
            LOG.warning(
                "%d decisions were left out of the database because more than %d waited for it (%d in all).",
                dropped - self._dropped_told,
                self._most_waiting,
                dropped,
            )
        self._dropped_told = dropped

    def _read(self, read: Callable[[], Iterable[StoredDecision]]) -> Iterable[StoredDecision]:
        # A database that hangs would else hold all threads that answer calls.
        if not self._reading.acquire(timeout=_READ_PATIENCE_S):
            raise DatabaseError("The database is too slow to read decisions from: see its load.")
        try:
            return read()
        finally:
            self._reading.release()


def _stored(decision: Decision) -> StoredDecision:
    """Write a decision as text that a row can hold; the hosts that are left out are counted in it."""
    most = max(len(decision.hosts), len(decision.refused))
    while len(document := _document(decision)) > MOST_BYTES:
        most //= 2
        decision = shortened(decision, most)
    return StoredDecision(*decision.key, document)


def _document(decision: Decision) -> str:
    # ASCII alone, so that characters are bytes.
    return json.dumps(decision_to_wire(decision), separators=(",", ":"))


def _decisions(stored: Iterable[StoredDecision]) -> list[Decision]:
    found = []
    for each in stored:
        try:
            found.append(decision_from_wire(json.loads(each.document)))
        except (BadMessage, ValueError) as fault:
            LOG.warning("A decision on %s in the database cannot be read: %s.", each.key[0], fault)
    return found
