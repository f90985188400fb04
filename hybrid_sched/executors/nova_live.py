# SPDX-License-Identifier: Apache-2.0
"""Guests move while they run, by Nova's live migration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from oslo_config import cfg

from hybrid_sched.clients.nova import STATUSES
from hybrid_sched.clients.nova_moves import (
    POWER_PAUSED,
    POWER_RUNNING,
    Guest,
    GuestMigration,
    NovaMoves,
)
from hybrid_sched.clients.placement import PlacementClient, placement_client
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.executors.left_claims import LeftClaims
from hybrid_sched.executors.nova import MIGRATING, NovaExecutor, deleted
from hybrid_sched.executors.stepping import Refused, asking, going_on, over
from hybrid_sched.interfaces.executor import MoveUnavailable, Step

_ASKED, _ABORTING = "asking Nova", "aborting"
_ASKED_AT_MOST = 3
#: Detail of a move: uuid of Nova's migration, which holds the claim on the source.
_MIGRATION = "migration"
_ABORTABLE = frozenset({"queued", "preparing", "running"})
_POWERS = {"active": POWER_RUNNING, "paused": POWER_PAUSED}


class NovaLive(NovaExecutor):
    """Follows Nova's live migration of a guest from the request to its end.

    :param conf: options, with the groups that the other executors of guests need, and ``[placement]``.
    :param nova: how Nova is asked; None to make it from the options.
    :param placement: how Placement is asked; None to make it from the options.
    :param clock: gives Unix time.
    """

    steps = (
        "see that the guest is on its source and that nothing is done with it",
        "ask Nova for a live migration to the target, past all of its filters",
        "follow the migration until the guest is on the target",
    )

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        nova: NovaMoves | None = None,
        placement: PlacementClient | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(conf, nova, clock)
        self._claims = LeftClaims(placement_client(conf) if placement is None else placement)

    def advance(self, move: MoveRecord) -> Step:
        """Do the next step."""
        if move.step == _ABORTING:
            return self._undo(move)
        try:
            with asking():
                guest = self._nova.guest(move.decision.task)
                if guest is None:
                    return self._deleted(move)
                if not move.step:
                    return self._begin(move, guest)
                return self._follow(move, guest)
        except Refused as refused:
            if move.step == MIGRATING:
                # What is under way goes on, whether it may be looked at or not.
                raise MoveUnavailable(str(refused)) from None
            return over(MoveState.FAILED, move.details, str(refused))

    def cancel(self, move: MoveRecord) -> Step:
        """Abort the migration."""
        if move.step == _ABORTING or not move.step:
            return self._undo(move)
        text = "It is being cancelled."
        return self._aborting(move, MoveState.CANCELLED, text)

    def _begin(self, move: MoveRecord, guest: Guest) -> Step:
        made = move.decision
        why_not = None
        if guest.host != made.source:
            why_not = f"guest {made.task} is on host {guest.host or '(none)'}, not on {made.source}"
        elif guest.vm_state not in _POWERS:
            why_not = (
                f"guest {made.task} is {guest.vm_state}: Nova moves active and paused ones live"
            )
        elif guest.task_state:
            why_not = f"Nova is busy with guest {made.task}: {guest.task_state}"
        if why_not is not None:
            return over(MoveState.FAILED, move.details, f"The move was not begun: {why_not}.")
        known = self._nova.migrations(made.task)
        details = {
            "vm_state": guest.vm_state,
            # Those that Nova remembers from before are not this move's.
            "after": known[0].number if known else 0,
            "since_s": self._clock(),
        }
        return going_on(_ASKED, details, f"Nova is asked to migrate the guest to {made.target}.")

    def _follow(self, move: MoveRecord, guest: Guest) -> Step:
        current = self._migration(move)
        move = _noted(move, current)
        is_under_way = guest.task_state or (current is not None and current.status in STATUSES)
        if not is_under_way:
            if guest.host == move.decision.target and guest.vm_state != "error":
                return over(MoveState.DONE, move.details, f"The guest runs on {guest.host}.")
            if current is not None or guest.vm_state == "error":
                said = (
                    f"Nova's live migration ended as {current.status}" if current else "It failed"
                )
                return self._recovered(move, guest, MoveState.FAILED, said)
            return self._ask(move)
        waited_s = self._clock() - move.details["since_s"]
        limit_s = self._conf.migration.live_timeout_s
        if waited_s < limit_s or current is None:
            return self._wait(
                move, f"The live migration is {current.status if current else 'begun'}."
            )
        return self._late(move, current, waited_s, limit_s)

    def _ask(self, move: MoveRecord) -> Step:
        asked = int(move.details.get("asked", 0))
        if asked >= _ASKED_AT_MOST:
            text = f"Nova does not begin the live migration to {move.decision.target}."
            return over(MoveState.FAILED, move.details, text)
        try:
            with asking():
                self._nova.live_migrate(move.decision.task, move.decision.target)
        except Refused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return deleted(move)
            # Something else may have begun with it since it was looked at.
            if refused.status != HTTPStatus.CONFLICT or asked + 1 == _ASKED_AT_MOST:
                return over(MoveState.FAILED, move.details, str(refused))
        details = {**move.details, "asked": asked + 1}
        text = "Nova is asked for the live migration."
        return going_on(MIGRATING, details, text, self._poll_s)

    def _late(
        self, move: MoveRecord, current: GuestMigration, waited_s: float, limit_s: float
    ) -> Step:
        is_forced = bool(move.details.get("forced"))
        may_force = self._conf.migration.live_on_timeout == "force_complete"
        if may_force and not is_forced and current.status == "running":
            details = {**move.details, "forced": True}
            self._ask_gently(lambda: self._nova.force_complete(move.decision.task, current.number))
            text = f"It took more than {limit_s:.0f} s: Nova is to force its completion."
            return going_on(MIGRATING, details, text, self._poll_s)
        if may_force and is_forced and waited_s < 2 * limit_s:
            return self._wait(move, "Nova forces the completion of the live migration.")
        text = f"It took more than {limit_s:.0f} s (live_timeout_s) and was aborted."
        return self._aborting(move, MoveState.FAILED, text)

    def _aborting(self, move: MoveRecord, ends: MoveState, text: str) -> Step:
        return going_on(_ABORTING, {**move.details, "ends": ends.value, "why": text}, text)

    def _undo(self, move: MoveRecord) -> Step:
        """Abort, and see where the guest ends up."""
        if not move.step:
            text = "It was cancelled before it was begun."
            return over(MoveState.CANCELLED, move.details, text)
        try:
            with asking():
                guest = self._nova.guest(move.decision.task)
                if guest is None:
                    return self._deleted(move)
                return self._undo_next(move, guest, self._migration(move))
        except Refused as refused:
            # What is under way goes on, whether it may be looked at or not.
            raise MoveUnavailable(str(refused)) from None

    def _undo_next(self, move: MoveRecord, guest: Guest, current: GuestMigration | None) -> Step:
        move = _noted(move, current)
        ends, why = MoveState(move.details["ends"]), str(move.details["why"])
        if current is not None and current.status in _ABORTABLE:
            self._ask_gently(lambda: self._nova.abort(move.decision.task, current.number))
            return going_on(_ABORTING, move.details, why, self._poll_s)
        is_under_way = guest.task_state or (current is not None and current.status in STATUSES)
        if is_under_way or (current is None and self._may_still_come(move)):
            return going_on(_ABORTING, move.details, why, self._poll_s)
        if guest.host == move.decision.target and guest.vm_state != "error":
            text = f"It was too late to abort: the guest runs on {guest.host}."
            return over(MoveState.DONE, move.details, text)
        return self._recovered(move, guest, ends, why)

    def _may_still_come(self, move: MoveRecord) -> bool:
        """Say whether a request of an engine that was killed may not have reached Nova yet."""
        begun_s = float(move.details.get("since_s", 0.0))
        return self._clock() - begun_s < float(self._conf.migration.settle_s)

    def _recovered(self, move: MoveRecord, guest: Guest, ends: MoveState, why: str) -> Step:
        """End a move whose guest is where it was; Nova may have set it to ERROR though it runs."""
        if guest.host not in {move.decision.source, move.decision.target}:
            text = f"{why}; the guest is on host {guest.host or '(none)'} now"
            return over(MoveState.FAILED, move.details, text)
        if guest.vm_state == "error":
            if guest.power_state != _POWERS.get(str(move.details.get("vm_state"))):
                text = (
                    f"{why}, and Nova set the guest to ERROR, where it does not run: {guest.fault or 'see its fault'}. "
                    "Reboot it hard once its host is well"
                )
                return over(MoveState.FAILED, move.details, text)
            self._ask_gently(lambda: self._nova.set_active(move.decision.task))
            return going_on(
                move.step, move.details, "Nova is told that the guest runs.", self._poll_s
            )
        if guest.host == move.decision.target:
            return over(MoveState.DONE, move.details, f"The guest runs on {guest.host}.")
        return over(ends, move.details, f"{why.rstrip('.')}; the guest runs on {guest.host}.")

    def _deleted(self, move: MoveRecord) -> Step:
        """End a move whose guest is gone, and nothing is claimed for its migration, of which Nova does not tell any more."""
        return self._claims.given_back(move.details.get(_MIGRATION), deleted(move))

    def _migration(self, move: MoveRecord) -> GuestMigration | None:
        """Give the newest migration of the guest that is not from before the move."""
        newest = self._nova.migrations(move.decision.task)[:1]
        return next((each for each in newest if each.number > move.details["after"]), None)


def _noted(move: MoveRecord, current: GuestMigration | None) -> MoveRecord:
    """Keep in mind which migration of Nova's it is."""
    if current is None:
        return move
    return replace(move, details={**move.details, _MIGRATION: current.uuid})
