# SPDX-License-Identifier: Apache-2.0
"""The quota client inside a scheduler: a cached snapshot with a stated age. Scheduling never waits for the bus."""

from __future__ import annotations

import os
import queue
import threading
import time
import uuid
from concurrent.futures import Future
from dataclasses import dataclass

import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from hybrid_sched.conf import client as options
from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.decision import Decision
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import (
    BadMessage,
    Wire,
    decision_to_wire,
    request_to_wire,
    snapshot_from_wire,
)

LOG = log.getLogger(__name__)

_CALL_TIMEOUT_S = 10
_DECISIONS_WAITING = 2000
_DECISIONS_A_MESSAGE = 100
_RESERVATIONS_WAITING = 32


@dataclass(frozen=True, slots=True)
class View:
    """What a scheduler may know now.

    :param snapshot: the newest that came; None before the first.
    :param age_s: how old it is; None without one.
    """

    snapshot: Snapshot | None
    age_s: float | None


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
        self._first_wait_over = False
        self._closing = threading.Event()
        self._decisions: queue.Queue[Decision] = queue.Queue(_DECISIONS_WAITING)
        self._reservations: queue.Queue[tuple[Request, Future[Wire]]] = queue.Queue(
            _RESERVATIONS_WAITING
        )
        self.decisions_dropped = 0
        for work in (self._keep_fresh, self._listen, self._send_decisions, self._ask_reservations):
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

    def record(self, decision: Decision) -> None:
        """Send a decision later; when too many wait, the oldest is dropped and counted."""
        while True:
            try:
                self._decisions.put_nowait(decision)
                return
            except queue.Full:
                try:
                    self._decisions.get_nowait()
                    self.decisions_dropped += 1
                except queue.Empty:
                    continue

    def reserve(self, request: Request) -> Wire | None:
        """Ask for a reservation.

        :returns: ``{"granted", "text"}``, or None when there was no answer in time.
        """
        answer: Future[Wire] = Future()
        try:
            self._reservations.put_nowait((request, answer))
            return answer.result(self._conf.hybrid_sched.reservation_timeout_s)
        except queue.Full:
            return None
        except Exception as error:
            answer.cancel()
            LOG.warning("No answer to a reservation (%s); the snapshot decides.", error or "late")
            return None

    def close(self) -> None:
        """Let the threads end."""
        self._closing.set()

    def _transport(self) -> oslo_messaging.RPCTransport:
        return bus.transport(self._conf, self._conf.hybrid_sched.transport_url)

    def accept_snapshot(self, wire: Wire, age_s: float) -> None:
        """Put a newer snapshot in place; the two ways that they come by may cross."""
        snapshot = snapshot_from_wire(wire)
        with self._swap:
            held = self._held[0] if self._held else None
            if held and held.epoch == snapshot.epoch and held.version > snapshot.version:
                return
            self._held = (snapshot, time.monotonic() - age_s)
        self._arrived.set()

    def _keep_fresh(self) -> None:
        """Ask for newer snapshots; the fan-out is lost on those who connect late."""
        engine = bus.client(self._transport(), bus.ENGINE_TOPIC, timeout_s=_CALL_TIMEOUT_S)
        reported = False
        while not self._closing.is_set():
            held = self._held[0] if self._held else None
            try:
                answer = engine.call(
                    {},
                    "snapshot",
                    known_epoch=held.epoch if held else None,
                    known_version=held.version if held else None,
                )
                if answer["snapshot"] is not None:
                    self.accept_snapshot(answer["snapshot"], answer["age_s"])
                if reported:
                    LOG.info("The quota service answers again.")
                reported = False
            # Whatever went wrong in the engine comes here as its own kind of error; the asking goes on.
            except Exception as error:
                if not reported:
                    LOG.warning("The quota service does not answer: %s.", type(error).__name__)
                reported = True
            self._closing.wait(self._conf.hybrid_sched.refresh_period_s)

    def _listen(self) -> None:
        """Take snapshots that the engine sends of its own accord."""
        name = f"{os.getpid()}-{uuid.uuid4()}"
        server = bus.server(self._transport(), bus.SNAPSHOT_TOPIC, name, _SnapshotEndpoint(self))
        server.start()
        self._closing.wait()
        server.stop()
        server.wait()

    def _send_decisions(self) -> None:
        engine = bus.client(self._transport(), bus.ENGINE_TOPIC, timeout_s=_CALL_TIMEOUT_S)
        while not self._closing.is_set():
            try:
                batch = [self._decisions.get(timeout=1.0)]
            except queue.Empty:
                continue
            while len(batch) < _DECISIONS_A_MESSAGE:
                try:
                    batch.append(self._decisions.get_nowait())
                except queue.Empty:
                    break
            wire = [decision_to_wire(decision) for decision in batch]
            while not self._closing.is_set():
                try:
                    # A call, so that decisions are given up only once the engine has them.
                    engine.call({}, "record_decisions", decisions=wire)
                    break
                except Exception as error:
                    LOG.debug("Decisions wait for the quota service: %s.", type(error).__name__)
                    self._closing.wait(1.0)

    def _ask_reservations(self) -> None:
        engine = bus.client(self._transport(), bus.ENGINE_TOPIC, timeout_s=_CALL_TIMEOUT_S)
        while not self._closing.is_set():
            try:
                request, answer = self._reservations.get(timeout=1.0)
            except queue.Empty:
                continue
            # Nobody waits any more for what hung here while the broker was away.
            if not answer.set_running_or_notify_cancel():
                continue
            try:
                answer.set_result(engine.call({}, "reserve", request=request_to_wire(request)))
            except Exception as error:
                answer.set_exception(error)


class _SnapshotEndpoint:
    """The calls of the topic ``hybrid-sched-snapshot``, version 1.0."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, client: QuotaClient) -> None:
        self._client = client

    def snapshot(self, _context: Wire, age_s: float, snapshot: Wire) -> None:
        """Take in a snapshot (cast to all)."""
        try:
            self._client.accept_snapshot(snapshot, age_s)
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
