# SPDX-License-Identifier: Apache-2.0
"""The quota client inside a scheduler: a cached snapshot with a stated age. Scheduling never waits for the bus."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from hybrid_sched.conf import client as options
from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.decision import Decision
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import BadMessage, Wire, decision_to_wire, request_to_wire
from hybrid_sched.rpc.snapshots import MissedSnapshot, snapshot_from_wire, stamp_of

LOG = log.getLogger(__name__)

_CALL_TIMEOUT_S = 10
_DECISIONS_WAITING = 2000
_DECISIONS_A_MESSAGE = 100
#: Between two looks whether any wait.
_DECISIONS_PERIOD_S = 0.2
#: Of those sent last, for an engine that takes over; more than one writes at once.
_DECISIONS_TOLD_AGAIN = 200
#: What an engine has had for so long is written, or the database is away for longer than it can wait for.
_TOLD_AGAIN_FOR_S = 60.0
#: A scheduler handles so many requests at once in one process unless it is told otherwise.
_RESERVATIONS_WAITING = 64
#: After so long without an answer, who can wait for longer asks anew: the engine that had the question may be dead.
_ASK_AGAIN_AFTER_S = 2.0
#: Before the next question to an engine that does not lead any more, or does not know the shares yet.
_ASK_AGAIN_PAUSE_S = 0.2
_RESERVATIONS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class View:
    """What a scheduler may know now.

    :param snapshot: the newest that came; None before the first.
    :param age_s: how old it is; None without one.
    """

    snapshot: Snapshot | None
    age_s: float | None


@dataclass(frozen=True, slots=True)
class _Asked:
    request: Request
    pools: tuple[str, ...]
    timeout_s: float
    give_back: bool
    answer: Future[Wire] = field(default_factory=Future)
    given_up: threading.Event = field(default_factory=threading.Event)


class QuotaClient:
    """Keep the newest snapshot, send decisions, ask for reservations.

    Background threads talk to the bus, because a call to a broker that is down can block for longer than its timeout. They
    are made on first use, so that a client made before a fork does no harm; a client must not be used on both sides of one.

    :param conf: the service's options, with the group ``[hybrid_sched]``.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._held: tuple[Snapshot, float] | None = None
        self._swap = threading.Lock()
        self._arrived = threading.Event()
        self._ask_now = threading.Event()
        self._silent_since_s: float | None = None
        self._first_wait_over = False
        self._closing = threading.Event()
        self._decisions: deque[Callable[[], Decision]] = deque()
        self._reservations: queue.Queue[_Asked] = queue.Queue(_RESERVATIONS_WAITING)
        self.decisions_dropped = 0
        askers = [self._ask_reservations] * _RESERVATIONS_AT_ONCE
        for work in (self._keep_fresh, self._listen, self._send_decisions, *askers):
            threading.Thread(target=work, name=f"hybrid-sched{work.__name__}", daemon=True).start()

    def view(self) -> View:
        """Give the newest snapshot; waits for the first one only, and only once for a short time."""
        if self._held is None and not self._first_wait_over:
            self._arrived.wait(self._conf.hybrid_sched.first_snapshot_timeout_s)
            self._first_wait_over = True
        held = self._held
        if held is None:
            return View(None, None)
        snapshot, taken_at_s = held
        return View(snapshot, time.monotonic() - taken_at_s)

    def record(self, decision: Callable[[], Decision]) -> None:
        """Send a decision later; when too many wait, the oldest is dropped and counted.

        :param decision: gives it; called in the background, so that a request does not wait for its record.
        """
        # The other side looks by itself: to wake it would cost each request more than to append.
        self._decisions.append(decision)
        if len(self._decisions) > _DECISIONS_WAITING:
            with contextlib.suppress(IndexError):
                self._decisions.popleft()
                self.decisions_dropped += 1

    def reserve(
        self, request: Request, pools: Sequence[str], timeout_s: float, *, patient: bool
    ) -> Wire | None:
        """Ask for a reservation.

        :param request: what is to be placed.
        :param pools: in which it may be placed, the best one first.
        :param timeout_s: longest time to wait.
        :param patient: wait even while the quota service is known to be silent, and give back what is granted too late.
            Otherwise an outage costs one wait and not one for each request.
        :returns: ``{"granted", "text", "pool"}``, or None when there was no answer in time.
        """
        if self._silent_since_s is not None and not patient:
            return None
        asked = _Asked(request, tuple(pools), timeout_s, patient)
        asked_at_s = time.monotonic()
        try:
            self._reservations.put_nowait(asked)
            return asked.answer.result(timeout_s)
        except queue.Full:
            return None
        except oslo_messaging.RemoteError as error:
            # Not silent: an engine that has just begun to lead, or does not lead any more.
            LOG.debug("No reservation: %s.", error.exc_type)
            return None
        except Exception as error:
            asked.given_up.set()
            asked.answer.cancel()
            if self._silent_since_s is None:
                self._silent_since_s = asked_at_s
                self._ask_now.set()
                LOG.warning("No answer to a reservation (%s).", type(error).__name__)
            return None

    def close(self) -> None:
        """Let the threads end."""
        self._closing.set()
        self._ask_now.set()

    def _transport(self) -> oslo_messaging.RPCTransport:
        return bus.transport(self._conf, self._conf.hybrid_sched.transport_url)

    def accept_snapshot(self, wire: Wire, age_s: float) -> None:
        """Put a newer snapshot in place; the two ways that they come by may cross.

        One of an older term is from a leader that was deposed, and is refused.

        :raises BadMessage: when it cannot be read.
        :raises MissedSnapshot: when it is a change to one that is not held here.
        """
        with self._swap:
            held = self._held[0] if self._held else None
            if held is not None and stamp_of(wire) <= held.stamp:
                return
            snapshot = snapshot_from_wire(wire, held)
            self._held = (snapshot, time.monotonic() - age_s)
        self._arrived.set()

    def ask_now(self) -> None:
        """Let the background thread ask for the newest snapshot without waiting for its period."""
        self._ask_now.set()

    def _keep_fresh(self) -> None:
        """Ask for newer snapshots; the fan-out is lost on those who connect late."""
        engine = bus.client(self._transport(), bus.ENGINE_TOPIC, timeout_s=_CALL_TIMEOUT_S)
        reported = False
        while not self._closing.is_set():
            self._ask_now.clear()
            held = self._held[0] if self._held else None
            asked_at_s = time.monotonic()
            try:
                answer = engine.call({}, "snapshot", known=list(held.stamp) if held else None)
                if answer["snapshot"] is not None:
                    self.accept_snapshot(answer["snapshot"], answer["age_s"])
                if reported:
                    LOG.info("The quota service answers again.")
                reported = False
                silent_since_s = self._silent_since_s
                if silent_since_s is not None and silent_since_s < asked_at_s:
                    self._silent_since_s = None
            except MissedSnapshot:
                # Another one came in between; the next question is about that.
                continue
            # Whatever went wrong in the engine comes here as its own kind of error; the asking goes on.
            except Exception as error:
                if not reported:
                    LOG.warning("The quota service does not answer: %s.", type(error).__name__)
                reported = True
            self._ask_now.wait(self._conf.hybrid_sched.refresh_period_s)

    def _listen(self) -> None:
        """Take snapshots that the engine sends of its own accord."""
        name = f"{os.getpid()}-{uuid.uuid4()}"
        server = bus.server(self._transport(), bus.SNAPSHOT_TOPIC, name, _SnapshotEndpoint(self))
        # Snapshots come one after another.
        server.start(override_pool_size=1)
        self._closing.wait()
        server.stop()
        server.wait()

    def _send_decisions(self) -> None:
        engine = bus.client(self._transport(), bus.ENGINE_TOPIC, timeout_s=_CALL_TIMEOUT_S)
        # An engine that dies may have taken them and not written them: the next one is told again, and keeps each once.
        told: deque[tuple[float, Wire]] = deque(maxlen=_DECISIONS_TOLD_AGAIN)
        term: int | None = None
        dropped = 0
        while not self._closing.is_set():
            held = self._held
            newest = held[0].term if held is not None else term
            if newest != term:
                since_s = time.monotonic() - _TOLD_AGAIN_FOR_S
                again = [wire for told_at_s, wire in told if told_at_s >= since_s]
                if term is not None and again:
                    self._send(engine, again)
                term = newest
            batch: list[Callable[[], Decision]] = []
            with contextlib.suppress(IndexError):
                while len(batch) < _DECISIONS_A_MESSAGE:
                    batch.append(self._decisions.popleft())
            if not batch:
                self._closing.wait(_DECISIONS_PERIOD_S)
                continue
            wire = [decision_to_wire(decision()) for decision in batch]
            self._send(engine, wire)
            told += [(time.monotonic(), each) for each in wire]
            if (now_dropped := self.decisions_dropped) > dropped:
                LOG.warning("%d decisions were dropped: too many waited.", now_dropped - dropped)
                dropped = now_dropped

    def _send(self, engine: Any, decisions: list[Wire]) -> None:
        while not self._closing.is_set():
            try:
                # A call, so that decisions are given up only once the engine has them.
                engine.call({}, "record_decisions", decisions=decisions)
                return
            except Exception as error:
                LOG.debug("Decisions wait for the quota service: %s.", type(error).__name__)
                self._closing.wait(1.0)

    def _ask_reservations(self) -> None:
        engine = bus.client(self._transport(), bus.ENGINE_TOPIC, timeout_s=_CALL_TIMEOUT_S)
        while not self._closing.is_set():
            try:
                asked = self._reservations.get(timeout=1.0)
            except queue.Empty:
                continue
            # Nobody waits any more for what hung here while the broker was away.
            if not asked.answer.set_running_or_notify_cancel():
                continue
            try:
                granted = self._reserve(engine, asked)
                asked.answer.set_result(granted)
                is_late = asked.given_up.is_set()
            except Exception as error:
                asked.answer.set_exception(error)
                # The engine may have it and grant it still.
                is_late = True
            if is_late and asked.give_back:
                self._give_back(engine, asked.request.uuid)

    @staticmethod
    def _give_back(engine: Any, request_uuid: str) -> None:
        try:
            engine.cast({}, "release", request_uuid=request_uuid)
        except Exception as error:
            LOG.debug("A reservation lasts until its time is over: %s.", type(error).__name__)

    def _reserve(self, engine: Any, asked: _Asked) -> Wire:
        """Ask until there is an answer, a second time only for one who is patient: it is charged once all the same."""
        wire = request_to_wire(asked.request)
        deadline_s = time.monotonic() + asked.timeout_s
        while True:
            left_s = deadline_s - time.monotonic()
            timeout_s = min(left_s, _ASK_AGAIN_AFTER_S) if asked.give_back else left_s
            try:
                # The question ends on the broker with the wait for it, so that no engine grants what nobody waits for.
                answer: Wire = engine.prepare(timeout=timeout_s).call(
                    {}, "reserve", request=wire, pools=list(asked.pools)
                )
                return answer
            except Exception:
                may_ask_again = asked.give_back and not asked.given_up.is_set()
                if not may_ask_again or deadline_s - time.monotonic() < _ASK_AGAIN_PAUSE_S:
                    raise
                if self._closing.wait(_ASK_AGAIN_PAUSE_S):
                    raise


