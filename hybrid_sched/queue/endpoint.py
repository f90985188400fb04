# SPDX-License-Identifier: Apache-2.0
"""What others may ask of the queue of declared tasks on the bus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import oslo_messaging

from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.db import DatabaseError
from hybrid_sched.db.tasks import SORT_KEYS
from hybrid_sched.db.terms import Deposed
from hybrid_sched.queue.document import MOST_TASKS
from hybrid_sched.queue.tasks import TaskQueue
from hybrid_sched.rpc import bus, wire
from hybrid_sched.rpc.tasks import queued_task_from_wire, queued_task_to_wire
from hybrid_sched.rpc.wire import BadMessage, Wire

#: Tasks of one answer.
MOST_LISTED = 1000
#: UUIDs that one question may name.
MOST_UUIDS = 500
_MOST_FAULTS = 100
_LONGEST_NAME = 255

_Call = TypeVar("_Call", bound=Callable[..., Any])
# What is told to the caller alone; anything else is logged with its traceback, too.
_told: Callable[[_Call], _Call] = oslo_messaging.expected_exceptions(Deposed, DatabaseError)


class Outlook(Protocol):
    """What the engine expects of the tasks that have not ended."""

    def waits(self) -> Mapping[str, str]:
        """Give a sentence for each task that waits, by uuid, as the newest plan says it."""

    def estimate(self, task: QueuedTask) -> str:
        """Say how long a task is expected to run, and from what that is known."""


class QueueEndpoint:
    """The calls of the topic ``hybrid-sched-engine``, version 1.0, that are about declared tasks.

    Each answers ``{"faults": [sentence, ...]}`` when something that it was given cannot be used.

    :param queue: the leader's.
    :param outlook: what is expected of its tasks.
    """

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, queue: TaskQueue, outlook: Outlook) -> None:
        self._queue = queue
        self._outlook = outlook

    @_told
    def submit_tasks(self, _context: Wire, tasks: object) -> Wire:
        """Take on tasks, all or none. Those that are there already stay as they are, so that it may be asked again.

        :returns: ``{"faults"}``, empty when all were taken on.
        """
        read = []
        faults = []
        try:
            for index, entry in enumerate(wire.sequence(tasks, "tasks", MOST_TASKS)):
                try:
                    read.append(queued_task_from_wire(entry))
                except BadMessage as fault:
                    faults.append(f"tasks[{index}].{fault}")
        except BadMessage as fault:
            faults.append(str(fault))
        faults = faults or self._queue.submit(read)
        more = len(faults) - _MOST_FAULTS
        return {"faults": faults[:_MOST_FAULTS] + ([f"and {more} more"] if more > 0 else [])}

    @_told
    def tasks(
        self,
        _context: Wire,
        states: object = None,
        limit: object = MOST_LISTED,
        marker: object = None,
        name: object = None,
        uuids: object = None,
        *,
        framework: object = None,
        host: object = None,
        project_id: object = None,
        servers: object = None,
        sort_key: object = "position",
        descending: object = False,
    ) -> Wire:
        """Give tasks in order, without their specifications and what they wait for.

        :param states: of them; None for any.
        :param limit: how many at most.
        :param marker: position of the last one that the caller has seen; None to begin.
        :param name: of them; None for any.
        :param uuids: of them; None for any.
        :param framework: of them; None for any.
        :param host: for which they are planned or on which they run; None for any.
        :param project_id: whose they are; None for any.
        :param servers: UUIDs that Nova or Zun gave; None for any.
        :param sort_key: one of :data:`hybrid_sched.db.tasks.SORT_KEYS`.
        :param descending: give the largest first.
        :returns: ``{"tasks"}``.
        """
        asked = {"name": name, "framework": framework, "host": host, "project_id": project_id}
        try:
            found = self._queue.list(
                None if states is None else _states(states),
                wire.integer(limit, "limit", 1, MOST_LISTED),
                None if marker is None else wire.integer(marker, "marker", 0, wire.LARGEST - 1),
                uuids=_uuids(uuids, "uuids"),
                servers=_uuids(servers, "servers"),
                sort_key=_sort_key(sort_key),
                descending=wire.flag(descending, "descending"),
                **{
                    field: wire.text(
                        value, field, _LONGEST_NAME, may_be_empty=field == "project_id"
                    )
                    for field, value in asked.items()
                    if value is not None
                },
            )
        except BadMessage as fault:
            return {"faults": [str(fault)]}
        waits = self._outlook.waits()
        return {"tasks": [_shown(replace(task, spec={}, after=()), waits) for task in found]}

    @_told
    def task(self, _context: Wire, uuid: object) -> Wire:
        """Give one task with everything.

        :returns: ``{"task", "estimate"}``, how long it runs; the task is None when there is none.
        """
        try:
            found = self._queue.get(wire.uuid(uuid, "uuid"))
        except BadMessage as fault:
            return {"faults": [str(fault)]}
        if found is None:
            return {"task": None}
        estimate = "" if found.state.is_final else self._outlook.estimate(found)
        return {"task": _shown(found, self._outlook.waits()), "estimate": estimate}

    @_told
    def cancel_task(self, _context: Wire, uuid: object) -> Wire:
        """Let a task end: one that waits is cancelled at once, another one by the engine, one that has ended stays.

        :returns: ``{"task"}`` as it is now, None when there is none.
        """
        try:
            found = self._queue.cancel(wire.uuid(uuid, "uuid"))
        except BadMessage as fault:
            return {"faults": [str(fault)]}
        return {"task": None if found is None else _shown(found, {})}


def _shown(task: QueuedTask, waits: Mapping[str, str]) -> Wire:
    """Write a task with why it waits now; what is in the database was true when it last changed."""
    if task.state is TaskState.WAITING and (text := waits.get(task.uuid)):
        task = replace(task, text=text)
    # Nobody but the launchers has a use for the trust.
    return queued_task_to_wire(replace(task, trust_id=""))


def _uuids(value: object, field: str) -> list[str] | None:
    if value is None:
        return None
    return [wire.uuid(each, field) for each in wire.sequence(value, field, MOST_UUIDS)]


def _sort_key(value: object) -> str:
    name = wire.text(value, "sort_key", 64)
    if name not in SORT_KEYS:
        raise BadMessage(f"sort_key: {name!r} is unknown: send one of {', '.join(SORT_KEYS)}")
    return name


def _states(value: object) -> list[TaskState]:
    names = [
        wire.text(name, "states", 32) for name in wire.sequence(value, "states", len(TaskState))
    ]
    for name in names:
        if name not in list(TaskState):
            raise BadMessage(f"states: {name!r} is unknown: send some of {', '.join(TaskState)}")
    return [TaskState(name) for name in names]
