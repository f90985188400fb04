# SPDX-License-Identifier: Apache-2.0
"""The quota service on the bus: what others may call, and the process around the engine."""

from __future__ import annotations

import socket
import threading
from dataclasses import asdict
from typing import Any

import cotyledon
import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.resources import Number, dominant_share
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import (
    BadMessage,
    Wire,
    decision_from_wire,
    decision_to_wire,
    number_to_wire,
    report_from_wire,
    request_from_wire,
    snapshot_to_wire,
)

LOG = log.getLogger(__name__)

_MOST_DECISIONS = 1000


class EngineEndpoint:
    """The calls of the topic ``hybrid-sched-engine``, version 1.0."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def report(self, _context: Wire, report: object) -> None:
        """Take in an agent's report (cast)."""
        try:
            self._engine.take_report(report_from_wire(report))
        except BadMessage as fault:
            self._engine.count_malformed_report(str(fault))

    def snapshot(
        self, _context: Wire, known_epoch: str | None = None, known_version: int | None = None
    ) -> Wire:
        """Give the newest snapshot, or only its age where the caller has it already.

        Before the first cycle there is none, so that after a restart nobody takes a cluster without hosts for the truth.
        """
        snapshot, age_s = self._engine.snapshot()
        known = (known_epoch, known_version) == (snapshot.epoch, snapshot.version)
        news = self._engine.has_run and not known
        return {"age_s": age_s, "snapshot": snapshot_to_wire(snapshot) if news else None}

    def reserve(self, _context: Wire, request: object) -> Wire:
        """Reserve room in a framework's share."""
        return asdict(self._engine.reserve(request_from_wire(request)))

    def release(self, _context: Wire, request_uuid: str) -> bool:
        """End a reservation."""
        return self._engine.release(request_uuid)

    def record_decisions(self, _context: Wire, decisions: list[object]) -> None:
        """Keep decisions of the plug-ins (cast)."""
        for decision in decisions:
            try:
                self._engine.take_decision(decision_from_wire(decision))
            except BadMessage as fault:
                LOG.warning("Decision refused (malformed): %s.", fault)

    def decisions(
        self, _context: Wire, request_uuid: str | None = None, limit: int = 50
    ) -> list[Wire]:
        """Give the steps of one request, or the last step of each of the newest requests."""
        if request_uuid is not None:
            found = list(self._engine.decisions_of(request_uuid))
        else:
            found = self._engine.newest_decisions(max(0, min(limit, _MOST_DECISIONS)))
        return [decision_to_wire(decision) for decision in found]

    def shares(self, _context: Wire) -> list[Wire]:
        """Give each framework's weight and shares."""
        snapshot, _ = self._engine.snapshot()
        return _shares(snapshot)

    def hosts(self, _context: Wire) -> list[Wire]:
        """Give what is known of each host."""
        snapshot, _ = self._engine.snapshot()
        rows = []
        for record, age_s in self._engine.records():
            host = snapshot.hosts.get(record.report.host)
            rows.append(
                {
                    "host": record.report.host,
                    "score": number_to_wire(host.score) if host else 1,
                    "fresh": bool(host and host.fresh),
                    "age_s": round(age_s, 1),
                    "capacity": _amounts(record.report.capacity.declared()),
                    "used": {
                        name: _amounts(used.declared())
                        for name, used in (host.used if host else {}).items()
                    },
                    "measured": dict(record.report.measured),
                    "faults": list(record.report.faults),
                    "tasks": [
                        {"uuid": task.uuid, "framework": task.framework, "name": task.name}
                        for task in record.tasks.values()
                    ],
                }
            )
        return rows


def _amounts(declared: dict[str, Number]) -> Wire:
    return {name: number_to_wire(amount) for name, amount in declared.items()}


def _shares(snapshot: Snapshot) -> list[Wire]:
    return [
        {
            "framework": framework.name,
            "weight": number_to_wire(framework.weight),
            "used": number_to_wire(dominant_share(framework.used, snapshot.pool)),
            "wanted": number_to_wire(dominant_share(framework.wanted, snapshot.pool)),
            "fair": number_to_wire(framework.fair_share),
            "entitled": number_to_wire(framework.entitlement),
            "floor": number_to_wire(framework.floor),
        }
        for framework in snapshot.frameworks.values()
    ]


class QuotaService(cotyledon.Service):  # type: ignore[misc] # cotyledon has no annotations
    """The process of the engine.

    :param conf: options.
    """

    def __init__(self, worker_id: int, conf: cfg.ConfigOpts) -> None:
        super().__init__(worker_id)
        self._conf = conf
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until told to stop. Everything live is made here, after the fork."""
        transport = bus.transport(self._conf)
        fan_out = bus.client(transport, bus.SNAPSHOT_TOPIC, fanout=True)
        engine = Engine(self._conf, publish=lambda snapshot: _fan_out(fan_out, snapshot))
        server = bus.server(
            transport, bus.ENGINE_TOPIC, socket.gethostname(), EngineEndpoint(engine)
        )
        server.start()
        # Statistics is whole again one period after a start because the agents are asked at once.
        bus.client(transport, bus.AGENT_TOPIC, fanout=True).cast({}, "report_now")
        LOG.info("Serving.")
        while not self._stopping.wait(self._conf.quota.period_s):
            try:
                engine.run_cycle()
            except Exception:
                LOG.exception("A cycle failed; the last shares stay until the next one.")
        server.stop()
        server.wait()
        transport.cleanup()

    def terminate(self) -> None:
        """Stop serving."""
        self._stopping.set()

    def reload(self) -> None:
        """Read mutable options again; the next cycle uses them."""
        self._conf.mutate_config_files()


def _fan_out(client: Any, snapshot: Snapshot) -> None:
    client.cast({}, "snapshot", age_s=0.0, snapshot=snapshot_to_wire(snapshot))
