# SPDX-License-Identifier: Apache-2.0
"""A small cluster with an engine, for tests of what is around it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from oslo_config import cfg
from values import Clock, quota_conf, report, request, used_mb

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, Framework, Snapshot, Task
from hybrid_sched.core.resources import Number
from hybrid_sched.quota.answers import Reservation
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.inputs import CycleInputs
from hybrid_sched.quota.ledger import Store


class Site:
    """An engine with two hosts of 100 MiB, whose guests lend nothing unless a test says so.

    :param options: of the group ``[quota]``.
    """

    def __init__(
        self,
        term: int = 1,
        store: Store | None = None,
        clock: Clock | None = None,
        lending_of_guests: str = "0",
        **options: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.conf: cfg.ConfigOpts = quota_conf(lending={HYPERVISOR: lending_of_guests}, **options)
        self.engine = Engine(self.conf, term, store, self.clock, self.clock)
        self.inputs = CycleInputs()
        self._sequence = 0

    def report(self, host: str, *tasks: Task, **changes: Any) -> None:
        self._sequence += 1
        told = report(host, *tasks, sequence=self._sequence, sampled_at_s=self.clock(), **changes)
        self.engine.take_report(told)

    def cycle(self, *tasks_on_a: Task) -> Snapshot:
        """Let both hosts report, and work out the shares."""
        self.report("a", *tasks_on_a)
        self.report("b")
        return self.run()

    def run(self, **changes: Any) -> Snapshot:
        """Work out the shares.

        :param changes: of the inputs; they stay.
        """
        self.inputs = replace(self.inputs, **changes)
        return self.engine.run_cycle(self.inputs).snapshot

    def set(self, **options: Any) -> None:
        for name, value in options.items():
            self.conf.set_override(name, value, group="quota")

    @property
    def snapshot(self) -> Snapshot:
        return self.engine.snapshot()[0]

    def framework(self, name: str = CONTAINER, pool: str = DEFAULT_POOL) -> Framework:
        return self.snapshot.pools[pool].frameworks[name]

    def used_mb(self, framework: str = CONTAINER, pool: str = DEFAULT_POOL) -> Number:
        return used_mb(self.snapshot, framework, pool)

    def wanted_mb(self, framework: str = CONTAINER, pool: str = DEFAULT_POOL) -> Number:
        return self.framework(framework, pool).wanted[1]

    def reserve(self, uuid: str, memory_mb: int, *pools: str, **changes: Any) -> Reservation:
        return self.engine.reserve(request(uuid, memory_mb, **changes), pools or (DEFAULT_POOL,))
