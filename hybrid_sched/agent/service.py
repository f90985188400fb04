# SPDX-License-Identifier: Apache-2.0
"""The process of the agent: report each period, and at once when asked."""

from __future__ import annotations

import threading

import cotyledon
import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from hybrid_sched.agent.reporter import NoTotals, Reporter
from hybrid_sched.loading import load
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import Wire, report_to_wire

LOG = log.getLogger(__name__)

SOURCES = "hybrid_sched.monitor.source"


class AgentEndpoint:
    """The calls of the topic ``hybrid-sched-agent``, version 1.0."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake

    def report_now(self, _context: Wire) -> None:
        """Report without waiting for the end of the period (cast to all)."""
        self._wake.set()


class AgentService(cotyledon.Service):  # type: ignore[misc] # cotyledon has no annotations
    """The process of the agent.

    :param conf: options.
    """

    def __init__(self, worker_id: int, conf: cfg.ConfigOpts) -> None:
        super().__init__(worker_id)
        self._conf = conf
        self._stopping = False
        self._wake = threading.Event()

    def run(self) -> None:
        """Report until told to stop. Everything live is made here, after the fork."""
        reporter = Reporter(self._conf, load(SOURCES, self._conf.agent.sources, self._conf))
        transport = bus.transport(self._conf)
        server = bus.server(
            transport, bus.AGENT_TOPIC, self._conf.agent.host, AgentEndpoint(self._wake)
        )
        server.start()
        engine = bus.client(transport, bus.ENGINE_TOPIC)
        LOG.info("Reporting for host %s.", self._conf.agent.host)
        while not self._stopping:
            self._wake.clear()
            try:
                # While the broker is away this waits; the next report is made afterwards and is new.
                engine.cast({}, "report", report=report_to_wire(reporter.report()))
            except NoTotals:
                LOG.warning("Nothing is reported: no source tells the totals of the host.")
            except oslo_messaging.MessagingException as error:
                LOG.warning("A report could not be sent: %s.", type(error).__name__)
            self._wake.wait(self._conf.agent.period_s)
        server.stop()
        server.wait()
        transport.cleanup()

    def terminate(self) -> None:
        """Stop reporting."""
        self._stopping = True
        self._wake.set()
