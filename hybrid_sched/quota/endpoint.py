# SPDX-License-Identifier: Apache-2.0
"""What others may ask of the quota service on the bus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import oslo_messaging
from oslo_log import log

from hybrid_sched.clients.nova import NovaClient
from hybrid_sched.core.cluster import DEFAULT_POOL, FRAMEWORKS, Host, Snapshot
from hybrid_sched.core.resources import Number
from hybrid_sched.db import DatabaseError
from hybrid_sched.db.terms import Deposed
from hybrid_sched.quota.answers import NotReady
from hybrid_sched.quota.decisions import DECIDED
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.hypotheses import Hypotheses
from hybrid_sched.quota.share_rows import share_rows
from hybrid_sched.quota.statistics import HostRecord
from hybrid_sched.rpc import bus, wire
from hybrid_sched.rpc.isolation import isolation_to_wire
from hybrid_sched.rpc.messages import (
    LONGEST_NAME,
    BadMessage,
    ReportReader,
    Wire,
    decision_from_wire,
    decision_to_wire,
    number_to_wire,
    request_from_wire,
    task_to_wire,
)
from hybrid_sched.rpc.snapshots import change_to_wire, snapshot_to_wire
from hybrid_sched.version import version_string

LOG = log.getLogger(__name__)

_MOST_DECISIONS = 1000
_MOST_POOLS = 1000

_Call = TypeVar("_Call", bound=Callable[..., Any])
# What is told to the caller alone; anything else is logged with its traceback, too.
_told: Callable[[_Call], _Call] = oslo_messaging.expected_exceptions(
    Deposed, NotReady, DatabaseError
)

SetWeight = Callable[[str, str, Number | None], None]


class EngineEndpoint:
    """The calls of the topic ``hybrid-sched-engine``, version 1.0.

    :param engine: the leader's.
    :param set_weight: keeps a weight of a pool and framework; None as weight forgets it.
    :param nova: asked for flavors; None where it is not configured.
    """

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(
        self, engine: Engine, set_weight: SetWeight, nova: NovaClient | None = None
    ) -> None:
        self._engine = engine
        self._hypotheses = Hypotheses(engine, nova)
        self._set_weight = set_weight
        self._reader = ReportReader()
        self._reading = threading.Lock()

    def report(self, _context: Wire, report: object) -> None:
        """Take in an agent's report (cast)."""
        try:
            with self._reading:
                read = self._reader.read(report)
            self._engine.take_report(read)
        except BadMessage as fault:
            self._engine.count_malformed_report(str(fault))

    def snapshot(self, _context: Wire, known: Sequence[int] | None = None) -> Wire:
        """Give the newest snapshot, or what changed in it since the caller's.

        Before the first cycle there is none, so that after a restart nobody takes a cluster without hosts for the truth.

        :param known: term and version that the caller has.
        """
        stamp = (int(known[0]), int(known[1])) if known else None
        news, age_s = self._engine.news_since(stamp)
        if not self._engine.has_run or news.snapshot.stamp == stamp:
            return {"age_s": age_s, "snapshot": None}
        if news.since is None:
            return {"age_s": age_s, "snapshot": snapshot_to_wire(news.snapshot)}
        changes = change_to_wire(news.snapshot, news.since, news.changed)
        return {"age_s": age_s, "snapshot": changes}

    @_told
    def reserve(self, _context: Wire, request: object, pools: object = (DEFAULT_POOL,)) -> Wire:
        """Reserve room in a framework's share, in the first of the pools that has it."""
        names = [
            wire.text(name, "pools", LONGEST_NAME, may_be_empty=True)
            for name in wire.sequence(pools, "pools", _MOST_POOLS)
        ]
        return asdict(self._engine.reserve(request_from_wire(request), names))

    @_told
    def release(self, _context: Wire, request_uuid: str) -> bool:
        """End a reservation."""
        return self._engine.release(request_uuid)

    def record_decisions(self, _context: Wire, decisions: list[object]) -> None:
        """Keep decisions of the plug-ins."""
        for decision in decisions:
            try:
                self._engine.take_decision(decision_from_wire(decision))
            except BadMessage as fault:
                LOG.warning("Decision refused (malformed): %s.", fault)

    @_told
    def decisions(
        self,
        _context: Wire,
        request_uuid: str | None = None,
        limit: int = 50,
        afterwards: bool = False,
    ) -> list[Wire]:
        """Give the steps of one request, or the last step of each of the newest requests.

        :param afterwards: give where the request was seen afterwards, too.
        """
        if request_uuid is not None:
            found = [
                step
                for step in self._engine.decisions_of(request_uuid)
                if afterwards or step.stage in DECIDED
            ]
        else:
            found = self._engine.newest_decisions(max(0, min(limit, _MOST_DECISIONS)))
        return [decision_to_wire(decision) for decision in found]

    @_told
    def why_not(
        self,
        _context: Wire,
        framework: object = None,
        demand: object = None,
        count: object = 1,
        pool: object = None,
        flavor: object = None,
    ) -> Wire:
        """Say whether a request would fit, what stops it on each host, and which changes would let it in.

        :returns: ``{"fits", "host", "text", "hosts", "changes", ...}``, or ``{"fault"}`` when something cannot be used.
        """
        try:
            return self._hypotheses.answer(framework, demand, count, pool, flavor)
        except BadMessage as fault:
            return {"fault": str(fault)}

    @_told
    def set_weight(
        self, _context: Wire, pool: object, framework: object, weight: object
    ) -> Wire | None:
        """Set the weight of a framework in a pool; the next cycle uses it.

        :param weight: a number above 0; None goes back to the weight of the configuration.
        :returns: ``{"fault"}`` when something cannot be used, else None.
        """
        try:
            name = wire.text(framework, "framework", LONGEST_NAME)
            if name not in FRAMEWORKS:
                known = " or ".join(FRAMEWORKS)
                raise BadMessage(f"framework: {name!r} is unknown: give {known}")
            where = wire.text(pool, "pool", LONGEST_NAME, may_be_empty=True)
            number = None if weight is None else wire.number_from_wire(weight, "weight")
            if number == 0:
                raise BadMessage("weight: 0 gives the framework nothing: give a number above 0")
            self._set_weight(where, name, number)
        except BadMessage as fault:
            return {"fault": str(fault)}
        return None

    def shares(self, _context: Wire) -> list[Wire]:
        """Give each framework's weight and shares, in each pool."""
        snapshot, _ = self._engine.snapshot()
        return share_rows(snapshot, self._engine.reservations())

    def candidates(self, _context: Wire) -> list[Wire]:
        """Give the tasks whose move would give back what is borrowed, by pool and framework."""
        return [
            {"pool": pool, "framework": framework, "tasks": [task_to_wire(task) for task in tasks]}
            for (pool, framework), tasks in self._engine.relief_candidates().items()
        ]

    def about(self, _context: Wire) -> Wire:
        """Give the version of the quota service, and by how many seconds clocks are ahead for which reports are refused."""
        return {"version": version_string(), "refused_clocks": self._engine.refused_clocks()}

    def hosts(self, _context: Wire, names: Sequence[str] | None = None) -> list[Wire]:
        """Give what is known of each host.

        :param names: of those that are asked for; None for all.
        """
        snapshot, _ = self._engine.snapshot()
        return [
            self._host(record, age_s, snapshot)
            for record, age_s in self._engine.records()
            if names is None or record.report.host in names
        ]

    def _host(self, record: HostRecord, age_s: float, snapshot: Snapshot) -> Wire:
        report = record.report
        host: Host | None = snapshot.hosts.get(report.host)
        score = self._engine.score_of(report.host)
        return {
            "host": report.host,
            "pool": host.pool if host else DEFAULT_POOL,
            "score": number_to_wire(score.score) if score else 1,
            "score_from": score.source if score else "",
            "cpu_model": report.hardware.cpu_model,
            "memory_kind": report.hardware.memory_kind,
            "fresh": bool(host and host.fresh),
            "age_s": round(age_s, 1),
            "clock_offset_s": round(record.clock_offset_s, 3),
            "version": report.version,
            "capacity": _amounts(report.capacity.declared()),
            "used": {
                name: _amounts(used.declared())
                for name, used in (host.used if host else {}).items()
            },
            "other": _amounts(host.other.declared()) if host else {},
            "measured": dict(report.measured),
            "squeezed": {name: number_to_wire(factor) for name, factor in report.squeezed.items()},
            "faults": list(report.faults),
            "isolation": isolation_to_wire(report.isolation),
            "tasks": [
                {**task_to_wire(task), "measured": dict(report.task_measured.get(task.uuid, {}))}
                for task in record.tasks.values()
            ],
        }


def _amounts(declared: Mapping[str, Number]) -> Wire:
    return {name: number_to_wire(amount) for name, amount in declared.items()}
