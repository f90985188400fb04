# SPDX-License-Identifier: Apache-2.0
"""The allocation cycle of level 1 (paper 4.2): what is known of hosts and wants, to a new snapshot."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from hybrid_sched.conf.quota import SharingRules
from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.online import head_threshold
from hybrid_sched.core.resources import Vector, add
from hybrid_sched.core.shares import charge, effective_pool, frameworks_of, rationed
from hybrid_sched.quota.ledger import Ledger
from hybrid_sched.quota.statistics import Statistics


class Allocator:
    """Make snapshots, each with a version of its own within the life of the service.

    :param statistics: hosts.
    :param reservations: demand that was granted and is not on a host yet; charged like use.
    :param pending: demand that was refused lately; counts as wanted.
    :param clock_s: Unix time.
    """

    def __init__(
        self,
        statistics: Statistics,
        reservations: Ledger,
        pending: Ledger,
        clock_s: Callable[[], float],
    ) -> None:
        self._statistics = statistics
        self._reservations = reservations
        self._pending = pending
        self._clock_s = clock_s
        self._epoch = str(uuid.uuid4())
        self._version = 0

    def cycle(self, rules: SharingRules) -> Snapshot:
        """Run one cycle.

        :param rules: weights, lending and scores as they are now.
        :returns: the new snapshot.
        """
        self._statistics.forget_silent_hosts()
        records = self._statistics.records()
        hosts = [
            self._statistics.host(record, rules.host_scores.get(name, 1))
            for name, record in records.items()
        ]
        tasks = [task for record in records.values() for task in record.tasks.values()]
        placed = {task.uuid for task in tasks}
        self._reservations.settle(placed)
        self._pending.settle(placed)
        pool = effective_pool(hosts)
        names = [policy.name for policy in rules.policies]
        thresholds = {
            name: head_threshold((task.demand for task in tasks if task.framework == name), pool)
            for name in names
        }
        used = {name: charge(hosts, name) for name in names}
        return self._publish(
            Snapshot(
                epoch=self._epoch,
                version=0,
                taken_at_s=0,
                pool=pool,
                hosts={host.name: host for host in hosts},
                frameworks=frameworks_of(
                    pool,
                    rules.policies,
                    {name: self._with_reservations(name, used[name]) for name in names},
                    {name: self._pending.demand_of(name) for name in names},
                    thresholds,
                ),
            )
        )

    def charged(self, snapshot: Snapshot, framework: str, demand: Vector) -> Snapshot:
        """Charge a framework with a reservation between two cycles.

        :param snapshot: the newest.
        :param framework: whose reservation it is.
        :param demand: of the whole reservation; its host is not known, so it is charged as on the best one.
        :returns: a newer snapshot. Entitlements stay as they are until the next cycle.
        """
        demand = rationed(demand, snapshot.pool)
        before = snapshot.frameworks[framework]
        after = replace(before, used=add(before.used, demand), wanted=add(before.wanted, demand))
        return self._publish(
            replace(snapshot, frameworks={**snapshot.frameworks, framework: after})
        )

    def _with_reservations(self, framework: str, used: Vector) -> Vector:
        return add(used, self._reservations.demand_of(framework))

    def _publish(self, snapshot: Snapshot) -> Snapshot:
        self._version += 1
        return replace(snapshot, version=self._version, taken_at_s=self._clock_s())
