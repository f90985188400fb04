# SPDX-License-Identifier: Apache-2.0
"""What the planner is told each round: the snapshot, what is under way and not in it yet, and how long tasks run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.durations import NEWEST, Durations, Estimate, ends_at_s
from hybrid_sched.core.queue_order import order_queue
from hybrid_sched.core.queue_plan import NamedPacker, plan_queue
from hybrid_sched.core.queue_room import Occupant
from hybrid_sched.core.queued import Hold, QueuedTask, TaskState
from hybrid_sched.queue.runner import Round

_HISTORY_PERIOD_S = 30.0


class Cluster(Protocol):
    """What the planner is told of the cluster by the engine."""

    def snapshot(self) -> tuple[Snapshot, float]:
        """Give the newest snapshot and its age in seconds."""

    def placed(self, uuids: Iterable[str]) -> set[str]:
        """Name those of some guests and containers with which the next snapshot is charged."""


class History(Protocol):
    """The part of :class:`hybrid_sched.db.tasks.TaskStore` that planning reads."""

    def states_of(self, uuids: Collection[str]) -> dict[str, TaskState]:
        """Give the states of tasks."""

    def ended_durations(
        self, limit_per_kind: int, since_s: float = 0
    ) -> dict[tuple[str, str], tuple[float, ...]]:
        """Give how long tasks have run, by framework and kind."""


class Packers(Protocol):
    """Gives each pool its packer."""

    def of(self, snapshot: Snapshot, now_s: float) -> Mapping[str, NamedPacker]:
        """Give the packer of each pool."""


class QueuePlanner:
    """Plan rounds with what the engine and the database tell.

    :param cluster: the engine.
    :param history: the store.
    :param packers: of the pools.
    """

    def __init__(self, cluster: Cluster, history: History, packers: Packers) -> None:
        self._cluster = cluster
        self._history = history
        self._packers = packers
        self._durations = Durations({})
        self._durations_due_s = 0.0
        self._holds: tuple[Hold, ...] = ()
        # By server: the snapshot that was the newest when it was first seen on a host.
        self._placed_after: dict[str, tuple[int, int]] = {}

    def plan(self, tasks: Sequence[QueuedTask], blocked: Mapping[str, str], now_s: float) -> Round:
        """Plan a round; see :class:`hybrid_sched.queue.runner.Planner`."""
        waiting = [task for task in tasks if task.state is TaskState.WAITING]
        if not waiting:
            self._holds = ()
            return Round()
        states = {task.uuid: task.state for task in tasks}
        before = {uuid for task in waiting for uuid in task.after}
        states |= self._history.states_of(sorted(before - states.keys()))
        order = order_queue(waiting, states, now_s)
        durations = self._newest_durations(now_s)
        snapshot, _ = self._cluster.snapshot()
        plan = plan_queue(
            snapshot,
            [task for task in order.ready if task.uuid not in blocked],
            self._occupants([task for task in tasks if task.host], snapshot, now_s),
            self._packers.of(snapshot, now_s),
            durations.of,
            now_s,
            self._holds,
        )
        self._holds = plan.holds
        waits = {**plan.waits, **order.waits, **blocked}
        return Round(replace(plan, waits=waits), {**order.impossible, **order.expired})

    def estimate(self, task: QueuedTask, now_s: float) -> Estimate:
        """Estimate how long a task runs; any thread may ask.

        :raises DatabaseError: when the database cannot be used.
        """
        return self._newest_durations(now_s).of(task)

    def _newest_durations(self, now_s: float) -> Durations:
        if now_s >= self._durations_due_s:
            self._durations = Durations(self._history.ended_durations(NEWEST))
            self._durations_due_s = now_s + _HISTORY_PERIOD_S
        return self._durations

    def _occupants(
        self, launched: Sequence[QueuedTask], snapshot: Snapshot, now_s: float
    ) -> list[Occupant]:
        servers = {task.server for task in launched if task.server}
        placed = self._cluster.placed(servers)
        self._placed_after = {
            server: self._placed_after.get(server, snapshot.stamp)
            for server in servers
            if server in placed or server in self._placed_after
        }
        return [
            Occupant(
                framework=task.framework,
                host=task.host,
                demand=task.demand,
                ends_at_s=ends_at_s(task, self._durations.of(task), now_s),
                # What came to a host after the snapshot was made is not in it.
                counted=self._placed_after.get(task.server, snapshot.stamp) < snapshot.stamp,
            )
            for task in launched
        ]
