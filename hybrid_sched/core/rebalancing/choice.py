# SPDX-License-Identifier: Apache-2.0
"""Ways to choose a target that strategies share."""

from __future__ import annotations

from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.moves import Decision
from hybrid_sched.core.rebalancing.no_target import why_no_target
from hybrid_sched.core.rebalancing.places import Place, Resident


def first_move(
    board: Board,
    place: Place,
    resident: Resident,
    resource: int,
    reason: str,
    *,
    needed_above: float | None = None,
    open_only: bool = False,
) -> Decision | None:
    """Give the move to the first host, in the schedulers' order, to which the board lets a task go.

    :param open_only: leave out hosts without a task.
    """
    for target in board.targets(place, resident):
        if open_only and not board.at(target).present:
            continue
        decision = board.tried(place, resident, target, resource, reason, needed_above=needed_above)
        if decision is not None:
            return decision
    return None


def empty_host(board: Board, place: Place, reason: str, *, open_only: bool = False) -> list[str]:
    """Move what can be moved now off a host that is to be emptied, the tasks that use most of it first.

    :param place: a host that the board was told to empty.
    :param reason: why it is to be emptied.
    :param open_only: move nothing to hosts without a task.
    :returns: why tasks have to stay; none when all go.
    """
    stay: list[str] = []
    for resident in sorted(
        place.residents.values(), key=lambda each: (-_largest(place, each)[0], each.task.uuid)
    ):
        held_back = board.held_back(place)
        if held_back is not None:
            return [*stay, held_back]
        pinned = board.pinned(resident)
        if pinned is not None:
            stay.append(f"{resident.task.uuid} has to stay: {pinned}")
            continue
        resource = _largest(place, resident)[1]
        decision = first_move(board, place, resident, resource, reason, open_only=open_only)
        if decision is None:
            hosts = why_no_target(board, place, resident) or "no other host has a fresh report"
            stay.append(f"no host can take {resident.task.uuid}: {hosts}")
        else:
            board.decide(decision)
    return stay


def _largest(place: Place, resident: Resident) -> tuple[float, int]:
    """Give the resource of which a task takes the largest part of its host, behind that part."""
    parts = [
        amount / usable if usable > 0 else 0.0
        for amount, usable in zip(resident.expected, place.usable, strict=True)
    ]
    return max(parts), parts.index(max(parts))