class _SnapshotEndpoint:
    """The calls of the topic ``hybrid-sched-snapshot``, version 1.0."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, client: QuotaClient) -> None:
        self._client = client

    def snapshot(self, _context: Wire, age_s: float, snapshot: Wire) -> None:
        """Take in a snapshot (cast to all)."""
        try:
            self._client.accept_snapshot(snapshot, age_s)
        except MissedSnapshot:
            self._client.ask_now()
        except BadMessage as fault:
            LOG.warning("Snapshot refused (malformed): %s.", fault)


_clients: dict[int, QuotaClient] = {}
_clients_lock = threading.Lock()


def client_for_process(conf: cfg.ConfigOpts) -> QuotaClient:
    """Give the client of this process, made on first use.

    nova-scheduler makes its filters before it forks, so a client is keyed on the process that uses it.
    """
    pid = os.getpid()
    client = _clients.get(pid)
    if client is None:
        with _clients_lock:
            client = _clients.get(pid)
            if client is None:
                options.register(conf)
                # A lock or client inherited over a fork belongs to threads that are not here.
                _clients.clear()
                client = _clients[pid] = QuotaClient(conf)
    return client


def close_client_for_process() -> None:
    """Close this process's client, if there is one; the next use makes a new one."""
    with _clients_lock:
        client = _clients.pop(os.getpid(), None)
    if client is not None:
        client.close()


def _new_lock() -> None:
    global _clients_lock  # noqa: PLW0603 - a lock held by another thread during a fork stays locked
    _clients_lock = threading.Lock()


os.register_at_fork(after_in_child=_new_lock)
