# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the watchdog, from what its runner remembers of its term."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hybrid_sched.core.rebalancing.moves import IN_FLIGHT
from hybrid_sched.watchdog.runner import WatchdogRunner


class WatchdogCollector(Collector):
    """Figures of one runner; the database is not asked.

    :param runner: the leader's.
    """

    def __init__(self, runner: WatchdogRunner) -> None:
        self._runner = runner

    def collect(self) -> Iterable[Metric]:
        """Give the figures as they are now."""
        going = GaugeMetricFamily(
            "hybrid_sched_moves_in_flight", "Moves that are planned or running", labels=["state"]
        )
        for state in sorted(IN_FLIGHT):
            going.add_metric([state], self._runner.in_flight[state])
        yield going
        ended = CounterMetricFamily(
            "hybrid_sched_ended_moves",
            "Moves that ended since this engine leads",
            labels=["strategy", "framework", "state"],
        )
        for (strategy, framework, state), count in sorted(self._runner.ended.copy().items()):
            ended.add_metric([strategy, framework, state], count)
        yield ended
        yield GaugeMetricFamily(
            "hybrid_sched_hosts_left_alone",
            "Hosts for which more was wanted in the last period than could be done",
            value=len(self._runner.left_alone),
        )
        if self._runner.score is not None:
            yield GaugeMetricFamily(
                "hybrid_sched_imbalance_score",
                "Imbalance score of the last period, before what was decided in it",
                value=self._runner.score,
            )
