# SPDX-License-Identifier: Apache-2.0
"""What a move came to, beside what was predicted of it."""

from __future__ import annotations

from dataclasses import replace

from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.moves import Effect
from hybrid_sched.core.rebalancing.places import Place
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.rebalancing.situation import Situation


def measured_effect(move: MoveRecord, situation: Situation) -> Effect | None:
    """Measure what a move that is done has done to the resource that it is about.

    :param situation: the cluster some time after the move.
    :returns: with the parts before the move as they were predicted from, and those after it as they are now; None when a host
        has no fresh report, or another move changed one of them since this one was planned.
    """
    made = move.decision
    hosts = {made.source, made.target}
    for other in situation.moves:
        is_this = other == move.as_move(counted=other.counted)
        touches = not hosts.isdisjoint((other.source, other.target))
        if not is_this and touches and (other.in_flight or other.at_s >= move.planned_at_s):
            return None
    board = Board(situation)
    source, target = board.place(made.source), board.place(made.target)
    if source is None or target is None:
        return None
    return replace(
        made.effect,
        source_after=_used_lately(source, situation, made.resource),
        target_after=_used_lately(target, situation, made.resource),
    )


def shortfall(predicted: Effect, measured: Effect) -> float:
    """Give by how much a move fell short: the part by which its source or target is fuller than predicted, at most.

    A host that is emptier than predicted is no fault: predictions are of the larger of recent and usual use.
    """
    return max(
        0.0,
        measured.source_after - predicted.source_after,
        measured.target_after - predicted.target_after,
    )


def _used_lately(place: Place, situation: Situation, resource: int) -> float:
    """Give the part of the usable capacity that was used, as a recent mean."""
    usable, history = place.usable[resource], situation.history
    if usable <= 0:
        return 0.0
    measured = [
        history.tasks[each.task.uuid].recent[resource]
        for each in situation.readings[place.name].tasks
        if each.use is not None and each.task.uuid in history.tasks
    ]
    return (history.hosts[place.name].rest[resource] + sum(measured)) / usable
