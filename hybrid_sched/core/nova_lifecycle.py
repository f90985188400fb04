# SPDX-License-Identifier: Apache-2.0
"""The life cycle of a guest in Nova's words: its vm_state and task_state, and the actions of its server."""

from __future__ import annotations

from hybrid_sched.core.lifecycle import (
    GUEST,
    Action,
    Standing,
    State,
    Step,
    UnknownStatus,
    steps,
)

#: What Nova calls the states in which a guest rests.
VM_STATES = {
    State.RUNNING: "active",
    State.PAUSED: "paused",
    State.SUSPENDED: "suspended",
    State.CLOSED: "stopped",
}
#: Nova's server actions. It pauses and suspends from active alone, and stops from active alone.
SERVER_ACTIONS = {
    "os-start": (State.CLOSED, State.RUNNING),
    "pause": (State.RUNNING, State.PAUSED),
    "unpause": (State.PAUSED, State.RUNNING),
    "suspend": (State.RUNNING, State.SUSPENDED),
    "resume": (State.SUSPENDED, State.RUNNING),
    "os-stop": (State.RUNNING, State.CLOSED),
}
_BUILDING = "building"
_RESTS = {vm_state: state for state, vm_state in VM_STATES.items()}
#: What a guest is that is in no state of figure 4, and what helps.
_OUTSIDE = {
    "rescued": "it runs a rescue image: unrescue it",
    "resized": "it waits at its new size or host: confirm the resize or revert it",
    "shelved": "it is shelved: unshelve it",
    "shelved_offloaded": "it is shelved and holds no host: unshelve it",
    "soft-delete": "it is deleted and can still be restored",
    "deleted": "it is deleted",
    "error": "Nova could not do what was asked: see the fault of the server, then reset its state or rebuild it",
}
#: Where what is done with a guest leads; None where it leads to no other state.
_TARGETS: dict[str, State | None] = {
    "scheduling": State.RUNNING,
    "block_device_mapping": State.RUNNING,
    "networking": State.RUNNING,
    "spawning": State.RUNNING,
    "pausing": State.PAUSED,
    "unpausing": State.RUNNING,
    "suspending": State.SUSPENDED,
    "resuming": State.RUNNING,
    "powering-off": State.CLOSED,
    "powering-on": State.RUNNING,
    "rebooting": State.RUNNING,
    "reboot_pending": State.RUNNING,
    "reboot_started": State.RUNNING,
    "rebooting_hard": State.RUNNING,
    "reboot_pending_hard": State.RUNNING,
    "reboot_started_hard": State.RUNNING,
    "unrescuing": State.RUNNING,
    "unshelving": State.RUNNING,
    "image_snapshot": None,
    "image_snapshot_pending": None,
    "image_pending_upload": None,
    "image_uploading": None,
    "image_backup": None,
    "updating_password": None,
    "resize_prep": None,
    "resize_migrating": None,
    "resize_migrated": None,
    "resize_finish": None,
    "resize_reverting": None,
    "resize_confirming": None,
    "migrating": None,
    "rescuing": None,
    "rebuilding": None,
    "rebuild_block_device_mapping": None,
    "rebuild_spawning": None,
    "shelving": None,
    "shelving_image_pending_upload": None,
    "shelving_image_uploading": None,
    "shelving_offloading": None,
    "deleting": None,
    "soft-deleting": None,
    "restoring": None,
}


def standing_of_server(vm_state: str, task_state: str | None = None) -> Standing:
    """Say where a guest is.

    :param vm_state: ``OS-EXT-STS:vm_state`` of the server.
    :param task_state: ``OS-EXT-STS:task_state``; None when nothing is done with it.
    :raises UnknownStatus: for a word that Nova 34 does not have.
    """
    if task_state is not None and task_state not in _TARGETS:
        raise UnknownStatus(_unknown("task_state", task_state))
    busy = task_state is not None
    target = None if task_state is None else _TARGETS[task_state]
    if vm_state == _BUILDING:
        # One that is deleted while it is built never gets to run.
        is_built = task_state is None or target is not None
        return Standing(State.CLOSED, State.RUNNING if is_built else None, busy=True)
    if vm_state in _RESTS:
        state = _RESTS[vm_state]
        return Standing(state, None if target is state else target, busy)
    if vm_state in _OUTSIDE:
        return Standing(None, target, busy, _OUTSIDE[vm_state])
    raise UnknownStatus(_unknown("vm_state", vm_state))


def server_steps(state: State, action: Action) -> tuple[Step, ...]:
    """Say which actions of its server make a guest do a move.

    Where Nova lacks a move they are several, through ``running``: it pauses a guest only after it was started or resumed,
    and suspends or stops a paused one only after it was unpaused.

    :param state: where the guest is.
    :param action: a move of figure 4.
    :raises IllegalMove: when figure 4 does not have the move.
    """
    return steps(SERVER_ACTIONS, state, GUEST.move(state, action))


def _unknown(field: str, word: str) -> str:
    return f"{field} {word!r} of Nova is not known here: see whether this Nova is newer than hybrid_sched supports"
