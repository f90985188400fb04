# SPDX-License-Identifier: Apache-2.0
"""The real quota service inside a test's process, on oslo.messaging's in-memory bus. Its agents alone are emulated."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from oslo_config import cfg

from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.cluster import Arrival, Task
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Number, Resources
from hybrid_sched.quota.client import client_for_process, close_client_for_process
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.inputs import CycleInputs
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.rpc.snapshots import snapshot_to_wire


def left_out() -> set[str]:
    """Name the plug-ins that this run leaves out of the configuration, to see that tests then fail."""
    return set(filter(None, os.environ.get("HYBRID_FUNCTIONAL_WITHOUT", "").split(",")))


class QuotaService:
    """The engine, answering the plug-ins of this process.

    :param conf: of the service that loads the plug-ins.
    :param options: of the group ``[quota]``.
    """

    def __init__(self, conf: cfg.ConfigOpts, **options: Any) -> None:
        self._service_conf = conf
        self._conf = cfg.ConfigOpts()
        self._set: set[str] = set()
        quota_options.register(self._conf)
        self._conf([], default_config_files=[])
        # Agents report when a test says so, so that reports never grow old by themselves.
        self.set(report_max_age_s=3600, **options)
        self.engine = Engine(self._conf)
        self._weights: dict[str, dict[str, Number]] = {}
        self._pool_of: dict[str, str] = {}
        #: Containers on their way, by the uuid of their move, from the next cycle on.
        self.arrivals: dict[str, Arrival] = {}
        self._transport = bus.transport(conf)
        self._sequence = 0
        self.answer()

    def answer(self) -> None:
        """Answer on the bus."""
        endpoint = EngineEndpoint(self.engine, lambda *_: None)
        self._server = bus.server(self._transport, bus.ENGINE_TOPIC, "test", endpoint)
        self._server.start()

    def be_silent(self, *, forgotten: bool = True) -> None:
        """Answer no more.

        :param forgotten: let the plug-ins lose what they know, so that they have no snapshot and get none.
        """
        if forgotten:
            close_client_for_process()
        self._server.stop()
        self._server.wait()

    def set(self, **options: Any) -> None:
        for name, value in options.items():
            self._set.add(name)
            self._conf.set_override(name, value, group="quota")

    def share(self, pool: str, hosts: Iterable[str], weights: Mapping[str, Number]) -> None:
        """Put hosts into a pool and set its weights, from the next cycle."""
        self._pool_of.update(dict.fromkeys(hosts, pool))
        self._weights[pool] = dict(weights)

    def report(self, host: str, capacity: Resources, tasks: Iterable[Task] = ()) -> None:
        """Report as the host's agent would."""
        self._sequence += 1
        self.engine.take_report(
            HostReport(
                host=host,
                boot_id="boot",
                sequence=self._sequence,
                sampled_at_s=time.time(),
                capacity=capacity,
                cpus=int(capacity.vcpu),
                memory_mb=int(capacity.memory_mb),
                tasks=tuple(tasks),
            )
        )

    def publish(self) -> None:
        """Work out the shares and give them to the plug-ins, which know them when this returns."""
        self.engine.run_cycle(
            CycleInputs(weights=self._weights, pool_of=self._pool_of, arrivals=self.arrivals)
        )
        snapshot, age_s = self.engine.snapshot()
        client_for_process(self._service_conf).accept_snapshot(snapshot_to_wire(snapshot), age_s)

    def decision(self, uuid: str, stage: Stage) -> Decision:
        """Wait for the plug-ins' last word on a request to arrive."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = [each for each in self.engine.decisions_of(uuid) if each.stage is stage]
            if found:
                return found[-1]
            time.sleep(0.05)
        raise AssertionError(f"no decision {stage} on {uuid} came")

    def close(self) -> None:
        close_client_for_process()
        # A group of options is shared by all that register it, the values that are set included.
        for name in self._set:
            self._conf.clear_override(name, group="quota")
        self._server.stop()
        self._server.wait()
        self._transport.cleanup()
