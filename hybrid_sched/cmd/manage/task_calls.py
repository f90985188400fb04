# SPDX-License-Identifier: Apache-2.0
"""Questions about declared tasks to the quota service."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Protocol

from hybrid_sched.cli.tasks import named, unknown
from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.rpc.tasks import queued_task_from_wire
from hybrid_sched.rpc.wire import Wire, is_uuid

PROGRAM = "hybrid-sched-manage"
# What one question may name, and one answer brings.
_UUIDS_A_CALL = 500
_TASKS_A_CALL = 1000


class Asks(Protocol):
    """What can ask the quota service."""

    def ask(self, method: str, **arguments: Any) -> Any:
        """Call it."""


class TaskCalls:
    """The calls of the queue. They raise :class:`UserError` when there is no answer, or it is that something is wrong.

    :param app: asks the quota service.
    """

    def __init__(self, app: Asks) -> None:
        self._app = app

    def submit(self, tasks: Sequence[Wire]) -> list[str]:
        """Put tasks into the queue; gives a sentence for each fault."""
        faults: list[str] = self._app.ask("submit_tasks", tasks=list(tasks))["faults"]
        return faults

    def all(self, states: Collection[str] | None) -> Iterator[QueuedTask]:
        """Give the tasks in some states, None for any, page by page."""
        return self._pages(states=None if states is None else list(states))

    def of(self, uuids: Sequence[str]) -> list[QueuedTask]:
        """Give the tasks with some UUIDs by position; those that are unknown are left out."""
        found: list[QueuedTask] = []
        for start in range(0, len(uuids), _UUIDS_A_CALL):
            found += self._tasks(uuids=list(uuids[start : start + _UUIDS_A_CALL]))
        return sorted(found, key=lambda task: task.position)

    def estimate(self, uuid: str) -> str:
        """Say how long a task is expected to run, and from what that is known; empty for one that has ended."""
        text: str = self._ask("task", uuid=uuid).get("estimate", "")
        return text

    def find(self, wanted: str, states: Collection[str] | None = None) -> QueuedTask:
        """Find one task.

        :param wanted: its UUID, or a name that only one has: of those that have not ended, or else of all.
        :param states: in which a task with the name must be; None for any.
        :raises UserError: when there is none, or there are several.
        """
        if is_uuid(wanted.lower()):
            return self._got(wanted.lower(), self._ask("task", uuid=wanted.lower()))
        found = self._pages(name=wanted, states=None if states is None else list(states))
        one = named(found, wanted, unfinished=states is not None, program=PROGRAM)
        return self._got(wanted, self._ask("task", uuid=one.uuid))

    def cancel(self, uuid: str) -> QueuedTask:
        """Let a task end, and give it as it is then."""
        return self._got(uuid, self._ask("cancel_task", uuid=uuid))

    def _pages(self, **arguments: Any) -> Iterator[QueuedTask]:
        marker = None
        while page := self._tasks(limit=_TASKS_A_CALL, marker=marker, **arguments):
            yield from page
            marker = page[-1].position

    def _tasks(self, **arguments: Any) -> list[QueuedTask]:
        return [queued_task_from_wire(entry) for entry in self._ask("tasks", **arguments)["tasks"]]

    def _ask(self, method: str, **arguments: Any) -> Wire:
        answer: Wire = self._app.ask(method, **arguments)
        if faults := answer.get("faults"):
            raise ManageError(f"The quota service refuses it: {'; '.join(faults)}.")
        return answer

    @staticmethod
    def _got(wanted: str, answer: Wire) -> QueuedTask:
        if answer["task"] is None:
            raise unknown(wanted, PROGRAM)
        return queued_task_from_wire(answer["task"])
