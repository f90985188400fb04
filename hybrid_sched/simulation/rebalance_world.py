# SPDX-License-Identifier: Apache-2.0
"""A cluster of guests whose CPU use follows measured series, for trying out ways to rebalance it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.cluster import DEFAULT_POOL, HYPERVISOR, Host, Pool, Snapshot, Task
from hybrid_sched.core.online import rank
from hybrid_sched.core.rebalancing.readings import NO_USE, HostReading, TaskReading, Use
from hybrid_sched.core.resources import NOTHING, Number, Resources, Vector, add, scale
from hybrid_sched.core.share_gate import Request, ShareGate
from hybrid_sched.core.shares import SharePolicy, effective_pool, frameworks_of
from hybrid_sched.core.tally import DemandDistribution
from hybrid_sched.simulation.load_series import LoadSeries

Floats = npt.NDArray[np.float64]

#: Part of its declared memory that a guest uses, as the series tell of CPU alone.
MEMORY_PART = 0.5


class ScenarioError(ValueError):
    """A cluster that cannot hold its guests; the message has the remedy."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """What hosts and guests are like; each list is gone through in turns.

    :param hosts: cores and memory.
    :param guests: CPUs and memory declared.
    :param overcommit: CPUs that may be declared for each core.
    :param period_s: seconds between two figures of a series.
    """

    hosts: tuple[Resources, ...] = (Resources(8, 65536), Resources(12, 98304))
    guests: tuple[Resources, ...] = (
        Resources(2, 4096),
        Resources(4, 8192),
        Resources(4, 16384),
        Resources(8, 16384),
    )
    overcommit: Number = 4
    period_s: float = 300.0


def guests_of(series: LoadSeries, shapes: Shapes) -> tuple[Task, ...]:
    """Give the guests of series, with what they declare."""
    return tuple(
        Task(name, HYPERVISOR, demand, name=name, movable=True)
        for name, demand in zip(series.names, cycle(shapes.guests), strict=False)
    )


class World:
    """Hosts and guests at one time.

    What is seen of a host that is asked for more than it has is what it has; each guest gets its part, and what is missing
    shows as a stall.

    :param series: CPU use of each guest.
    :param hosts: number of hosts.
    :param shapes: what they are like.
    :param placed: the host of each guest; None to have the schedulers place them.
    :raises ScenarioError: when a guest has no room.
    """

    def __init__(
        self,
        series: LoadSeries,
        hosts: int,
        shapes: Shapes,
        placed: Sequence[int] | None = None,
    ) -> None:
        self.shapes = shapes
        self.tasks = guests_of(series, shapes)
        self.host_names = tuple(f"host-{number:03}" for number in range(hosts))
        self.index_of_task = {task.uuid: index for index, task in enumerate(self.tasks)}
        self.index_of_host = {name: index for index, name in enumerate(self.host_names)}
        physical = tuple(islice(cycle(shapes.hosts), hosts))
        self.cores: Floats = np.array([float(each.vcpu) for each in physical])
        self.memory_mb: Floats = np.array([float(each.memory_mb) for each in physical])
        self.declared_cpus: Floats = np.array([float(each.demand.vcpu) for each in self.tasks])
        self.task_memory_mb: Floats = np.array(
            [float(each.demand.memory_mb) for each in self.tasks]
        )
        #: Cores that each guest asks for in each period.
        self.wanted: Floats = series.use * self.declared_cpus[:, None]
        self.periods = series.use.shape[1]
        self._capacities = [
            Resources(each.vcpu * shapes.overcommit, each.memory_mb) for each in physical
        ]
        self._pool = self._make_pool()
        self.host_of: npt.NDArray[np.intp] = np.full(len(self.tasks), -1)
        self._hosts = {
            name: self._host(index, NOTHING, 0) for index, name in enumerate(self.host_names)
        }
        for index, task in enumerate(self.tasks):
            if placed is None:
                self._place(index, task)
            else:
                self.host_of[index] = placed[index]
                self._change(placed[index], task.demand, 1)

    def load_of_hosts(self, period: int) -> Floats:
        """Give the part of its cores that each host is asked for; above 1 it cannot give it all."""
        return self.sums(self.wanted[:, period]) / self.cores

    def sums(self, amounts: Floats) -> Floats:
        """Sum amounts of guests by host."""
        sums: Floats = np.bincount(
            self.host_of, weights=amounts, minlength=len(self.host_names)
        ).astype(np.float64)
        return sums

    def given(self, period: int) -> Floats:
        """Give the cores that each guest gets."""
        load = self.load_of_hosts(period)
        return self.wanted[:, period] / np.maximum(1.0, load)[self.host_of]

    def readings(self, period: int) -> list[HostReading]:
        """Give what agents would report at the end of a period."""
        load, given = self.load_of_hosts(period), self.given(period)
        at_s = (period + 1) * self.shapes.period_s
        there: list[list[TaskReading]] = [[] for _ in self.host_names]
        for task, host, cores, memory_mb in zip(
            self.tasks, self.host_of, given.tolist(), self.task_memory_mb.tolist(), strict=True
        ):
            use = _use(cores, memory_mb * MEMORY_PART)
            there[host].append(TaskReading(task, use))
        used, memory = self.sums(given), self.sums(self.task_memory_mb * MEMORY_PART)
        return [
            HostReading(
                host=name,
                at_s=at_s,
                capacity=_use(float(self.cores[index]), float(self.memory_mb[index])),
                use=_use(float(used[index]), float(memory[index])),
                stalls=_use(max(0.0, 1 - 1 / load[index]) if load[index] > 0 else 0.0, 0.0),
                tasks=tuple(there[index]),
            )
            for index, name in enumerate(self.host_names)
        ]

    def snapshot(self) -> Snapshot:
        """Give the cluster as the schedulers see it."""
        return Snapshot(1, 1, 0.0, {DEFAULT_POOL: self._pool}, dict(self._hosts))

    def move(self, task: int, host: int) -> None:
        """Put a guest on another host."""
        source = int(self.host_of[task])
        demand = self.tasks[task].demand
        self._change(source, scale(-1, demand), -1)
        self._change(host, demand, 1)
        self.host_of[task] = host

    def _place(self, index: int, task: Task) -> None:
        # With one framework there is nothing to share out, so that room is all that the gate has to see to.
        request = Request(task.uuid, task.framework, task.demand, is_move=True)
        snapshot = self.snapshot()
        admitted = ShareGate(snapshot).judge(request, self.host_names).admitted
        if not admitted:
            raise ScenarioError(
                f"guest {task.uuid} of {float(task.demand.vcpu):g} CPUs and {float(task.demand.memory_mb):g} MiB has no room; "
                f"give more or larger hosts, or overcommit more"
            )
        best = rank(snapshot, task.framework, task.demand, admitted).best_first()[0][0]
        self.host_of[index] = host = self.index_of_host[best]
        self._change(host, task.demand, 1)

    def _change(self, index: int, demand: Vector, tasks: int) -> None:
        name = self.host_names[index]
        host = self._hosts[name]
        held = Resources(*add(host.used[HYPERVISOR], demand))
        self._hosts[name] = self._host(index, held, host.task_count + tasks)

    def _host(self, index: int, held: Resources, tasks: int) -> Host:
        return Host(
            self.host_names[index],
            self._capacities[index],
            used={HYPERVISOR: held},
            task_count=tasks,
        )

    def _make_pool(self) -> Pool:
        capacity = effective_pool(
            Host(name, each) for name, each in zip(self.host_names, self._capacities, strict=True)
        )
        demands = DemandDistribution()
        demands.change(Counter(task.demand for task in self.tasks))
        asked: Vector = NOTHING
        for task in self.tasks:
            asked = add(asked, task.demand)
        frameworks = frameworks_of(
            capacity,
            [SharePolicy(HYPERVISOR)],
            {HYPERVISOR: asked},
            {},
            {HYPERVISOR: demands.upper_median(capacity)},
        )
        return Pool(DEFAULT_POOL, capacity, frameworks)


def _use(cores: float, memory_mb: float) -> Use:
    return (cores, memory_mb, *NO_USE[2:])
