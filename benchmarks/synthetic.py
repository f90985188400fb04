# SPDX-License-Identifier: Apache-2.0
"""A cluster that cannot be had: synthetic hosts with guests and containers, as their agents would report them."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field, replace

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.hardware import Hardware, ScoreRow
from hybrid_sched.core.resources import Resources
from hybrid_sched.rpc.messages import HostReport

#: Four kinds of hardware.
SCORES = tuple(
    ScoreRow(f"Kind {name}*", "*", score)
    for name, score in (("A", 1), ("B", "9/10"), ("C", "3/4"), ("D", "1/2"))
)
_CAPACITY = Resources(vcpu=256, memory_mb=1_048_576)


@dataclass
class SyntheticCluster:
    """Hosts with the same number of tasks each, a third of them guests.

    :param hosts: how many.
    :param tasks_a_host: on each.
    :param seed: of the random demands.
    """

    hosts: int
    tasks_a_host: int
    seed: int = 1
    _sequence: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the seed."""
        self._random = random.Random(self.seed)

    def report(self, index: int) -> HostReport:
        """Make the first report of a host."""
        self._sequence += 1
        tasks = tuple(self._task(index, number) for number in range(self.tasks_a_host))
        return HostReport(
            host=f"host-{index:05d}",
            boot_id="synthetic",
            sequence=self._sequence,
            sampled_at_s=time.time(),
            capacity=_CAPACITY,
            cpus=64,
            memory_mb=1_048_576,
            hardware=Hardware(f"Kind {'ABCD'[index % 4]} 64-Core", "DDR4"),
            tasks=tasks,
            measured={measures.CPU_CORES: 20.5, measures.MEMORY_USED_MB: 250_000.25},
            task_measured={task.uuid: self._figures() for task in tasks},
        )

    def next_report(self, before: HostReport, *, new_task: bool) -> HostReport:
        """Make the report that follows another one: other figures, and another task in the place of the first one."""
        self._sequence += 1
        tasks = before.tasks
        if new_task:
            tasks = (self._task(self._sequence, self.hosts), *tasks[1:])
        return replace(
            before,
            sequence=self._sequence,
            sampled_at_s=time.time(),
            tasks=tasks,
            task_measured={task.uuid: self._figures() for task in tasks},
        )

    def _task(self, index: int, number: int) -> Task:
        chance = self._random
        name = str(uuid.UUID(int=(index << 32) + number))
        if number % 3 == 0:
            demand = Resources(vcpu=chance.randint(1, 8), memory_mb=512 * chance.randint(1, 32))
            return Task(name, HYPERVISOR, demand, f"guest-{number}", "running")
        demand = Resources(vcpu=chance.randint(1, 4), memory_mb=256 * chance.randint(1, 16))
        return Task(name, CONTAINER, demand, f"container-{number}", "running")

    def _figures(self) -> dict[str, float]:
        chance = self._random
        return {
            measures.CPU_CORES: chance.randint(0, 400) / 100,
            measures.CPU_THROTTLED_CORES: chance.randint(0, 40) / 100,
            measures.CPU_WAIT_CORES: chance.randint(0, 100) / 100,
            measures.MEMORY_USED_MB: chance.randint(100, 4000) / 4,
            measures.DISK_READ_BPS: float(chance.randint(0, 10**6)),
            measures.DISK_WRITE_BPS: float(chance.randint(0, 10**6)),
            measures.NET_IN_BPS: float(chance.randint(0, 10**6)),
            measures.NET_OUT_BPS: float(chance.randint(0, 10**6)),
            measures.RATES_OVER_S: 10.0,
        }
