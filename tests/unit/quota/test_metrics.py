# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from engines import Site
from oslo_config import cfg
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from values import decision, report, task

from hybrid_sched.conf import metrics as options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.quota.metrics import EngineCollector, MetricsServer
from hybrid_sched.rpc.isolation import IsolationReport

_LABELS = ("pool", "framework", "host", "reason")


def conf(**values: Any) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(options.OPTIONS, group=cfg.OptGroup("metrics"))
    made([], default_config_files=[])
    for name, value in values.items():
        made.set_override(name, value, group="metrics")
    return made


def figures(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Read an exposition: values by name, then by the values of the labels."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sample.labels[name] for name in _LABELS if name in sample.labels)
            found.setdefault(sample.name.removeprefix("hybrid_sched_"), {})[labels] = sample.value
    return found


def exposition(site: Site) -> str:
    registry = CollectorRegistry()
    registry.register(EngineCollector(site.engine))
    return generate_latest(registry).decode()


def borrowing() -> Site:
    """Make an engine of which containers hold 150 of 200 MiB in the default pool, and guests want 100."""
    site = Site(
        term=4,
        lending_of_guests="1",
        squeeze_after_s=0,
        weights={HYPERVISOR: "4", CONTAINER: "2"},
    )
    wanted = decision(
        "g", framework=HYPERVISOR, demand=task("g", 100).demand, refused_by_share=True
    )
    site.engine.take_decision(wanted)
    site.report("a", task("t", 100))
    site.report("b", task("u", 40))
    site.report("f")
    site.run(pool_of={"f": "fast"})
    site.reserve("r", 5, "fast")
    site.clock.now_s += 3
    site.report("a", task("t", 100))
    site.run()
    site.clock.now_s += 2
    return site


def test_the_exposition_has_the_figures_of_the_engine() -> None:
    site = borrowing()
    site.engine.take_report(report("a", sequence=1, sampled_at_s=site.clock()))
    for _ in range(2):
        site.engine.count_malformed_report("no host")
    found = figures(exposition(site))
    of_containers = ("default", CONTAINER)
    of_guests = ("default", HYPERVISOR)
    assert {name: found[name][of_containers] for name in ("share", "key", "weight")} == {
        "share": 0.7,
        "key": 0.35,
        "weight": 2,
    }
    assert (found["share"]["fast", CONTAINER], found["key"]["fast", CONTAINER]) == (0.05, 0.025)
    assert found["entitlement"] == pytest.approx(
        {of_containers: 0.5, of_guests: 0.5, ("fast", CONTAINER): 0.05, ("fast", HYPERVISOR): 0}
    )
    assert found["fair_share"][of_guests] == pytest.approx(2 / 3)
    assert found["borrowed"][of_containers] == pytest.approx(0.2)
    assert found["owed"][of_guests] == pytest.approx(0.5)
    assert found["head_threshold"][of_containers] > 0
    assert found["squeeze"][of_containers] == pytest.approx(0.5 / 0.7)
    assert (found["reclaim_rung"][of_containers], found["reclaim_rung"][of_guests]) == (2, 0)
    assert found["reservations"] == {
        of_containers: 0,
        of_guests: 0,
        ("fast", CONTAINER): 1,
        ("fast", HYPERVISOR): 0,
    }
    assert found["report_age_seconds"] == {("a",): 2, ("b",): 5, ("f",): 5}
    assert found["refused_reports_total"] == {("reordered",): 1, ("malformed",): 2}
    assert (found["term"], found["hosts"], found["snapshot_age_seconds"]) == (
        {(): 4},
        {(): 3},
        {(): 2},
    )
    assert found["cycle_seconds"][()] == site.engine.last_cycle_s > 0


def test_before_the_first_cycle_there_is_nothing_to_share() -> None:
    found = figures(exposition(Site()))
    assert (found["term"], found["hosts"]) == ({(): 1}, {(): 0})
    assert "share" not in found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_limits_that_agents_set_and_repaired_are_counted_by_host() -> None:
    site = Site()
    isolation = IsolationReport("enforce", applied={"cpus": 2}, repaired={"memory_mb": 1})
    site.engine.take_report(replace(report("a"), isolation=isolation))
    text = exposition(site)
    assert 'hybrid_sched_applied_limits_total{aspect="cpus",host="a"} 2.0' in text
    assert 'hybrid_sched_repaired_limits_total{aspect="memory_mb",host="a"} 1.0' in text


def test_nothing_listens_by_default() -> None:
    port = free_port()
    server = MetricsServer(conf(port=port), EngineCollector(Site().engine))
    assert not is_open(port)
    server.close()


def test_metrics_are_served_over_http_until_they_are_closed() -> None:
    port, site = free_port(), borrowing()
    server = MetricsServer(conf(enabled=True, port=port), EngineCollector(site.engine))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            found = figures(answer.read().decode())
    finally:
        server.close()
    assert found["share"] == figures(exposition(site))["share"]
    assert not is_open(port)


def test_an_address_that_is_in_use_is_an_error_line_and_no_crash(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = MetricsServer(conf(enabled=True, port=port), EngineCollector(Site().engine))
        server.close()
    (line,) = caplog.records
    assert line.levelname == "ERROR"
    assert line.getMessage().startswith(
        f"No metrics are served on [metrics] address 127.0.0.1 port {port}: "
    )


def test_the_address_can_be_used_again_by_the_next_leader() -> None:
    port = free_port()
    for _ in range(2):
        server = MetricsServer(conf(enabled=True, port=port), EngineCollector(Site().engine))
        try:
            assert is_open(port)
        finally:
            server.close()
