# SPDX-License-Identifier: Apache-2.0
"""The engine: state and rules of the quota service, without bus or threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.conf.quota import BadOption, SharingRules, sharing_rules
from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import scale
from hybrid_sched.core.share_gate import Request, share_refusal
from hybrid_sched.quota.allocator import Allocator
from hybrid_sched.quota.decisions import DecisionBook
from hybrid_sched.quota.ledger import Ledger
from hybrid_sched.quota.statistics import HostRecord, ReportRefused, Statistics
from hybrid_sched.rpc.messages import HostReport

LOG = log.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reservation:
    """The answer to a request for a reservation.

    :param granted: whether the framework may place it.
    :param text: why not.
    """

    granted: bool
    text: str = ""


class Engine:
    """Take in reports, decisions and reservations; make snapshots.

    Its methods may be called from several threads.

    :param conf: options of the group ``[quota]``; mutable ones are read each cycle.
    :param publish: called with each new snapshot.
    :param now_s: the monotonic clock.
    :param clock_s: Unix time.
    :raises BadOption: when weights, lending or scores cannot be used.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        publish: Callable[[Snapshot], None],
        now_s: Callable[[], float] = time.monotonic,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._conf = conf
        self._publish = publish
        self._now_s = now_s
        self._lock = threading.RLock()
        self._rules = sharing_rules(conf)
        self._statistics = Statistics(
            conf.quota.report_max_age_s, conf.quota.forget_host_after_s, now_s
        )
        self._reservations = Ledger(now_s)
        self._pending = Ledger(now_s)
        self._decisions = DecisionBook(conf.quota.decisions_kept)
        self._allocator = Allocator(self._statistics, self._reservations, self._pending, clock_s)
        self._snapshot = self._allocator.cycle(self._rules)
        self._snapshot_at_s = now_s()
        self._has_run = False

    def run_cycle(self) -> None:
        """Work out the shares anew and publish them."""
        with self._lock:
            self._rules = self._newest_rules()
            snapshot = self._allocator.cycle(self._rules)
            self._keep(snapshot)
            self._has_run = True
        self._publish(snapshot)

    @property
    def has_run(self) -> bool:
        """Say whether a cycle has run: before that, agents have had no time to report."""
        return self._has_run

    def take_report(self, report: HostReport) -> None:
        """Take in an agent's report; one that cannot be used is counted and logged."""
        with self._lock:
            try:
                self._statistics.accept(report)
            except ReportRefused as refused:
                LOG.warning("Report refused (%s): %s.", refused.reason, refused)

    def count_malformed_report(self, fault: str) -> None:
        """Count and log a report that could not be read."""
        with self._lock:
            self._statistics.refusals["malformed"] += 1
        LOG.warning("Report refused (malformed): %s.", fault)

    def snapshot(self) -> tuple[Snapshot, float]:
        """Give the newest snapshot and its age in seconds."""
        with self._lock:
            return self._snapshot, self._now_s() - self._snapshot_at_s

    def reserve(self, request: Request) -> Reservation:
        """Reserve room in the framework's share until the task appears on a host.

        Asking again for the same request gives the same answer and charges nothing more.
        """
        with self._lock:
            if request.is_move or request.uuid in self._reservations:
                return Reservation(True)
            if request.framework not in self._snapshot.frameworks:
                known = " or ".join(self._snapshot.frameworks)
                return Reservation(False, f"framework {request.framework} is unknown; use {known}")
            refusal = share_refusal(self._snapshot, request, score=1)
            if refusal is not None:
                return Reservation(False, refusal.text)
            self._reservations.hold(request, self._conf.quota.reservation_ttl_s)
            demand = scale(request.count, request.demand)
            self._keep(self._allocator.charged(self._snapshot, request.framework, demand))
            return Reservation(True)

    def release(self, request_uuid: str) -> bool:
        """End a reservation; says whether there was one."""
        with self._lock:
            return self._reservations.drop(request_uuid)

    def take_decision(self, decision: Decision) -> None:
        """Keep a decision; what the share alone refused counts as wanted for a while."""
        with self._lock:
            self._decisions.add(decision)
            if decision.stage is not Stage.SHARE_GATE:
                return
            if decision.refused_by_share:
                request = Request(decision.request_uuid, decision.framework, decision.demand)
                self._pending.hold(request, self._conf.quota.pending_ttl_s)
            else:
                self._pending.drop(decision.request_uuid)

    def decisions_of(self, request_uuid: str) -> tuple[Decision, ...]:
        """Give the steps of one request."""
        with self._lock:
            return self._decisions.of(request_uuid)

    def newest_decisions(self, limit: int) -> list[Decision]:
        """Give the last step of the newest requests."""
        with self._lock:
            return self._decisions.newest(limit)

    def records(self) -> list[tuple[HostRecord, float]]:
        """Give what is known of each host, with its age in seconds."""
        with self._lock:
            records = self._statistics.records().values()
            return [(record, self._statistics.age_s(record)) for record in records]

    def refusals(self) -> dict[str, int]:
        """Count the refused reports by reason."""
        with self._lock:
            return dict(self._statistics.refusals)

    def _newest_rules(self) -> SharingRules:
        try:
            rules = sharing_rules(self._conf)
        except BadOption as error:
            LOG.error("The shares stay as they were: %s.", error)
            return self._rules
        if rules != self._rules:
            LOG.info("Sharing rules changed: %s; they were %s.", rules, self._rules)
        return rules

    def _keep(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._snapshot_at_s = self._now_s()
