# SPDX-License-Identifier: Apache-2.0
"""Which declared tasks may start, in which order, and which never can."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hybrid_sched.core.queued import QueuedTask, TaskState


@dataclass(frozen=True, slots=True)
class QueueOrder:
    """The waiting tasks, sorted out.

    :param ready: tasks that may start, the first one first; within a framework none of them may be overtaken except by
        back-filling.
    :param waits: a sentence for each task that has to wait for another task or for a time.
    :param impossible: a sentence for each task that can never start, because of a task that it comes after.
    :param expired: a sentence for each task whose deadline has passed.
    """

    ready: tuple[QueuedTask, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    impossible: Mapping[str, str] = field(default_factory=dict)
    expired: Mapping[str, str] = field(default_factory=dict)


def urgency(task: QueuedTask) -> tuple[int, float, int, str]:
    """Give the sort key of a task: larger priority, then earlier deadline (none is last), then order of arrival."""
    deadline_s = math.inf if task.deadline_s is None else task.deadline_s
    return -task.priority, deadline_s, task.position, task.uuid


def order_queue(
    waiting: Iterable[QueuedTask], states: Mapping[str, TaskState], now_s: float
) -> QueueOrder:
    """Sort the waiting tasks out.

    :param waiting: tasks in the state ``waiting``, in any order; those that are being cancelled are left out.
    :param states: of every task that a waiting one comes after, ended ones included; one that is missing is unknown.
    :param now_s: Unix time.
    :returns: each task in exactly one of the four lists.
    """
    tasks = sorted((task for task in waiting if not task.cancelling), key=urgency)
    names = {task.uuid: task.name for task in tasks}
    ready: list[QueuedTask] = []
    waits: dict[str, str] = {}
    impossible: dict[str, str] = {}
    expired: dict[str, str] = {}
    for task in tasks:
        never, missing = _dependencies(task, states, names)
        if never:
            impossible[task.uuid] = never
        elif task.deadline_s is not None and now_s > task.deadline_s:
            expired[task.uuid] = (
                f"It had not started by its deadline, {utc(task.deadline_s)}: "
                "declare it again with a later one or a larger priority."
            )
        elif missing:
            waits[task.uuid] = missing
        elif now_s < task.not_before_s:
            waits[task.uuid] = (
                f"Its launch failed (attempt {task.attempts}) and is tried again at {utc(task.not_before_s)}."
            )
        else:
            ready.append(task)
    return QueueOrder(tuple(ready), waits, impossible, expired)


def find_cycle(after: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Find tasks that wait for each other.

    :param after: what each task comes after; a name that is no key comes after nothing.
    :returns: a cycle, each after the next one and the first one repeated at the end; empty when there is none. The same
        input gives the same cycle.
    """
    finished: set[str] = set()
    for start in after:
        # Depth first without recursion: chains may be as long as the queue.
        path: dict[str, int] = {}
        stack: list[tuple[str, int]] = [(start, 0)]
        while stack:
            task, place = stack.pop()
            if place == 0:
                if task in finished:
                    continue
                path[task] = len(path)
            before = after.get(task, ())
            if place == len(before):
                del path[task]
                finished.add(task)
                continue
            stack.append((task, place + 1))
            following = before[place]
            if following in path:
                return (*list(path)[path[following] :], following)
            stack.append((following, 0))
    return ()


def utc(unix_s: float) -> str:
    """Write a Unix time for people, to the second."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _dependencies(
    task: QueuedTask, states: Mapping[str, TaskState], names: Mapping[str, str]
) -> tuple[str, str]:
    """Give why the task can never start, or else what it waits for; both are empty where it may start."""
    missing = []
    for uuid in task.after:
        name = names.get(uuid, uuid)
        match states.get(uuid):
            case None:
                return f"It comes after task {name}, which is not in the queue.", ""
            case TaskState.FAILED:
                return f"It comes after task {name}, which failed.", ""
            case TaskState.CANCELLED:
                return f"It comes after task {name}, which was cancelled.", ""
            case TaskState.DONE:
                pass
            case state:
                missing.append(f"{name} ({state})")
    if not missing:
        return "", ""
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return "", f"It comes after {', '.join(missing[:3])}{more}."
