# SPDX-License-Identifier: Apache-2.0
"""Taking declared tasks on, telling of them and ending them: what their owners ask of the queue."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from oslo_log import log

from hybrid_sched.core.queue_order import find_cycle
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.resources import NOTHING, Resources
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.queue.document import cycle_text
from hybrid_sched.queue.specs import (
    SECTIONS,
    check_name,
    demand_key,
    spec_reader,
)

LOG = log.getLogger(__name__)

#: Tasks that are in no final state: each is looked at whenever the queue is planned.
MOST_UNFINISHED = 20_000

Resolve = Callable[[QueuedTask], QueuedTask]
Tasks = list[QueuedTask]
Faults = list[str]


class BadTask(ValueError):
    """A task that cannot be taken on; the text names the field and the remedy."""


class TaskQueue:
    """The queue of one leader, for the endpoint. Several threads may use it at once.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over.

    :param store: of the database.
    :param term: of the leader.
    :param resolve: gives a task with its demand, as Placement will claim it, or raises :class:`BadTask`. It is
        asked once a submission for each flavor, and each size of containers; nothing but the demand of its answer is used.
    :param most: unfinished tasks that are taken on at most.
    :param clock: gives Unix time.
    """

    def __init__(
        self,
        store: TaskStore,
        term: int,
        resolve: Resolve,
        *,
        most: int = MOST_UNFINISHED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._term = term
        self._resolve = resolve
        self._most = most
        self._clock = clock

    def submit(self, tasks: Sequence[QueuedTask]) -> Faults:
        """Take on tasks, all or none; those that are there already are left as they are.

        :param tasks: in order of arrival; what happened to them so far, and their demand, is not believed.
        :returns: a sentence for each fault; empty when all were taken on.
        """
        known = self._store.states_of([task.uuid for task in tasks])
        new = list({task.uuid: task for task in tasks if task.uuid not in known}.values())
        if not new:
            return []
        faults = [fault for task in new for fault in _faults_of(task)]
        faults += self._order_faults(new)
        unfinished = self._store.count_unfinished()
        if unfinished + len(new) > self._most:
            faults.append(
                f"tasks: {unfinished} are in the queue and {len(new)} more come: the queue takes {self._most}; wait until some "
                "have ended"
            )
        if faults:
            return faults
        now_s = self._clock()
        demands = self._demands(new, faults)
        if faults:
            return faults
        taken = [_declared(task, demands[demand_key(task)], now_s) for task in new]
        self._store.add(taken, self._term)
        LOG.info("%d tasks were taken on.", len(taken))
        return []

    def list(
        self,
        states: Collection[TaskState] | None = None,
        limit: int = 1000,
        marker: int | None = None,
        **options: Any,
    ) -> Tasks:
        """Give tasks; see :meth:`hybrid_sched.db.tasks.TaskStore.list`."""
        return self._store.list(states, limit, marker, **options)

    def get(self, uuid: str) -> QueuedTask | None:
        """Give one task; None when there is none."""
        return self._store.get(uuid)

    def cancel(self, uuid: str) -> QueuedTask | None:
        """Let a task end.

        :returns: it as it is now; None when there is none.
        """
        return self._store.cancel(uuid, self._term, self._clock())

    def _order_faults(self, new: Sequence[QueuedTask]) -> Faults:
        """Say for which tasks some would wait in vain."""
        name_of = {task.uuid: task.name for task in new}
        others = {uuid for task in new for uuid in task.after} - name_of.keys()
        # A task of a project waits for tasks of that project alone, and learns of no other.
        known = {
            project_id: self._store.states_of(sorted(others), project_id or None)
            for project_id in {task.project_id for task in new}
        }
        faults = [
            f"{task.name}.after: there is no task {uuid}: give a name in the file, or a UUID of `task list --all`"
            for task in new
            for uuid in task.after
            if uuid in others and uuid not in known[task.project_id]
        ]
        cycle = find_cycle({task.uuid: task.after for task in new})[:-1]
        if cycle:
            faults.append(f"tasks: {cycle_text([name_of[uuid] for uuid in cycle])}")
        return faults

    def _demands(
        self, tasks: Sequence[QueuedTask], faults: Faults
    ) -> dict[tuple[object, ...], Resources]:
        demands: dict[tuple[object, ...], Resources] = {}
        for task in tasks:
            key = demand_key(task)
            if key in demands:
                continue
            # One that cannot be had is not asked for again, either.
            demands[key] = NOTHING
            try:
                demands[key] = self._resolve(replace(task, demand=NOTHING)).demand
            except BadTask as fault:
                faults.append(f"{task.name}: {str(fault).rstrip('.')}")
        return demands


def _faults_of(task: QueuedTask) -> list[str]:
    faults: list[str] = []
    where = f"{task.name}.{SECTIONS[task.framework]}"
    spec_reader(task.framework, faults)(dict(task.spec), where)
    if said := check_name(task.framework, task.name):
        faults.append(f"{task.name}.name: {said}")
    return faults


def _declared(task: QueuedTask, demand: Resources, now_s: float) -> QueuedTask:
    """Give a task as its owner declared it, and as if nothing had happened to it."""
    return QueuedTask(
        uuid=task.uuid,
        name=task.name,
        framework=task.framework,
        demand=demand,
        spec=task.spec,
        kind=task.kind,
        priority=task.priority,
        submitted_at_s=now_s,
        deadline_s=task.deadline_s,
        after=task.after,
        duration_s=task.duration_s,
        stop_after_s=task.stop_after_s,
        text="It has arrived and waits to be planned.",
        project_id=task.project_id,
        user_id=task.user_id,
        trust_id=task.trust_id,
    )
