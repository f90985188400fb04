# SPDX-License-Identifier: Apache-2.0
"""The life cycle of a container in Zun's words: its status and task_state, and the actions of Zun's API."""

from __future__ import annotations

from hybrid_sched.core.lifecycle import (
    CONTAINER,
    Action,
    Standing,
    State,
    Step,
    UnknownStatus,
    steps,
)

#: What Zun calls the states in which a container rests. One that was never started is ``Created`` instead of ``Stopped``.
STATUSES = {State.RUNNING: "Running", State.PAUSED: "Paused", State.CLOSED: "Stopped"}
#: Zun's actions. ``stop`` lets the container end by itself first, ``kill`` does not.
CONTAINER_ACTIONS = {
    "start": (State.CLOSED, State.RUNNING),
    "stop": (State.RUNNING, State.CLOSED),
    "pause": (State.RUNNING, State.PAUSED),
    "unpause": (State.PAUSED, State.RUNNING),
    "kill": (State.RUNNING, State.CLOSED),
}
_RESTS = {
    **{status: state for state, status in STATUSES.items()},
    "Created": State.CLOSED,
    # Of a capsule: all of its containers have ended.
    "Succeeded": State.CLOSED,
}
#: Where a container is and where it goes, while its status says that something is done with it.
_ON_THE_WAY = {
    # It ends as Created when nobody asked to run it.
    "Creating": Standing(State.CLOSED, None, busy=True),
    # A capsule.
    "Pending": Standing(State.CLOSED, State.RUNNING, busy=True),
    "Restarting": Standing(State.CLOSED, State.RUNNING, busy=True),
    "Rebuilding": Standing(None, None, busy=True, text="it is rebuilt: wait until that is over"),
    "Deleting": Standing(None, None, busy=True, text="it is deleted: wait until it has gone"),
}
#: What a container is that is in no state of the life cycle, and what helps.
_OUTSIDE = {
    "Error": "Zun could not do what was asked: see the status_reason of the container, then delete or rebuild it",
    "Failed": "a container of the capsule failed: see its status_reason, then delete the capsule",
    "Unknown": "Zun cannot tell: see that zun-compute and Docker run on its host",
    "Dead": "Docker could not remove it: delete it with force",
    "Deleted": "it is deleted",
}
#: Where what is done with a container leads; None where it leads to no other state.
_TARGETS: dict[str, State | None] = {
    "container_starting": State.RUNNING,
    "container_stopping": State.CLOSED,
    "container_rebooting": State.RUNNING,
    "container_pausing": State.PAUSED,
    "container_unpausing": State.RUNNING,
    "container_killing": State.CLOSED,
    "image_pulling": None,
    "container_creating": None,
    "container_deleting": None,
    "container_rebuilding": None,
    "sg_adding": None,
    "sg_removing": None,
    "network_attaching": None,
    "network_detaching": None,
}


def standing_of_container(status: str, task_state: str | None = None) -> Standing:
    """Say where a container or capsule is.

    :param status: ``status`` of the container.
    :param task_state: ``task_state`` of it; None or empty when nothing is done with it.
    :raises UnknownStatus: for a word that Zun 18 does not have.
    """
    if task_state and task_state not in _TARGETS:
        raise UnknownStatus(_unknown("task_state", task_state))
    busy = bool(task_state)
    target = _TARGETS[task_state] if task_state else None
    if status in _RESTS:
        state = _RESTS[status]
        return Standing(state, None if target is state else target, busy)
    if status in _ON_THE_WAY:
        return _ON_THE_WAY[status]
    if status in _OUTSIDE:
        return Standing(None, target, busy, _OUTSIDE[status])
    raise UnknownStatus(_unknown("status", status))


def container_steps(state: State, action: Action) -> tuple[Step, ...]:
    """Say which actions of Zun make a container do a move.

    :param state: where the container is.
    :param action: a move of its life cycle.
    :raises IllegalMove: when the life cycle of containers does not have the move.
    """
    return steps(CONTAINER_ACTIONS, state, CONTAINER.move(state, action))


def _unknown(field: str, word: str) -> str:
    return f"{field} {word!r} of Zun is not known here: see whether this Zun is newer than hybrid_sched supports"
