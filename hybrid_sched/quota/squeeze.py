# SPDX-License-Identifier: Apache-2.0
"""Which hosts are to be told how much CPU weight their borrowers keep (the reclaim ladder's second rung)."""

from __future__ import annotations

from collections.abc import Mapping

from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.resources import Number
from hybrid_sched.quota.statistics import HostRecord

Factors = Mapping[str, Number]


class SqueezeOrders:
    """Find the hosts whose agents must be told, from what they report as applied.

    An order is repeated now and then, since an agent that hears nothing for long releases its tasks.

    :param repeat_s: seconds after which an order is repeated.
    """

    def __init__(self, repeat_s: float = 60.0) -> None:
        self._repeat_s = repeat_s
        self._sent_at_s: dict[str, float] = {}

    def due(
        self, snapshot: Snapshot, records: Mapping[str, HostRecord], now_s: float
    ) -> dict[str, Factors]:
        """Give the factors of each host that must be told now; no factors release it.

        :param snapshot: the newest.
        :param records: by host, of all whose tasks are squeezed or in a pool with a borrower to squeeze.
        :param now_s: the monotonic clock.
        """
        wanted_in = squeezed_pools(snapshot)
        orders: dict[str, Factors] = {}
        for host, record in records.items():
            wanted = wanted_in.get(snapshot.pool_of(host).name, {})
            differs = wanted != dict(record.report.squeezed)
            due = now_s - self._sent_at_s.get(host, -self._repeat_s) >= self._repeat_s
            if differs or (wanted and due):
                orders[host] = wanted
                self._sent_at_s[host] = now_s
        self._sent_at_s = {host: at for host, at in self._sent_at_s.items() if host in records}
        return orders


def squeezed_pools(snapshot: Snapshot) -> dict[str, Factors]:
    """Give the factors below 1 by pool, of pools that have any."""
    factors = {
        pool.name: {f.name: f.squeeze for f in pool.frameworks.values() if f.squeeze < 1}
        for pool in snapshot.pools.values()
    }
    return {pool: each for pool, each in factors.items() if each}
