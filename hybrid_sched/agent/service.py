# SPDX-License-Identifier: Apache-2.0
"""The process of the agent: look and report each period, and at once when asked."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import cotyledon
import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from hybrid_sched.agent.outbox import Outbox
from hybrid_sched.agent.replica import Replica, ReplicaInUse
from hybrid_sched.agent.reporter import Findings, NoTotals, Reporter, fault
from hybrid_sched.agent.squeeze import Squeezer
from hybrid_sched.loading import load
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import BadMessage, Wire

LOG = log.getLogger(__name__)

SOURCES = "hybrid_sched.monitor.source"
ISOLATORS = "hybrid_sched.isolator"
_STOP_TIMEOUT_S = 2.0


def look_around(replica: Replica, squeezer: Squeezer, reporter: Reporter) -> Findings:
    """Bring the tasks to where the engine wants them, then look at everything; whatever failed is in the report.

    :raises NoTotals: until the totals have been seen once.
    """
    squeezed = squeezer.apply()
    findings = reporter.look(replica.state)
    faults = [*findings.report.faults, *squeezed.faults]
    if replica.fault is not None:
        faults.append(fault("state", replica.fault))
    report = replace(findings.report, squeezed=squeezed.factors, faults=tuple(faults))
    return replace(findings, report=report)


class AgentEndpoint:
    """The calls of the topic ``hybrid-sched-agent``, version 1.0."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, wake: threading.Event, squeezer: Squeezer) -> None:
        self._wake = wake
        self._squeezer = squeezer

    def report_now(self, _context: Wire) -> None:
        """Report without waiting for the end of the period (cast to all)."""
        self._wake.set()

    def squeeze(self, _context: Wire, term: object, factors: object) -> None:
        """Hold the tasks of the named frameworks to a part of their CPU weights, and of no other (cast).

        :param term: of the leading engine.
        :param factors: by framework, ``"a/b"`` or an integer, above 0 and at most 1.
        """
        try:
            if self._squeezer.take_order(term, factors):
                self._wake.set()
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
        self._wake = threading.Event()

    def run(self) -> None:
        """Report until told to stop. Everything live is made here, after the fork."""
        replica = self._open_replica()
        if replica is None:
            return
        squeezer = Squeezer(
            self._conf, load(ISOLATORS, self._conf.agent.isolators, self._conf), replica
        )
        reporter = Reporter(self._conf, load(SOURCES, self._conf.agent.sources, self._conf))
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
            args=(transport, AgentEndpoint(self._wake, squeezer)),
            name="listener",
            daemon=True,
        )
        listener.start()
        LOG.info("Reporting for host %s.", self._conf.agent.host)
        while True:
            # Cleared before the question whether to stop, so that no wake-up between the two is lost.
            self._wake.clear()
            if self._stopping.is_set():
                break
            started_at_s = time.monotonic()
            try:
                outbox.put(look_around(replica, squeezer, reporter))
            except NoTotals:
                LOG.warning("Nothing is reported: no source tells the totals of the host.")
            except Exception:
                LOG.exception("A look failed; the next one follows in its time.")
            took_s = time.monotonic() - started_at_s
            self._wake.wait(max(0.0, self._conf.agent.period_s - took_s))
        listener.join(_STOP_TIMEOUT_S)
        # Either may be inside the bus, waiting for a broker that is away; then it ends with the process.
        if outbox.stop(_STOP_TIMEOUT_S) and not listener.is_alive():
            transport.cleanup()
            replica.close()

    def terminate(self) -> None:
        """Stop reporting."""
        self._stopping.set()
        self._wake.set()

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
