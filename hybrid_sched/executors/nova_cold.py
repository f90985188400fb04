# SPDX-License-Identifier: Apache-2.0
"""Guests that are stopped move by Nova's cold migration."""

from __future__ import annotations

from http import HTTPStatus

from hybrid_sched.clients.nova_moves import POWER_SHUTDOWN, Guest
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.executors.nova import MIGRATING, NovaExecutor, deleted
from hybrid_sched.executors.stepping import Refused, asking, going_on, over
from hybrid_sched.interfaces.executor import MoveUnavailable, Step

_ASKED, _UNDOING = "asking Nova", "taking back"
#: What Nova calls a guest that waits on its new host to be confirmed or reverted.
_RESIZED = "resized"
_ASKED_AT_MOST = 2


class NovaCold(NovaExecutor):
    """Has a stopped guest migrated, and confirms it; what cannot be confirmed is reverted."""

    steps = (
        "see that the guest is stopped on its source and that nothing is done with it",
        "ask Nova for a cold migration to the target, past all of its filters",
        "confirm it when the guest is on the target",
    )

    def advance(self, move: MoveRecord) -> Step:
        """Do the next step."""
        return self._guarded(move, undo=move.step == _UNDOING)

    def cancel(self, move: MoveRecord) -> Step:
        """Do the next step of taking it back."""
        return self._guarded(move, undo=True)

    def _guarded(self, move: MoveRecord, *, undo: bool) -> Step:
        try:
            with asking():
                guest = self._nova.guest(move.decision.task)
                if guest is None:
                    return deleted(move)
                if undo:
                    return self._undo(move, guest)
                return self._follow(move, guest) if move.step else self._begin(move, guest)
        except Refused as refused:
            if move.step not in {"", _ASKED}:
                # What is under way goes on, whether it may be looked at or not.
                raise MoveUnavailable(str(refused)) from None
            return over(MoveState.FAILED, move.details, str(refused))

    def _begin(self, move: MoveRecord, guest: Guest) -> Step:
        made = move.decision
        why_not = None
        if guest.host != made.source:
            why_not = f"guest {made.task} is on host {guest.host or '(none)'}, not on {made.source}"
        elif guest.vm_state != "stopped":
            why_not = f"guest {made.task} is {guest.vm_state}: only stopped ones are migrated cold"
        elif guest.task_state:
            why_not = f"Nova is busy with guest {made.task}: {guest.task_state}"
        if why_not is not None:
            return over(MoveState.FAILED, move.details, f"The move was not begun: {why_not}.")
        text = f"Nova is asked to migrate the guest to {made.target}."
        return going_on(_ASKED, {"since_s": self._clock()}, text)

    def _follow(self, move: MoveRecord, guest: Guest) -> Step:
        if guest.task_state:
            limit_s = self._conf.migration.cold_timeout_s
            if self._clock() - move.details["since_s"] >= limit_s:
                why = f"It took more than {limit_s:.0f} s (cold_timeout_s) and was taken back"
                return self._undoing(move, MoveState.FAILED, why)
            return self._wait(move, f"Nova is at {guest.task_state}.")
        if guest.vm_state == _RESIZED:
            if guest.host != move.decision.target:
                why = f"Nova migrated the guest to {guest.host}"
                return self._undoing(move, MoveState.FAILED, why)
            self._ask_gently(lambda: self._nova.confirm(move.decision.task))
            return self._wait(move, "The migration is confirmed.")
        if guest.vm_state == "error":
            return self._undoing(move, MoveState.FAILED, guest.fault or "Nova set it to ERROR")
        return self._at_rest(move, guest)

    def _at_rest(self, move: MoveRecord, guest: Guest) -> Step:
        if guest.host == move.decision.target:
            return over(MoveState.DONE, move.details, f"The guest is on {guest.host}.")
        if guest.vm_state != "stopped":
            why = f"The guest is {guest.vm_state} by now: only stopped ones are migrated cold."
            return over(MoveState.FAILED, move.details, why)
        asked = int(move.details.get("asked", 0))
        if asked >= _ASKED_AT_MOST:
            # Nova puts a guest for which no host was found back to where it was, without a fault.
            why = f"Nova found that {move.decision.target} cannot take the guest"
            return over(MoveState.FAILED, move.details, why)
        return self._migrate(move, asked)

    def _migrate(self, move: MoveRecord, asked: int) -> Step:
        try:
            with asking():
                self._nova.migrate(move.decision.task, move.decision.target)
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT or asked + 1 == _ASKED_AT_MOST:
                return over(MoveState.FAILED, move.details, str(refused))
        details = {**move.details, "asked": asked + 1}
        text = "Nova is asked for the cold migration."
        return going_on(MIGRATING, details, text, self._poll_s)

    def _undoing(self, move: MoveRecord, ends: MoveState, why: str) -> Step:
        return going_on(_UNDOING, {**move.details, "ends": ends.value, "why": why}, why)

    def _undo(self, move: MoveRecord, guest: Guest) -> Step:
        if guest.task_state:
            return going_on(_UNDOING, move.details, f"Nova is at {guest.task_state}.", self._poll_s)
        if guest.vm_state == _RESIZED:
            self._ask_gently(lambda: self._nova.revert(move.decision.task))
            return going_on(_UNDOING, move.details, "It is reverted.", self._poll_s)
        if guest.vm_state == "error":
            return self._reset(move, guest)
        if guest.vm_state == "active" and move.details.get("reset"):
            self._ask_gently(lambda: self._nova.stop(move.decision.task))
            return going_on(_UNDOING, move.details, "It is stopped again.", self._poll_s)
        return self._undone(move, guest)

    def _reset(self, move: MoveRecord, guest: Guest) -> Step:
        """Take a guest out of ERROR that rests on its source. Nova can only call it active at first."""
        if guest.host != move.decision.source or guest.power_state != POWER_SHUTDOWN:
            why = move.details.get("why", "It was cancelled")
            text = f"{why}; Nova left the guest in ERROR on {guest.host}: reset its state there"
            return over(MoveState.FAILED, move.details, text)
        self._ask_gently(lambda: self._nova.set_active(move.decision.task))
        return going_on(_UNDOING, {**move.details, "reset": True}, "It is reset.", self._poll_s)

    def _undone(self, move: MoveRecord, guest: Guest) -> Step:
        ends = MoveState(move.details.get("ends", MoveState.CANCELLED))
        why = str(move.details.get("why", "It was cancelled"))
        if guest.host == move.decision.target:
            return over(MoveState.DONE, move.details, f"It was too late: it is on {guest.host}.")
        begun_s = float(move.details.get("since_s", 0.0))
        if self._clock() - begun_s < self._conf.migration.settle_s:
            # The last request may not have reached Nova yet.
            return going_on(_UNDOING, move.details, why, self._poll_s)
        return over(ends, move.details, f"{why}; the guest is on {guest.host}")
