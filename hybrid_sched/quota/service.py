# SPDX-License-Identifier: Apache-2.0
"""The process of the quota service: it waits to lead, leads, and follows again when another engine has taken over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cotyledon
from oslo_config import cfg
from oslo_log import log
from prometheus_client.registry import Collector

from hybrid_sched.conf.database import parameters
from hybrid_sched.core.resources import Number
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.decisions import DecisionStore
from hybrid_sched.db.reservations import ReservationStore
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.db.weights import WeightStore
from hybrid_sched.quota.answers import SnapshotNews
from hybrid_sched.quota.decision_archive import DecisionArchive
from hybrid_sched.quota.decisions import DecisionBook
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.leadership import Leadership
from hybrid_sched.quota.live_inputs import LiveInputs
from hybrid_sched.quota.metrics import EngineCollector, MetricsServer
from hybrid_sched.quota.notifications import ShareNotifier
from hybrid_sched.quota.receipt_endpoint import ReceiptEndpoint
from hybrid_sched.quota.squeeze import SqueezeOrders
from hybrid_sched.quota.stores import FencedReservations
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.snapshots import change_to_wire, snapshot_to_wire
from hybrid_sched.rpc.wire import number_to_wire

LOG = log.getLogger(__name__)

_THREADS = 8


class Duty(Protocol):
    """What a leader does besides sharing, from the start of its term to the end."""

    @property
    def endpoints(self) -> Sequence[object]:
        """Give what answers on the engine's topic."""

    @property
    def collectors(self) -> Sequence[Collector]:
        """Give what tells its figures to Prometheus."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End, and return when nothing is done any more."""


#: Makes a duty from the options, the term, the database, the engine and what is to be called by whoever finds the term over.
DutyMaker = Callable[[cfg.ConfigOpts, int, Database, Engine, Callable[[], None]], Duty]


class QuotaService(cotyledon.Service):  # type: ignore[misc] # cotyledon has no annotations
    """The process of the engine.

    :param conf: options.
    """

    #: What its leaders do besides.
    duties: Sequence[DutyMaker] = ()

    def __init__(self, worker_id: int, conf: cfg.ConfigOpts) -> None:
        super().__init__(worker_id)
        self._conf = conf
        self._stopping = threading.Event()
        self._leader: Leader | None = None

    def run(self) -> None:
        """Lead or stand by until told to stop. Everything live is made here, after the fork."""
        database = Database(**parameters(self._conf))
        transport = bus.transport(self._conf)
        leadership = Leadership(self._conf, Terms(database))
        while (term := leadership.campaign(self._stopping)) is not None:
            try:
                self._leader = Leader(self._conf, term, database, transport, self.duties)
            except DatabaseError as error:
                LOG.error("Term %d cannot be begun: %s", term, error)
            else:
                self._leader.run(self._stopping, leadership)
            leadership.resign()
            # Another one may lead now; this one would only be the first to ask.
            self._stopping.wait(self._conf.coordination.election_period_s)
        transport.cleanup()

    def terminate(self) -> None:
        """Stop serving."""
        self._stopping.set()
        if self._leader is not None:
            self._leader.end()

    def reload(self) -> None:
        """Read mutable options again; the next cycle uses them."""
        self._conf.mutate_config_files()


class Leader:
    """One engine during one term.

    :param conf: options.
    :param term: its fencing token.
    :param database: of the ledger, the weights and the scores.
    :param transport: of the bus.
    :param duties: what it does besides.
    :raises DatabaseError: when the ledger cannot be read.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        term: int,
        database: Database,
        transport: Any,
        duties: Sequence[DutyMaker] = (),
    ) -> None:
        self._conf = conf
        self._term = term
        self._transport = transport
        self._weights = WeightStore(database)
        # Set by whoever finds out that another engine leads, so that this one takes no more calls than it must.
        self._over = threading.Event()
        ledger = FencedReservations(
            ReservationStore(database), Terms(database), term, self._over.set
        )
        self._archive = DecisionArchive(
            DecisionStore(database, DecisionBook.STEPS_KEPT), term, self._over.set, conf
        )
        self._engine = Engine(conf, term, ledger, archive=self._archive)
        self._inputs = LiveInputs(conf, database, self._engine)
        self._agents = bus.client(transport, bus.AGENT_TOPIC)
        self._all_agents = bus.FanOut(transport, bus.AGENT_TOPIC)
        self._plug_ins = bus.FanOut(transport, bus.SNAPSHOT_TOPIC)
        self._squeeze = SqueezeOrders()
        self._notifier = ShareNotifier(conf, f"hybrid-sched-engine.{conf.coordination.member_id}")
        self._duties = [make(conf, term, database, self._engine, self._over.set) for make in duties]

    def run(self, stopping: threading.Event, leadership: Leadership) -> None:
        """Serve until told to stop, or until another engine leads."""
        server = bus.server(
            self._transport,
            bus.ENGINE_TOPIC,
            self._conf.coordination.member_id,
            EngineEndpoint(self._engine, self._set_weight, self._inputs.nova),
            ReceiptEndpoint(self._engine.receipts),
            *(endpoint for duty in self._duties for endpoint in duty.endpoints),
        )
        collectors = [each for duty in self._duties for each in duty.collectors]
        metrics = MetricsServer(self._conf, EngineCollector(self._engine), *collectors)
        self._archive.start()
        # The engine does one thing at a time; more threads would only wait for each other.
        server.start(override_pool_size=_THREADS)
        try:
            for duty in self._duties:
                duty.start()
            # Statistics is whole again one period after a start because the agents are asked at once.
            self._all_agents.cast("report_now")
            LOG.info("Serving. Term %d.", self._term)
            while not stopping.is_set() and not self._over.wait(self._conf.quota.period_s):
                if not self._still_leads(leadership):
                    break
                try:
                    self._cycle()
                except Deposed:
                    break
                except Exception:
                    LOG.exception("A cycle failed; the last shares stay until the next one.")
            if not stopping.is_set():
                LOG.warning("Another engine leads; term %d is over.", self._term)
        finally:
            for duty in self._duties:
                duty.stop()
            metrics.close()
            server.stop()
            server.wait()
            self._archive.close()

    def end(self) -> None:
        """Let it stop serving."""
        self._over.set()

    def _cycle(self) -> None:
        news = self._engine.run_cycle(self._inputs.read())
        self._plug_ins.cast("snapshot", age_s=0.0, snapshot=_to_wire(news))
        self._notifier.tell(news.snapshot)
        for host, factors in self._engine.squeeze_due(self._squeeze).items():
            self._agents.prepare(server=host).cast(
                {},
                "squeeze",
                term=self._term,
                factors={name: number_to_wire(factor) for name, factor in factors.items()},
            )

    def _still_leads(self, leadership: Leadership) -> bool:
        try:
            return leadership.holds(self._term)
        except DatabaseError as error:
            # Nobody else can begin a term either, and what is written is fenced.
            LOG.warning("Whether this engine still leads cannot be checked: %s", error)
            return True

    def _set_weight(self, pool: str, framework: str, weight: Number | None) -> None:
        try:
            if weight is None:
                self._weights.unset(pool, framework, self._term)
            else:
                self._weights.set(pool, framework, weight, self._term)
        except Deposed:
            self._over.set()
            raise
        LOG.info("Weight of %s in pool %r set to %s.", framework, pool or "default", weight)


def _to_wire(news: SnapshotNews) -> dict[str, Any]:
    if news.since is None:
        return snapshot_to_wire(news.snapshot)
    return change_to_wire(news.snapshot, news.since, news.changed)
