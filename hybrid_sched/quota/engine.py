# SPDX-License-Identifier: Apache-2.0
"""The engine: state and rules of the quota service, without bus or threads of its own."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.conf.quota import BadOption, SharingRules, sharing_rules
from hybrid_sched.core.cluster import DEFAULT_POOL, Rung, Snapshot, Task
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.hardware import HostScore, score_of
from hybrid_sched.core.ladder import candidates
from hybrid_sched.core.resources import Number, scale
from hybrid_sched.core.share_gate import Request, share_refusal
from hybrid_sched.quota.allocator import Allocator, CycleRules
from hybrid_sched.quota.answers import NotReady, Reservation, SnapshotNews
from hybrid_sched.quota.cluster_state import ClusterState, Placing
from hybrid_sched.quota.decisions import Archive, DecisionRecords
from hybrid_sched.quota.inputs import CycleInputs
from hybrid_sched.quota.ledger import Ledger, Store
from hybrid_sched.quota.receipts import ReceiptBook
from hybrid_sched.quota.squeeze import Factors, SqueezeOrders, squeezed_pools
from hybrid_sched.quota.statistics import HostRecord, ReportLimits, ReportRefused, Statistics
from hybrid_sched.rpc.messages import HostReport

LOG = log.getLogger(__name__)


class Engine:
    """Take in reports, decisions and reservations; make snapshots.

    Its methods may be called from several threads.

    :param conf: options of the group ``[quota]``; mutable ones are read each cycle.
    :param term: fencing token of this leader.
    :param store: where reservations outlive the engine; None to keep them in memory alone.
    :param archive: where decisions outlive the engine; None to keep them in memory alone.
    :param now_s: the monotonic clock.
    :param clock_s: Unix time.
    :raises BadOption: when an option cannot be used.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        term: int = 1,
        store: Store | None = None,
        now_s: Callable[[], float] = time.monotonic,
        clock_s: Callable[[], float] = time.time,
        *,
        archive: Archive | None = None,
    ) -> None:
        self._conf = conf
        self._clock_s = clock_s
        self._now_s = now_s
        self._lock = threading.RLock()
        self._rules = sharing_rules(conf)
        self._inputs: CycleInputs | None = None
        self._scores: dict[str, HostScore] = {}
        limits = ReportLimits(
            conf.quota.report_max_age_s, conf.quota.clock_skew_s, conf.quota.forget_host_after_s
        )
        self._statistics = Statistics(limits, now_s, clock_s)
        self.receipts = ReceiptBook(
            conf.quota.receipt_window_s, conf.quota.report_max_age_s, clock_s
        )
        self._state = ClusterState(self._statistics, conf.quota.recent_tasks)
        self._reservations = Ledger(clock_s, store)
        self._pending = Ledger(clock_s)
        self._decisions = DecisionRecords(conf.quota.decisions_kept, archive)
        self._allocator = Allocator(
            term, self._state, self._reservations, self._pending, now_s, clock_s
        )
        self._snapshot_at_s = now_s()
        self._sent_version: int | None = None
        self._last_cycle_s = 0.0
        self._accepted = 0
        self._has_run = False

    def run_cycle(self, inputs: CycleInputs | None = None) -> SnapshotNews:
        """Work out the shares anew.

        :param inputs: weights, scores, pools, claims and refused requests as they are now.
        :returns: what is new since the cycle before.
        """
        inputs = inputs or CycleInputs()
        with self._lock:
            began_s = time.perf_counter()
            rules = self._newest_rules()
            everything = self._must_look_at_everything(rules, inputs)
            self._count_as_wanted(inputs.refused)
            self._rules, self._inputs = rules, inputs
            self._statistics.known_hosts = inputs.known_hosts
            if inputs.claims_of is not None:
                self._state.update_claims(inputs.claims_of, inputs.claims_changed)
            for host in self._statistics.forget_silent_hosts():
                LOG.warning("Host %s is left out: it has not reported for too long.", host)
                self._scores.pop(host, None)
                self._state.update(host)
                self.receipts.forget_host(host)
            self.receipts.forget_old()
            self._allocator.cycle(
                _cycle_rules(rules, inputs),
                Placing(
                    lambda record: self._score_of(record).score, inputs.pool_of, inputs.drained
                ),
                everything=everything,
            )
            self._snapshot_at_s = self._now_s()
            news = self._news(self._sent_version)
            self._sent_version = self._allocator.snapshot.version
            self._has_run = True
            self._decisions.look_for_claims(self._state, inputs.claims_changed, self._clock_s())
            self._last_cycle_s = time.perf_counter() - began_s
            return news

    @property
    def has_run(self) -> bool:
        """Say whether a cycle has run: before that, agents have had no time to report."""
        return self._has_run

    @property
    def accepted(self) -> int:
        """Count the reports that were taken in."""
        return self._accepted

    @property
    def last_cycle_s(self) -> float:
        """Give how long the last cycle took, in seconds."""
        return self._last_cycle_s

    def take_report(self, report: HostReport) -> None:
        """Take in an agent's report; one that cannot be used is counted and logged."""
        with self._lock:
            held = self._statistics.get(report.host)
            try:
                self._statistics.accept(report)
            except ReportRefused as refused:
                LOG.warning("Report refused (%s): %s.", refused.reason, refused)
                return
            if held is None or held.report.hardware != report.hardware:
                self._scores.pop(report.host, None)
            self._state.update(report.host)
            self.receipts.take(report)
            self._accepted += 1

    def count_malformed_report(self, fault: str) -> None:
        """Count and log a report that could not be read."""
        with self._lock:
            self._statistics.refusals["malformed"] += 1
        LOG.warning("Report refused (malformed): %s.", fault)

    def snapshot(self) -> tuple[Snapshot, float]:
        """Give the newest snapshot and its age in seconds."""
        with self._lock:
            return self._allocator.snapshot, self._now_s() - self._snapshot_at_s

    def news_since(self, known: tuple[int, int] | None) -> tuple[SnapshotNews, float]:
        """Give what is new for one who holds a snapshot, and the age of the newest in seconds.

        :param known: term and version that are held.
        """
        with self._lock:
            term = self._allocator.snapshot.term
            since = known[1] if known is not None and known[0] == term else None
            return self._news(since), self._now_s() - self._snapshot_at_s

    def reserve(self, request: Request, pools: Iterable[str] = (DEFAULT_POOL,)) -> Reservation:
        """Reserve room in the framework's share until the task appears on a host.

        Asking again for the same request gives the same answer and charges nothing more.

        :param request: what is to be placed.
        :param pools: in which it may be placed, the best one first.
        :raises NotReady: before the first cycle.
        """
        with self._lock:
            if request.is_move:
                return Reservation(True)
            held = self._reservations.get(request.uuid)
            if held is not None:
                self._reservations.confirm()
                return Reservation(True, pool=held.pool)
            if not self._has_run:
                raise NotReady("Shares are known after the first cycle: ask again then.")
            snapshot, text = self._allocator.snapshot, "there is no pool to place it in"
            for pool in pools:
                home = snapshot.pools.get(pool)
                if home is None:
                    continue
                if request.framework not in home.frameworks:
                    known = " or ".join(home.frameworks)
                    return Reservation(False, f"framework {request.framework} is unknown: {known}")
                refusal = share_refusal(home, request, score=1)
                if refusal is None:
                    self._reservations.hold(request, pool, self._conf.quota.reservation_ttl_s)
                    demand = scale(request.count, request.demand)
                    self._allocator.charged(pool, request.framework, demand)
                    return Reservation(True, pool=pool)
                text = refusal.text
            self._reservations.confirm()
            return Reservation(False, text)

    def release(self, request_uuid: str) -> bool:
        """End a reservation; says whether there was one."""
        with self._lock:
            return self._reservations.drop(request_uuid)

    def take_decision(self, decision: Decision) -> None:
        """Keep a decision; what the share alone refused counts as wanted for a while."""
        with self._lock:
            self._decisions.add(decision, self._clock_s())
            if decision.stage is not Stage.SHARE_GATE:
                return
            if decision.refused_by_share:
                request = Request(decision.request_uuid, decision.framework, decision.demand)
                self._pending.hold(request, decision.pool, self._conf.quota.pending_ttl_s)
            else:
                self._pending.drop(decision.request_uuid)

    def decisions_of(self, request_uuid: str) -> tuple[Decision, ...]:
        """Give the steps of one request, the oldest first, and the hosts on which it was seen afterwards.

        :raises DatabaseError: when it is not known here and the database cannot be read.
        """
        with self._lock:
            known = self._decisions.known_of(request_uuid)
        return self._decisions.completed(request_uuid, known)

    def newest_decisions(self, limit: int) -> list[Decision]:
        """Give the last decision on each of the newest requests, the newest first."""
        with self._lock:
            known = self._decisions.newest_known(limit)
        return self._decisions.filled_up(known, limit)

    def tasks_on(self, host: str) -> list[Task]:
        """Give the tasks that a host is charged with and its agent sees."""
        with self._lock:
            return self._state.tasks_on(host)

    def rules(self) -> CycleRules:
        """Give what decided the shares of the last cycle."""
        with self._lock:
            return _cycle_rules(self._rules, self._inputs or CycleInputs())

    def framework_of(self, uuid: str) -> str | None:
        """Tell whose a guest or container is, from what was reserved and decided; None when unknown."""
        with self._lock:
            if (reservation := self._reservations.get(uuid)) is not None:
                return reservation.framework
            decided = self._decisions.known_of(uuid)
            return decided[-1].framework if decided else self._state.framework_of(uuid)

    def placed(self, uuids: Iterable[str]) -> set[str]:
        """Name those of some guests and containers that are on a host; the next snapshot is charged with them."""
        with self._lock:
            return {uuid for uuid in uuids if self._state.is_placed(uuid)}

    def whereabouts(self, uuids: Set[str]) -> set[tuple[str, str]]:
        """Give each of some guests and containers that is on a host, with the host, as the next snapshot is charged."""
        with self._lock:
            return set(self._state.whereabouts(uuids))

    def doubted_hosts(self) -> set[str]:
        """Name the hosts with a claim of which their agent sees no task."""
        with self._lock:
            return self._state.doubted()

    def squeeze_due(self, orders: SqueezeOrders) -> Mapping[str, Factors]:
        """Give the factors of each host that must be told now."""
        with self._lock:
            snapshot = self._allocator.snapshot
            hosts = set(self._statistics.squeezed)
            if pools := squeezed_pools(snapshot):
                hosts |= {host.name for host in snapshot.hosts.values() if host.pool in pools}
            records = {h: record for h in hosts if (record := self._statistics.get(h)) is not None}
            return orders.due(snapshot, records, self._now_s())

    def records(self) -> list[tuple[HostRecord, float]]:
        """Give what is known of each host, with its age in seconds."""
        with self._lock:
            records = self._statistics.records().values()
            return [(record, self._statistics.age_s(record)) for record in records]

    def refused_clocks(self) -> dict[str, float]:
        """Give the clock offsets, in seconds, of hosts whose last report was refused for them."""
        with self._lock:
            return dict(self._statistics.refused_clocks)

    def score_of(self, host: str) -> HostScore | None:
        """Give the score of a host and the row that it comes from; None for an unknown host."""
        with self._lock:
            record = self._statistics.get(host)
            return None if record is None else self._score_of(record)

    def refusals(self) -> dict[str, int]:
        """Count the refused reports by reason."""
        with self._lock:
            return dict(self._statistics.refusals)

    def reservations(self) -> dict[tuple[str, str], int]:
        """Count the reservations by pool and framework."""
        with self._lock:
            entries = self._reservations.entries()
            return dict(Counter((entry.pool, entry.framework) for entry in entries))

    def relief_candidates(self) -> dict[tuple[str, str], Sequence[Task]]:
        """Name the tasks of each borrower that should move, by pool and framework (paper 5.3)."""
        with self._lock:
            snapshot = self._allocator.snapshot
            found = {}
            for pool in snapshot.pools.values():
                for framework in pool.frameworks.values():
                    if framework.rung is Rung.RELIEVE:
                        tasks = self._tasks_of(snapshot, pool.name, framework.name)
                        named = candidates(framework, pool.capacity, tasks)
                        found[pool.name, framework.name] = named
            return found

    def _count_as_wanted(self, refused: Sequence[Request]) -> None:
        """Hold each request that found no host, from the first reading that tells of it, so that none is held for ever.

        Which pool they were for is not told.
        """
        before = {each.uuid for each in self._inputs.refused} if self._inputs else set()
        for each in refused:
            # Our own gate may have refused it.
            if each.uuid not in before and self._pending.get(each.uuid) is None:
                self._pending.hold(each, DEFAULT_POOL, self._conf.quota.pending_ttl_s)
        # What is deleted is wanted no longer.
        for uuid in before - {each.uuid for each in refused}:
            self._pending.drop(uuid)

    def _tasks_of(self, snapshot: Snapshot, pool: str, framework: str) -> list[tuple[Task, Number]]:
        return [
            (task, host.score)
            for host in snapshot.hosts.values()
            if host.pool == pool and (record := self._statistics.get(host.name)) is not None
            for task in record.tasks.values()
            if task.framework == framework
        ]

    def _score_of(self, record: HostRecord) -> HostScore:
        host = record.report.host
        score = self._scores.get(host)
        if score is None:
            named = self._rules.host_scores.get(host)
            rows = self._inputs.score_rows if self._inputs else ()
            score = (
                HostScore(named, None, named=True)
                if named is not None
                else score_of(record.report.hardware, rows, self._rules.default_score)
            )
            self._scores[host] = score
        return score

    def _news(self, since: int | None) -> SnapshotNews:
        changed = () if since is None else self._allocator.changed_since(since)
        return SnapshotNews(self._allocator.snapshot, since, changed)

    def _must_look_at_everything(self, rules: SharingRules, inputs: CycleInputs) -> bool:
        before = self._inputs
        scores = (rules.host_scores, rules.default_score)
        if before is None or before.score_rows != inputs.score_rows:
            self._scores = {}
            return True
        if scores != (self._rules.host_scores, self._rules.default_score):
            self._scores = {}
            return True
        return (before.pool_of, before.drained) != (inputs.pool_of, inputs.drained)

    def _newest_rules(self) -> SharingRules:
        try:
            rules = sharing_rules(self._conf)
        except BadOption as error:
            LOG.error("The shares stay as they were: %s.", error)
            return self._rules
        if rules != self._rules:
            LOG.info("Sharing rules changed: %s; they were %s.", rules, self._rules)
        return rules


def _cycle_rules(rules: SharingRules, inputs: CycleInputs) -> CycleRules:
    weights: Mapping[str, Mapping[str, Number]] = {DEFAULT_POOL: {}, **inputs.weights}
    base = inputs.weights.get(DEFAULT_POOL, {})
    return CycleRules(
        policies={
            pool: rules.with_weights({**base, **inputs.weights.get(pool, {})}) for pool in weights
        },
        ladder=rules.ladder,
        reserve=rules.reserve,
        arrivals=inputs.arrivals,
    )
