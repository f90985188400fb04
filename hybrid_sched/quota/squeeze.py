# SPDX-License-Identifier: Apache-2.0
"""Which hosts are to be told how much CPU weight their borrowers keep (the reclaim ladder's second rung)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
        self, snapshot: Snapshot, records: Iterable[HostRecord], now_s: float
    ) -> dict[str, Factors]:
        """Give the factors of each host that must be told now; no factors release it.

        :param snapshot: the newest.
        :param records: of all hosts.
        :param now_s: the monotonic clock.
        """
        wanted_in = {
            pool.name: {f.name: f.squeeze for f in pool.frameworks.values() if f.squeeze < 1}
            for pool in snapshot.pools.values()
        }
        orders: dict[str, Factors] = {}
        for record in records:
            host = record.report.host
            wanted = wanted_in[snapshot.pool_of(host).name]
            applied = dict(record.report.squeezed)
            if not wanted and not applied:
                self._sent_at_s.pop(host, None)
                continue
            # Sent in this period already, the agent's next report will tell.
            fresh = now_s - self._sent_at_s.get(host, -self._repeat_s) < self._repeat_s
            if wanted != applied or not fresh:
                orders[host] = wanted
                self._sent_at_s[host] = now_s
        return orders
