# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of the engine, worked out when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from oslo_config import cfg
from oslo_log import log
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hybrid_sched.core.cluster import Framework, Rung
from hybrid_sched.core.resources import Number, Vector, dominant_share
from hybrid_sched.quota.engine import Engine

LOG = log.getLogger(__name__)

_RUNGS = list(Rung)


class EngineCollector(Collector):
    """Figures of one engine.

    :param engine: the leader's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """Give the figures as they are now; shares are dominant shares, parts of the pool from 0 to 1."""
        snapshot, age_s = self._engine.snapshot()
        yield _gauge("hybrid_sched_term", "Term of the leading engine", snapshot.term)
        yield _gauge("hybrid_sched_snapshot_age_seconds", "Age of the newest snapshot", age_s)
        yield _gauge(
            "hybrid_sched_cycle_seconds", "Time the last cycle took", self._engine.last_cycle_s
        )
        yield _gauge("hybrid_sched_hosts", "Hosts that take part", len(snapshot.hosts))
        yield from self._shares()
        age = GaugeMetricFamily(
            "hybrid_sched_report_age_seconds", "Age of each host's last report", labels=["host"]
        )
        for record, report_age_s in self._engine.records():
            age.add_metric([record.report.host], report_age_s)
        yield age
        for name, text in (
            ("applied", "Limits that an agent set because something was new"),
            ("repaired", "Limits that an agent set again because something else had changed them"),
        ):
            limits = CounterMetricFamily(
                f"hybrid_sched_{name}_limits", text, labels=["host", "aspect"]
            )
            for record, _ in self._engine.records():
                for aspect, count in getattr(record.report.isolation, name).items():
                    limits.add_metric([record.report.host, aspect], count)
            yield limits
        yield CounterMetricFamily(
            "hybrid_sched_accepted_reports",
            "Reports that were taken in",
            value=self._engine.accepted,
        )
        refused = CounterMetricFamily(
            "hybrid_sched_refused_reports", "Reports that changed nothing", labels=["reason"]
        )
        for reason, count in self._engine.refusals().items():
            refused.add_metric([reason], count)
        yield refused

    def _shares(self) -> Iterable[Metric]:
        snapshot, _ = self._engine.snapshot()
        figures = {
            "share": "Dominant share that a framework holds, reservations included",
            "key": "Dominant share divided by weight; equal among frameworks that want more",
            "weight": "Weight of a framework",
            "fair_share": "Dominant share that the weights alone would give",
            "entitlement": "Dominant share that it is entitled to as the wants are",
            "borrowed": "Dominant share held above the entitlement",
            "owed": "Dominant share that it is entitled to, wants and does not hold",
            "head_threshold": "Dominant share from which a task counts as a Cross-Fill head",
            "squeeze": "Factor on the CPU weights of its tasks",
            "reclaim_rung": f"Rung of the reclaim ladder: {', '.join(map(str.__str__, _RUNGS))} from 0",
            "reservations": "Reservations that are held",
        }
        families = {
            name: GaugeMetricFamily(f"hybrid_sched_{name}", text, labels=["pool", "framework"])
            for name, text in figures.items()
        }
        reserved = self._engine.reservations()
        for pool in snapshot.pools.values():
            for framework in pool.frameworks.values():
                labels = [pool.name or "default", framework.name]
                values = _figures(framework, pool.capacity)
                values["reservations"] = reserved.get((pool.name, framework.name), 0)
                for name, value in values.items():
                    families[name].add_metric(labels, float(value))
        return families.values()


def _figures(framework: Framework, capacity: Vector) -> dict[str, Number]:
    share = dominant_share(framework.used, capacity)
    return {
        "share": share,
        "key": Fraction(share) / framework.weight,
        "weight": framework.weight,
        "fair_share": framework.fair_share,
        "entitlement": framework.entitlement,
        "borrowed": framework.borrowed,
        "owed": framework.owed,
        "head_threshold": framework.head_threshold,
        "squeeze": framework.squeeze,
        "reclaim_rung": _RUNGS.index(framework.rung),
    }


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


class MetricsServer:
    """Serve the metrics of the engine that leads and of its duties, on the address of ``[metrics]``; none where that is off.

    :param conf: options of the group ``[metrics]``.
    :param collectors: of the figures to serve.
    """

    def __init__(self, conf: cfg.ConfigOpts, *collectors: Collector) -> None:
        self._server = None
        options = conf.metrics
        if not options.enabled:
            return
        registry = CollectorRegistry()
        for collector in collectors:
            registry.register(collector)
        try:
            self._server, self._thread = start_http_server(
                options.port, addr=str(options.address), registry=registry
            )
        except OSError as error:
            LOG.error(
                "No metrics are served on [metrics] address %s port %d: %s.",
                options.address,
                options.port,
                error,
            )

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
