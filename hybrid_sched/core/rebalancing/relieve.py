# SPDX-License-Identifier: Apache-2.0
"""The default strategy: relieve exhausted hosts, with as few moves as will do (paper 5.3)."""

from __future__ import annotations

from hybrid_sched.core.rebalancing.base import Strategy
from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.choice import first_move
from hybrid_sched.core.rebalancing.no_target import why_no_target
from hybrid_sched.core.rebalancing.places import Place, Resident
from hybrid_sched.core.resources import Resources


class Relieve(Strategy):
    """From each exhausted host, the fullest first, take the largest consumer until it is within its limit.

    The target is the first in the schedulers' order that stays within its targets; where there is none for the largest
    consumer the next one is taken.
    """

    def decide(self, board: Board) -> None:
        """Relieve each host of each resource that it is exhausted of."""
        exhausted = [(place, tuple(board.over(place))) for place in board.places]
        for place, resources in sorted(exhausted, key=_fullest_first):
            for resource in resources:
                _relieve(board, place, resource)


def _fullest_first(exhausted: tuple[Place, tuple[int, ...]]) -> tuple[float, str]:
    place, resources = exhausted
    return -max(map(place.peak, resources), default=0.0), place.name


def _relieve(board: Board, place: Place, resource: int) -> None:
    name, limit = Resources._fields[resource], board.parameters.limits[resource]
    target = board.parameters.targets[resource]
    while place.peak(resource) > limit:
        why = f"host {place.name} is exhausted: {place.peak(resource):.0%} of its {name}, above {limit:.0%}"
        held_back = board.held_back(place)
        if held_back is not None:
            board.leave_alone(place.name, f"{why}; {held_back}")
            return
        consumers = sorted(
            [each for each in board.movable(place) if each.expected[resource] > 0],
            key=lambda each: (
                each.task.uuid not in board.situation.named,
                -each.expected[resource],
                each.task.uuid,
            ),
        )
        for rank, consumer in enumerate(consumers, 1):
            reason = (
                f"{why}; {consumer.task.uuid} is number {rank} of its movable consumers of it with "
                f"{consumer.expected[resource]:g}"
            )
            decision = first_move(board, place, consumer, resource, reason, needed_above=target)
            if decision is not None:
                board.decide(decision)
                break
        else:
            board.leave_alone(place.name, f"{why}; {_stuck(board, place, consumers, name)}")
            return


def _stuck(board: Board, place: Place, consumers: list[Resident], name: str) -> str:
    """Say why none of the consumers of a resource can go, with what keeps the first one on each host."""
    if not consumers:
        return f"none of its tasks that use {name} may be moved now"
    first = consumers[0]
    hosts = why_no_target(board, place, first) or "there is no other host with a fresh report"
    return (
        f"no host can take any of its {len(consumers)} tasks that use {name} and may be moved now; the first is "
        f"{first.task.uuid}: {hosts}"
    )
