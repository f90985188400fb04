# SPDX-License-Identifier: Apache-2.0
"""Small clusters for tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, Host, Pool, Snapshot
from hybrid_sched.core.resources import Resources, Vector
from hybrid_sched.core.shares import SharePolicy, charge, effective_pool, frameworks_of
from hybrid_sched.core.tally import DemandDistribution


def host(
    name: str,
    guests_mb: int = 0,
    containers_mb: int = 0,
    *,
    memory_mb: int = 100,
    score: float = 1,
    fresh: bool = True,
) -> Host:
    """Make a host on which memory is what counts; it has a task for each kind that holds some."""
    used = {
        name: Resources(memory_mb=held)
        for name, held in ((HYPERVISOR, guests_mb), (CONTAINER, containers_mb))
        if held
    }
    capacity = Resources(memory_mb=memory_mb)
    return Host(name, capacity, score, used, task_count=len(used), fresh=fresh)


def snapshot(
    hosts: Iterable[Host],
    weights: Mapping[str, int] | None = None,
    lending: Mapping[str, int] | None = None,
    pending: Mapping[str, Vector] | None = None,
    demands_mb: Iterable[int] = (),
) -> Snapshot:
    """Make the snapshot of a cluster whose containers asked for ``demands_mb`` lately."""
    hosts = list(hosts)
    pool = effective_pool(hosts)
    policies = [
        SharePolicy(name, (weights or {}).get(name, 1), (lending or {}).get(name, 1))
        for name in (HYPERVISOR, CONTAINER)
    ]
    demands = DemandDistribution()
    demands.change(Counter(Resources(memory_mb=each) for each in demands_mb))
    frameworks = frameworks_of(
        pool,
        policies,
        {policy.name: charge(hosts, policy.name) for policy in policies},
        pending or {},
        {CONTAINER: demands.upper_median(pool)},
    )
    return Snapshot(
        term=1,
        version=1,
        taken_at_s=0.0,
        pools={DEFAULT_POOL: Pool(DEFAULT_POOL, pool, frameworks)},
        hosts={each.name: each for each in hosts},
    )
