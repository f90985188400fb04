# SPDX-License-Identifier: Apache-2.0
"""A deterministic discrete-event simulator: a clock, a heap of arrivals and ends, and the core's rules of dispatch."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.dispatch.base import Dispatch
from hybrid_sched.core.dispatch.floor import Floor, FloorHost, FloorTask
from hybrid_sched.core.resources import Number
from hybrid_sched.simulation.workload import (
    SimulatedHost,
    SimulatedTask,
    in_arrival_order,
    lower_bound_s,
    rationed_resources,
)

_ENDS, _ARRIVES = 0, 1


class Stalled(ValueError):
    """A policy that leaves tasks waiting for ever; the message names the first one and the remedy."""


@dataclass(frozen=True, slots=True)
class Run:
    """One task's run: on which host, from when to when."""

    task: SimulatedTask
    host: SimulatedHost
    started_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of one policy on one workload.

    :param makespan_min: minutes from the first arrival to the last end.
    :param mean_completion_min: from arrival to end, mean of all tasks.
    :param hosts_peak: most hosts that had a task at one time.
    :param cpu_util: part of all hosts' vcpu that was declared, over the makespan.
    :param memory_util: the same of memory.
    :param share_gap_mean: difference between the frameworks' dominant shares over weights, over the time when
        tasks of both wait; 0 where that is never.
    :param share_gap_max: the largest one in that time.
    :param lower_bound_min: no policy can have a smaller makespan.
    """

    makespan_min: float
    mean_completion_min: float
    hosts_peak: int
    cpu_util: float
    memory_util: float
    share_gap_mean: float
    share_gap_max: float
    lower_bound_min: float


def simulate(
    tasks: Sequence[SimulatedTask],
    hosts: Sequence[SimulatedHost],
    dispatch: Dispatch,
    *,
    weights: Sequence[Number] = (1, 1),
    only: Sequence[int | None] = (),
) -> tuple[Figures, tuple[Run, ...]]:
    """Let tasks come, start by a rule, and end.

    At one time all ends happen first, then all arrivals, then the rule is asked. Equal input gives equal output.

    :param tasks: those that come at one time come in this order.
    :param hosts: in the order that breaks ties.
    :param dispatch: the rule.
    :param weights: phi of ``hypervisor`` and ``container``.
    :param only: for each host the one framework that may use it, or None; empty for no such limits.
    :returns: the figures, and the runs in the order of their starts.
    :raises Stalled: when the rule lets a task wait though nothing runs and nothing comes any more.
    """
    ordered = in_arrival_order(tasks)
    resources = rationed_resources(hosts)
    floor = Floor(
        [
            FloorTask(FRAMEWORKS.index(task.framework), tuple([task.demand[r] for r in resources]))
            for task in ordered
        ],
        [
            FloorHost(tuple([host.capacity[r] for r in resources]), host.score, limit)
            for host, limit in zip(hosts, only or [None] * len(hosts), strict=True)
        ],
        weights,
    )
    heap = [(task.arrival_s, _ARRIVES, index) for index, task in enumerate(ordered)]
    watch = _Watch(floor, len(hosts))
    runs: dict[int, Run] = {}
    while heap:
        floor.now_s = heap[0][0]
        watch.until(floor.now_s)
        while heap and heap[0][0] == floor.now_s:
            _, what, task = heapq.heappop(heap)
            if what == _ENDS:
                watch.left(floor.host_of[task])
                floor.end(task)
            else:
                floor.arrive(task)
        dispatch(floor)
        for task, host in floor.take_started():
            watch.came(host)
            known = ordered[task]
            end_s = floor.now_s + known.duration_s
            runs[task] = Run(known, hosts[host], floor.now_s, end_s)
            heapq.heappush(heap, (end_s, _ENDS, task))
        watch.see()
    if any(floor.count):
        first = ordered[next(floor.in_order())]
        raise Stalled(
            f"{sum(floor.count)} tasks never start by this policy, first of them {first.name!r} of framework "
            f"{first.framework}: give the hosts that it may use more room"
        )
    done = tuple(runs.values())
    return _figures(ordered, hosts, done, watch), done


class _Watch:
    """What is to be told of the time between events."""

    def __init__(self, floor: Floor, hosts: int) -> None:
        self._floor = floor
        self._since_s = 0.0
        self._on = [0] * hosts
        self._open = 0
        self.peak = 0
        self._gap: int | None = None
        self._gap_area = 0.0
        self._both_s = 0.0
        self._gap_max = 0

    def came(self, host: int) -> None:
        if not self._on[host]:
            self._open += 1
        self._on[host] += 1

    def left(self, host: int) -> None:
        self._on[host] -= 1
        if not self._on[host]:
            self._open -= 1

    def see(self) -> None:
        """Look at what will be so until the next event."""
        self.peak = max(self.peak, self._open)
        keys = self._floor.keys
        self._gap = max(keys) - min(keys) if all(self._floor.count) else None

    def until(self, now_s: float) -> None:
        """Add up the time since the last event."""
        if self._gap is not None:
            lasted_s = now_s - self._since_s
            self._both_s += lasted_s
            self._gap_area += self._gap / self._floor.unit * lasted_s
            self._gap_max = max(self._gap_max, self._gap)
        self._since_s = now_s

    @property
    def gap_mean(self) -> float:
        # A mean of equal gaps may be rounded up.
        return min(self._gap_area / self._both_s, self.gap_max) if self._both_s else 0.0

    @property
    def gap_max(self) -> float:
        return self._gap_max / self._floor.unit


def _figures(
    tasks: Sequence[SimulatedTask],
    hosts: Sequence[SimulatedHost],
    done: Sequence[Run],
    watch: _Watch,
) -> Figures:
    makespan_s = max(run.ended_s for run in done) - tasks[0].arrival_s

    def use(resource: int) -> float:
        worked = sum(float(run.task.demand[resource]) * run.task.duration_s for run in done)
        return worked / (float(sum(host.capacity[resource] for host in hosts)) * makespan_s)

    return Figures(
        makespan_min=makespan_s / 60,
        mean_completion_min=sum(run.ended_s - run.task.arrival_s for run in done) / len(done) / 60,
        hosts_peak=watch.peak,
        cpu_util=use(0),
        memory_util=use(1),
        share_gap_mean=watch.gap_mean,
        share_gap_max=watch.gap_max,
        lower_bound_min=lower_bound_s(tasks, hosts) / 60,
    )
