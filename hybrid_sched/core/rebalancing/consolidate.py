# SPDX-License-Identifier: Apache-2.0
"""A strategy for saving power: empty hosts that hold little, as long as no other is exhausted by it."""

from __future__ import annotations

from hybrid_sched.core.rebalancing.base import Strategy
from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.choice import empty_host
from hybrid_sched.core.rebalancing.places import Place
from hybrid_sched.core.rebalancing.relieve import Relieve

#: Hosts for which a way to empty them is looked for in one period.
_TRIED = 3


class Consolidate(Strategy):
    """Relieve what is exhausted, then empty the least used hosts.

    A host is begun with only when all its tasks have a host to go to that is in use and stays within its targets, so that
    none is left half empty for nothing.
    """

    def decide(self, board: Board) -> None:
        """Relieve, then empty."""
        Relieve().decide(board)
        used = [
            place for place in board.places if place.residents and not board.is_emptying(place.name)
        ]
        for place in sorted(used, key=lambda each: (each.fullest, each.name))[:_TRIED]:
            if board.held_back(place) is None and _can_be_emptied(board, place):
                board.empty([place.name])
                empty_host(board, place, _reason(place), open_only=True)


def _can_be_emptied(board: Board, place: Place) -> bool:
    trial = board.without_caps()
    there = trial.at(place.name)
    trial.empty([place.name])
    return not empty_host(trial, there, _reason(place), open_only=True)


def _reason(place: Place) -> str:
    return f"host {place.name} is to be emptied: it uses {place.fullest:.0%} and others have room"
