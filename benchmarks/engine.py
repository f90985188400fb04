# SPDX-License-Identifier: Apache-2.0
"""The engine with ten thousand hosts: a cycle over everything, a cycle after one host in a hundred changed, reports taken in.

``python -m benchmarks.engine`` prints the figures and writes them to ``.bench/engine.json``. The method is in
``doc/source/admin/performance.rst``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

import psutil  # noqa: E402
from oslo_config import cfg  # noqa: E402
from rabbitmq import Broker  # noqa: E402
from rich.console import Console  # noqa: E402

from benchmarks.synthetic import SCORES, SyntheticCluster  # noqa: E402
from hybrid_sched.cmd.collector import collect_seldom  # noqa: E402
from hybrid_sched.conf import quota  # noqa: E402
from hybrid_sched.quota.endpoint import EngineEndpoint  # noqa: E402
from hybrid_sched.quota.engine import Engine  # noqa: E402
from hybrid_sched.quota.inputs import CycleInputs  # noqa: E402
from hybrid_sched.rpc import bus  # noqa: E402
from hybrid_sched.rpc.messages import HostReport, report_to_wire  # noqa: E402
from hybrid_sched.rpc.snapshots import change_to_wire  # noqa: E402

FULL_CYCLES = 15
INCREMENTAL_CYCLES = 50
REPORTS = 10_000
# Enough that each of these hosts reports several times.
REPORTING_HOSTS = 1_000
_PATH = Path(".bench") / "engine.json"


def measure(hosts: int, tasks_a_host: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure one engine in this process; times are CPU time in milliseconds.

    :param say: told of each step.
    """
    # As the program does.
    collect_seldom()
    engine = Engine(_conf())
    cluster = SyntheticCluster(hosts, tasks_a_host)
    reports = []
    for index in range(hosts):
        reports.append(cluster.report(index))
        engine.take_report(reports[-1])
    say(f"{hosts} hosts report {hosts * tasks_a_host} tasks")
    inputs = CycleInputs(score_rows=SCORES)
    engine.run_cycle(inputs)
    full = []
    for cycle in range(FULL_CYCLES):
        # A table of scores that differs has every host looked at and every sum made anew.
        rows = SCORES if cycle % 2 else SCORES[:-1]
        full.append(_cpu_ms(lambda rows=rows: engine.run_cycle(CycleInputs(score_rows=rows))))
    engine.run_cycle(inputs)
    say("full cycles are measured")
    incremental = []
    for cycle in range(INCREMENTAL_CYCLES):
        for index in range(cycle % 100, hosts, 100):
            reports[index] = cluster.next_report(reports[index], new_task=True)
            engine.take_report(reports[index])

        def run() -> None:
            news = engine.run_cycle(inputs)
            assert news.since is not None and len(news.changed) >= hosts // 100  # noqa: PT018, S101
            change_to_wire(news.snapshot, news.since, news.changed)

        incremental.append(_cpu_ms(run))
    say("incremental cycles are measured")
    return {
        "hosts": hosts,
        "tasks": hosts * tasks_a_host,
        "full_cycle_ms_p50": statistics.median(full),
        "full_cycle_ms_max": max(full),
        "incremental_cycle_ms_p50": statistics.median(incremental),
        "incremental_cycle_ms_max": max(incremental),
        "rss_mib": psutil.Process().memory_info().rss / 2**20,
    }


def reports_per_s(tasks_a_host: int, say: Callable[[str], None]) -> dict[str, float]:
    """Let an engine on one core take in reports that wait on a real RabbitMQ.

    The reports are sent before, so that neither the sender nor its serialising is in the figure.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="hybrid-bench-") as directory:
        broker = Broker(Path(directory))
        broker.start()
        try:
            mine, theirs = context.Pipe()
            taker = context.Process(target=_take, args=(broker.url, theirs))
            taker.start()
            try:
                assert mine.recv() == "queue"  # noqa: S101
                _send(broker.url, tasks_a_host)
                say(f"{REPORTS} reports wait on the broker")
                mine.send("go")
                figures: dict[str, float] = mine.recv()
                say("they are taken in")
                return figures
            finally:
                taker.kill()
                taker.join()
        finally:
            broker.stop()


def _take(url: str, pipe: Any) -> None:
    """Take reports in, in a process of its own on one core, and tell how fast."""
    os.sched_setaffinity(0, {0})
    collect_seldom()
    cfg.CONF([], default_config_files=[])
    engine = Engine(_conf())
    endpoint = EngineEndpoint(engine, lambda *_: None)
    transport = bus.transport(cfg.CONF, url)
    # Declares the queue in which the reports are to wait.
    server = bus.server(transport, bus.ENGINE_TOPIC, "bench", endpoint)
    server.start()
    server.stop()
    server.wait()
    pipe.send("queue")
    pipe.recv()
    server = bus.server(transport, bus.ENGINE_TOPIC, "bench", endpoint)
    # As the service does.
    began_s, cpu_began_s = time.monotonic(), time.process_time()
    server.start(override_pool_size=8)
    while engine.accepted < REPORTS:
        time.sleep(0.01)
    took_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_began_s
    pipe.send({"reports_per_s": REPORTS / took_s, "report_cpu_us": cpu_s / REPORTS * 1e6})
    os._exit(0)


def _send(url: str, tasks_a_host: int) -> None:
    cluster = SyntheticCluster(REPORTING_HOSTS, tasks_a_host)
    last: dict[int, HostReport] = {}
    transport = bus.transport(cfg.CONF, url)
    engine = bus.client(transport, bus.ENGINE_TOPIC)
    for number in range(REPORTS):
        index = number % REPORTING_HOSTS
        # One report in ten has a new task.
        report = (
            cluster.next_report(last[index], new_task=number % 10 == 0)
            if index in last
            else cluster.report(index)
        )
        last[index] = report
        engine.cast({}, "report", report=report_to_wire(report))
    transport.cleanup()


def _conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    quota.register(conf)
    conf([], default_config_files=[])
    # The run may take longer than reports stay fresh.
    conf.set_override("report_max_age_s", 3600, group="quota")
    return conf


def _cpu_ms(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) * 1e3


def main() -> int:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--tasks-a-host", type=int, default=30)
    options = parser.parse_args()
    console = Console(stderr=True)
    with console.status("Measuring") as status:

        def say(what: str) -> None:
            console.print(f"  {what}")
            status.update("Measuring")

        cfg.CONF([], default_config_files=[])
        figures = measure(options.hosts, options.tasks_a_host, say)
        figures |= reports_per_s(options.tasks_a_host, say)
    figures = {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in figures.items()
    }
    _PATH.parent.mkdir(exist_ok=True)
    _PATH.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
