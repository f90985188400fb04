# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of both schedulers share: a snapshot that a quota client holds, and timing of two ways in turns."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oslo_config import cfg

from benchmarks.synthetic import SCORES, SyntheticCluster
from hybrid_sched.conf import client as client_options
from hybrid_sched.conf import quota as quota_options
from hybrid_sched.quota.client import client_for_process
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.inputs import CycleInputs
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.rpc.snapshots import snapshot_to_wire

#: Requests measured at each number of hosts, so that each number takes some seconds.
REPEATS = {10: 2000, 100: 600, 1_000: 120, 5_000: 30}

_TASKS_A_HOST = 6


@dataclass(frozen=True, slots=True)
class Interleaved:
    """CPU time of the thread that schedules, of two ways that took turns.

    :param stock_ms: shortest of the scheduler's own filters and weighers.
    :param ours_ms: shortest of those with the plug-ins.
    :param first_ms: of the first request with the plug-ins, in which what a snapshot is looked up by is worked out.
    """

    stock_ms: float
    ours_ms: float
    first_ms: float

    def figures(self) -> dict[str, float]:
        """Give them for the file, with the ratio of the two."""
        return {
            "ratio_min": round(self.ours_ms / self.stock_ms, 4),
            "stock_ms": round(self.stock_ms, 3),
            "ours_ms": round(self.ours_ms, 3),
            "first_request_ms": round(self.first_ms, 3),
        }


def take_turns(
    stock: Callable[[], object], ours: Callable[[], object], repeats: int
) -> Interleaved:
    """Measure two ways one after the other, again and again, so that a machine that is slow for a while is slow for both."""
    first_ms = cpu_ms(ours)
    stock()
    stock_ms, ours_ms = [], []
    gc.collect()
    gc.disable()
    try:
        for turn in range(repeats):
            # Neither always finds what the other has left in the caches.
            if turn % 2:
                stock_ms.append(cpu_ms(stock))
                ours_ms.append(cpu_ms(ours))
            else:
                ours_ms.append(cpu_ms(ours))
                stock_ms.append(cpu_ms(stock))
    finally:
        gc.enable()
    return Interleaved(min(stock_ms), min(ours_ms), first_ms)


def cpu_ms(work: Callable[[], object]) -> float:
    """Give the CPU time that this thread takes for a piece of work."""
    began_s = time.thread_time()
    work()
    return (time.thread_time() - began_s) * 1e3


def hold_snapshot(conf: cfg.ConfigOpts, count: int) -> Sequence[HostReport]:
    """Let this process's quota client hold a snapshot of synthetic hosts, made by the real engine.

    The client's bus is oslo.messaging's ``fake:`` driver with nobody on the other side, so its threads do no more than wait.

    :param conf: of the scheduler.
    :param count: hosts.
    :returns: what their agents reported.
    """
    client_options.register(conf)
    for name, value in {
        "transport_url": "fake:/",
        "snapshot_max_age_s": 86_400.0,
        "first_snapshot_timeout_s": 0.0,
        "refresh_period_s": 86_400.0,
    }.items():
        conf.set_override(name, value, group="hybrid_sched")
    engine_conf = cfg.ConfigOpts()
    quota_options.register(engine_conf)
    engine_conf([], default_config_files=[])
    engine_conf.set_override("report_max_age_s", 86_400, group="quota")
    engine = Engine(engine_conf)
    cluster = SyntheticCluster(count, _TASKS_A_HOST)
    reports = [cluster.report(index) for index in range(count)]
    for report in reports:
        engine.take_report(report)
    engine.run_cycle(CycleInputs(score_rows=SCORES))
    snapshot, _ = engine.snapshot()
    client_for_process(conf).accept_snapshot(snapshot_to_wire(snapshot), 0.0)
    return reports
