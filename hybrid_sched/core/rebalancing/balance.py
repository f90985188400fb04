# SPDX-License-Identifier: Apache-2.0
"""A strategy for evenness: move load from full hosts to empty ones before any is exhausted."""

from __future__ import annotations

from hybrid_sched.core.rebalancing.base import Strategy
from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.moves import Decision
from hybrid_sched.core.rebalancing.places import Place
from hybrid_sched.core.rebalancing.relieve import Relieve

#: The fullest hosts for which a move is looked for in one period.
_TRIED = 4

#: A host is looked at from this part of one of its targets on.
_NEAR = 0.9


class Balance(Strategy):
    """Relieve what is exhausted; then take from hosts near their targets the move that lowers the score most.

    Of all targets that the schedulers' gate admits the best for the score is taken, not the first in the schedulers' order.
    """

    def decide(self, board: Board) -> None:
        """Relieve, then even out."""
        Relieve().decide(board)
        near = [place for place in board.places if _nearness(board, place) >= _NEAR]
        for place in sorted(near, key=lambda each: (-_nearness(board, each), each.name))[:_TRIED]:
            if board.held_back(place) is None:
                best = _best_move(board, place)
                if best is not None:
                    board.decide(best)


def _nearness(board: Board, place: Place) -> float:
    """Give the largest part of a target that is used."""
    return max(place.part(index) / target for index, target in enumerate(board.parameters.targets))


def _best_move(board: Board, place: Place) -> Decision | None:
    resource = max(
        range(len(board.parameters.targets)),
        key=lambda index: (place.part(index) / board.parameters.targets[index], -index),
    )
    reason = f"host {place.name} is near its target: {place.part(resource):.0%} used"
    found = [
        decision
        for resident in board.movable(place)
        for target in board.targets(place, resident)
        if (decision := board.tried(place, resident, target, resource, reason)) is not None
    ]
    return min(
        found, key=lambda each: (-(each.gain - each.cost), each.task, each.target), default=None
    )
