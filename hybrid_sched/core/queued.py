# SPDX-License-Identifier: Apache-2.0
"""Tasks that wait in the queue of declared tasks (paper 5.1), and the states that they go through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hybrid_sched.core.resources import Resources


class TaskState(StrEnum):
    """How far a queued task is."""

    WAITING = "waiting"
    #: Its server or container was asked for, or is about to be: it may be there already after a crash.
    LAUNCHING = "launching"
    RUNNING = "running"
    #: It has run, and its server or container is being deleted to give the room back.
    ENDING = "ending"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Say whether nothing more happens to the task."""
        return self in FINAL_STATES


FINAL_STATES = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})


@dataclass(frozen=True, slots=True)
class QueuedTask:
    """One guest or container that somebody declared to be run.

    :param uuid: its own; the idempotency key, which its server has as metadata and its container as label
        ``hybrid:task``.
    :param name: what its owner calls it; its server or container gets this name.
    :param framework: ``hypervisor`` for a guest, ``container`` for a container.
    :param demand: of it, unscored, as Placement will claim it.
    :param spec: what the launcher needs besides: flavor, image, networks, command and so on.
    :param kind: tasks of one kind last about as long as each other; by default the flavor and image, or the image and command.
    :param priority: the larger, the earlier.
    :param position: order of arrival; breaks ties.
    :param submitted_at_s: Unix time.
    :param deadline_s: Unix time by which it must have started, else it fails; None for no limit.
    :param after: uuids of the tasks that must be done before.
    :param duration_s: how long it is expected to run; None where that is to be estimated.
    :param stop_after_s: it is ended when it has run for so long; None to let it end by itself.
    :param state: how far it is.
    :param attempts: how often a launch was tried.
    :param not_before_s: Unix time before which no launch is tried again.
    :param host: for which it is planned, or on which it runs; empty when there is none.
    :param server: uuid that Nova or Zun gave; empty before.
    :param started_at_s: Unix time at which it began to run; 0 before.
    :param ended_at_s: Unix time at which it reached its final state; 0 before.
    :param cancelling: its owner wants it to end.
    :param text: one sentence on why it is where it is, for people.
    :param project_id: whose it is; empty where an operator declared it.
    :param user_id: who declared it; empty where an operator did.
    :param trust_id: of the trust by which it is launched in its project; empty to use the engine's own project.
    """

    uuid: str
    name: str
    framework: str
    demand: Resources
    spec: Mapping[str, object] = field(default_factory=dict)
    kind: str = ""
    priority: int = 0
    position: int = 0
    submitted_at_s: float = 0
    deadline_s: float | None = None
    after: tuple[str, ...] = ()
    duration_s: float | None = None
    stop_after_s: float | None = None
    state: TaskState = TaskState.WAITING
    attempts: int = 0
    not_before_s: float = 0
    host: str = ""
    server: str = ""
    started_at_s: float = 0
    ended_at_s: float = 0
    cancelling: bool = False
    text: str = ""
    project_id: str = ""
    user_id: str = ""
    trust_id: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """A task that is to be launched now.

    :param task: its uuid.
    :param host: planned for it.
    :param text: one sentence on why it is its turn and why there.
    """

    task: str
    host: str
    text: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Room that is kept for a task which waits (reservation against starvation).

    :param task: its uuid.
    :param host: on which room is kept.
    :param from_s: Unix time at which it is expected to start.
    :param text: one sentence, with the estimate.
    """

    task: str
    host: str
    from_s: float
    text: str


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """What the planner decided.

    :param starts: tasks to launch now, in this order.
    :param holds: room that is kept.
    :param waits: a sentence for each task that is not started now.
    """

    starts: tuple[Start, ...] = ()
    holds: tuple[Hold, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
