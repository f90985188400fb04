# SPDX-License-Identifier: Apache-2.0
"""Queues of declared tasks for tests, and a cluster on which plans come true as time goes by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clusters import snapshot

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, Host, Snapshot
from hybrid_sched.core.durations import Durations, ends_at_s
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.queue_order import order_queue
from hybrid_sched.core.queue_plan import NamedPacker, plan_queue
from hybrid_sched.core.queue_room import Occupant
from hybrid_sched.core.queued import Hold, QueuedTask, QueuePlan, TaskState
from hybrid_sched.core.resources import Resources

PACKERS = {DEFAULT_POOL: NamedPacker("cross_fill", CrossFill())}


def queued(
    name: str, memory_mb: int, framework: str = CONTAINER, position: int = 0, **changes: object
) -> QueuedTask:
    """Make a waiting task of which memory is what counts; its uuid is its name."""
    demand = Resources(memory_mb=memory_mb)
    made = QueuedTask(name, name, framework, demand, position=position)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def in_turn(*tasks: QueuedTask) -> tuple[QueuedTask, ...]:
    """Let tasks have come one after the other."""
    return tuple(
        dataclasses.replace(task, position=position) for position, task in enumerate(tasks)
    )


def plan(
    cluster: Snapshot,
    tasks: Iterable[QueuedTask],
    occupants: Sequence[Occupant] = (),
    now_s: float = 1000,
    **options: object,
) -> QueuePlan:
    """Plan tasks, none of which waits for another, with nothing known but what they declare."""
    ready = order_queue(tasks, {}, now_s).ready
    made = plan_queue(
        cluster,
        ready,
        occupants,
        options.pop("packers", PACKERS),  # type: ignore[arg-type]
        Durations({}).of,
        now_s,
        **options,  # type: ignore[arg-type]
    )
    told = {start.task for start in made.starts} | set(made.waits)
    assert told == {task.uuid for task in ready}
    assert {hold.task for hold in made.holds} <= set(made.waits)
    return made


def starts(made: QueuePlan) -> dict[str, str]:
    """Give the hosts of a plan's starts, by task."""
    return {start.task: start.host for start in made.starts}


def held(made: QueuePlan) -> dict[str, tuple[str, float]]:
    """Give host and time of a plan's holds, by task."""
    return {hold.task: (hold.host, hold.from_s) for hold in made.holds}


def _snapshot_of(hosts: Sequence[Host]) -> Snapshot:
    return snapshot(hosts)


@dataclass
class Cluster:
    """Empty hosts that run what is planned; time goes from one event to the next.

    :param hosts: with nothing on them.
    :param lasts_s: how long each task really runs; without an entry it is what the task declares.
    :param picture: makes a snapshot of hosts.
    """

    hosts: Sequence[Host]
    lasts_s: Mapping[str, float] = field(default_factory=dict)
    picture: Callable[[Sequence[Host]], Snapshot] = _snapshot_of
    now_s: float = 1000
    running: dict[str, QueuedTask] = field(default_factory=dict)
    waiting: dict[str, QueuedTask] = field(default_factory=dict)
    started_s: dict[str, float] = field(default_factory=dict)
    states: dict[str, TaskState] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    holds: tuple[Hold, ...] = ()
    promised: list[tuple[str, Hold]] = field(default_factory=list)

    def submit(self, tasks: Iterable[QueuedTask]) -> None:
        """Add tasks to the queue."""
        for task in tasks:
            self.waiting[task.uuid] = task
            self.states[task.uuid] = TaskState.WAITING

    def snapshot(self) -> Snapshot:
        """Show the hosts with what runs on them."""
        shown = []
        for host in self.hosts:
            used: dict[str, Resources] = {}
            there = [task for task in self.running.values() if task.host == host.name]
            for task in there:
                before = used.get(task.framework, Resources())
                summed = [a + b for a, b in zip(before, task.demand, strict=True)]
                used[task.framework] = Resources(*summed)
            shown.append(dataclasses.replace(host, used=used, task_count=len(there)))
        return self.picture(shown)

    def step(self) -> QueuePlan:
        """Plan once, and start what is to start."""
        durations = Durations({})
        ordered = order_queue(self.waiting.values(), self.states, self.now_s)
        occupants = [
            Occupant(
                task.framework,
                task.host,
                task.demand,
                ends_at_s(task, durations.of(task), self.now_s),
            )
            for task in self.running.values()
        ]
        made = plan_queue(
            self.snapshot(),
            ordered.ready,
            occupants,
            PACKERS,
            durations.of,
            self.now_s,
            self.holds,
        )
        for start in made.starts:
            task = self.waiting.pop(start.task)
            self.running[task.uuid] = dataclasses.replace(
                task, state=TaskState.RUNNING, host=start.host, started_at_s=self.now_s
            )
            self.states[task.uuid] = TaskState.RUNNING
            self.started_s[task.uuid] = self.now_s
            self.order.append(task.uuid)
        self.holds = made.holds
        for host in self.snapshot().hosts.values():
            assert min(host.free) >= 0
        return made

    def next_end_s(self) -> float:
        """Give the time at which the next running task ends."""
        return min(self.end_s(task) for task in self.running.values())

    def go_to(self, now_s: float) -> None:
        """Let time go by."""
        self.now_s = now_s
        for task in [task for task in self.running.values() if self.end_s(task) <= now_s]:
            del self.running[task.uuid]
            self.states[task.uuid] = TaskState.DONE

    def run(self) -> None:
        """Go on until the queue is empty; fails where it never will be."""
        self.step()
        while self.waiting:
            assert self.running, f"nothing runs and these wait: {sorted(self.waiting)}"
            self.go_to(self.next_end_s())
            self.step()

    def end_s(self, task: QueuedTask) -> float:
        """Give the time at which a running task ends."""
        return task.started_at_s + self.lasts_s.get(task.uuid, task.duration_s or 0)
