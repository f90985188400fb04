# SPDX-License-Identifier: Apache-2.0
"""The process of the agent: look and report each period, and at once when asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cotyledon
import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from hybrid_sched.agent.inspection import Inspector
from hybrid_sched.agent.outbox import Outbox
from hybrid_sched.agent.replica import Replica, ReplicaInUse
from hybrid_sched.agent.reporter import NoTotals
from hybrid_sched.agent.rounds import Round, Rounds
from hybrid_sched.agent.squeeze import Squeezer
from hybrid_sched.agent.watching import Watching
from hybrid_sched.loading import load
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import BadMessage, Wire

LOG = log.getLogger(__name__)

SOURCES = "hybrid_sched.monitor.source"
ISOLATORS = "hybrid_sched.isolator"
WATCHERS = "hybrid_sched.watcher"
_STOP_TIMEOUT_S = 2.0


class AgentEndpoint:
    """The calls of the topic ``hybrid-sched-agent``, version 1.0."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, wake: Callable[[], None], squeezer: Squeezer) -> None:
        self._wake = wake
        self._squeezer = squeezer

    def report_now(self, _context: Wire) -> None:
        """Report without waiting for the end of the period (cast to all)."""
        self._wake()

    def squeeze(self, _context: Wire, term: object, factors: object) -> None:
        """Hold the tasks of the named frameworks to a part of their CPU weights, and of no other (cast).

        :param term: of the leading engine.
        :param factors: by framework, ``"a/b"`` or an integer, above 0 and at most 1.
        """
        try:
            if self._squeezer.take_order(term, factors):
                self._wake()
        except BadMessage as error:
            LOG.warning("Squeeze order refused (malformed): %s.", error)


class AgentService(cotyledon.Service):  # type: ignore[misc] # cotyledon has no annotations
    """The process of the agent.

    :param conf: options.
    """

    def __init__(self, worker_id: int, conf: cfg.ConfigOpts) -> None:
        super().__init__(worker_id)
        self._conf = conf
        self._stopping = threading.Event()
        self._rounds = Rounds(conf)

    def run(self) -> None:
        """Report until told to stop. Everything live is made here, after the fork."""
        replica = self._open_replica()
        if replica is None:
            return
        inspector = Inspector(
            self._conf,
            load(SOURCES, self._conf.agent.sources, self._conf),
            load(ISOLATORS, self._conf.agent.isolators, self._conf),
            replica,
        )
        watching = Watching(
            load(WATCHERS, self._conf.agent.watchers, self._conf),
            self._rounds.happened,
            inspector.events.oom_kill,
        )
        transport = bus.transport(self._conf)
        # A single try, so that a report that gets too old behind a broker that is away is given up rather than sent later; and
        # returned by the broker while the engine has no queue, as after a restart of a broker that forgot it.
        engine = bus.client(transport, bus.ENGINE_TOPIC).prepare(
            retry=0, transport_options=oslo_messaging.TransportOptions(at_least_once=True)
        )
        outbox = Outbox(
            self._conf, replica, lambda report: engine.cast({}, "report", report=report)
        )
        outbox.start()
        listener = threading.Thread(
            target=self._listen,
            args=(transport, AgentEndpoint(self._rounds.report_now, inspector.squeezer)),
            name="listener",
            daemon=True,
        )
        listener.start()
        LOG.info("Reporting for host %s.", self._conf.agent.host)
        watching.start()
        while (due := self._rounds.next()) is not None:
            self._make(due, inspector, outbox)
            self._rounds.over()
        watching.stop(_STOP_TIMEOUT_S)
        listener.join(_STOP_TIMEOUT_S)
        # Either may be inside the bus, waiting for a broker that is away; then it ends with the process.
        if outbox.stop(_STOP_TIMEOUT_S) and not listener.is_alive():
            transport.cleanup()
            replica.close()

    def terminate(self) -> None:
        """Stop reporting."""
        self._stopping.set()
        self._rounds.stop()

    def reload(self) -> None:
        """Read mutable options again; the next round, which comes at once, uses them."""
        self._conf.mutate_config_files()
        self._rounds.happened()

    @staticmethod
    def _make(due: Round, inspector: Inspector, outbox: Outbox) -> None:
        """Make a round; whatever goes wrong in it, the next one follows in its time."""
        try:
            findings = inspector.inspect(due)
            if due.report:
                outbox.put(findings)
        except NoTotals:
            LOG.warning("Nothing is reported: no source tells the totals of the host.")
        except Exception:
            LOG.exception("A look failed; the next one follows in its time.")

    def _open_replica(self) -> Replica | None:
        """Wait until no other agent holds the state of this host; None when told to stop meanwhile."""
        said = False
        while not self._stopping.is_set():
            try:
                return Replica(Path(self._conf.agent.state_path), self._conf.agent.host)
            except ReplicaInUse as error:
                if not said:
                    LOG.warning("Waiting: %s.", error)
                said = True
                self._stopping.wait(1.0)
        return None

    def _listen(self, transport: oslo_messaging.RPCTransport, endpoint: AgentEndpoint) -> None:
        """Serve the calls. Without a broker the start blocks until there is one."""
        server = bus.server(transport, bus.AGENT_TOPIC, self._conf.agent.host, endpoint)
        # Calls are few and end at once.
        server.start(override_pool_size=1)
        self._stopping.wait()
        server.stop()
        server.wait()
