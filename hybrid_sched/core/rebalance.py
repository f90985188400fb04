# SPDX-License-Identifier: Apache-2.0
"""The migration watchdog as a pure policy: (cluster, history, parameters) -> decisions (paper 5.3, figure 5).

It changes nothing: somebody else carries the decisions out, and asks :func:`recheck` right before each.
"""

from __future__ import annotations

from dataclasses import replace

from hybrid_sched.core.rebalancing.base import Strategy
from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.moves import Decision, MoveState, Plan
from hybrid_sched.core.rebalancing.places import Place, Resident
from hybrid_sched.core.rebalancing.situation import Situation


def decide(strategy: Strategy, situation: Situation) -> Plan:
    """Let a strategy decide.

    :param strategy: a plug-in.
    :param situation: the cluster now.
    :returns: its decisions, in the order in which they are to be carried out, and why hosts were left alone.
    """
    board = Board(situation)
    strategy.decide(board)
    return board.plan()


def recheck(decision: Decision, situation: Situation) -> str | None:
    """Say why a decision is not to be carried out any more; None when it still holds.

    :param decision: made before.
    :param situation: the cluster now; the decision's own move may be in the ledger as planned, and is not counted.
    :returns: a sentence without the full stop.
    """
    others = tuple(
        move
        for move in situation.moves
        if not (
            move.state is MoveState.PLANNED
            and (move.task, move.source, move.target)
            == (decision.task, decision.source, decision.target)
        )
    )
    board = Board(replace(situation, moves=others))
    source = board.place(decision.source)
    if source is None:
        return f"source host {decision.source} has no fresh report"
    if board.place(decision.target) is None:
        return f"target host {decision.target} has no fresh report"
    resident = source.residents.get(decision.task)
    if resident is None:
        return f"task {decision.task} is not on host {decision.source} any more, or is being moved"
    if decision.emptied:
        board.empty([decision.source])
    return _not_wanted(board, decision, source, resident) or _not_possible(
        board, decision, source, resident
    )


def _not_wanted(board: Board, decision: Decision, source: Place, resident: Resident) -> str | None:
    pinned = board.pinned(resident)
    if pinned is not None:
        return f"task {decision.task} stays: {pinned}"
    held_back = board.held_back(source)
    if held_back is not None:
        return f"host {decision.source} gives nothing now: {held_back}"
    part, needed = source.peak(decision.resource), decision.needed_above
    if needed is not None and part <= needed:
        return (
            f"host {decision.source} has recovered: it is to be ready for {part:.0%} of its {decision.effect.resource}, "
            f"which is not above {needed:.0%}"
        )
    return None


def _not_possible(
    board: Board, decision: Decision, source: Place, resident: Resident
) -> str | None:
    if decision.target not in board.targets(source, resident):
        return f"target host {decision.target} may not take task {decision.task} now"
    resource, reason = decision.resource, decision.reason
    if board.tried(source, resident, decision.target, resource, reason) is None:
        return (
            f"task {decision.task} would fill target host {decision.target} above a target, or lower the score by less than "
            f"it costs"
        )
    return None
