# SPDX-License-Identifier: Apache-2.0
"""Moves of tasks between hosts: decided, under way, over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hybrid_sched.core.rebalancing.readings import Use
from hybrid_sched.core.resources import Resources


class MoveState(StrEnum):
    """How far a move is."""

    PLANNED = "planned"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: States in which a move is charged at both ends and counts to the caps.
IN_FLIGHT = frozenset({MoveState.PLANNED, MoveState.RUNNING})


@dataclass(frozen=True, slots=True)
class Move:
    """One entry of the ledger of moves.

    :param task: uuid.
    :param source: host that it leaves.
    :param target: host that it goes to.
    :param state: how far it is.
    :param at_s: Unix time at which it came into that state.
    :param demand: what the task declared.
    :param use: what it was expected to use when the move was decided.
    :param counted: whether the snapshot counts it at the target already, as when Placement holds its claim there. One that it
        does not is charged there.
    """

    task: str
    source: str
    target: str
    state: MoveState
    at_s: float
    demand: Resources
    use: Use
    counted: bool = False

    @property
    def in_flight(self) -> bool:
        """Say whether it is planned or under way."""
        return self.state in IN_FLIGHT


@dataclass(frozen=True, slots=True)
class Effect:
    """What a move is predicted to do to one resource.

    :param resource: its name.
    :param source_before: part of the source's capacity after the reserve that is expected to be used without the move.
    :param source_after: with it.
    :param target_before: the same of the target.
    :param target_after: with it.
    """

    resource: str
    source_before: float
    source_after: float
    target_before: float
    target_after: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A task that is to be moved.

    :param task: uuid.
    :param framework: whose it is.
    :param demand: what it declared.
    :param use: what it is expected to use.
    :param source: its host.
    :param target: where it is to go.
    :param reason: why, as a sentence without the full stop.
    :param effect: predicted for the resource that it is about.
    :param score_before: imbalance score of the cluster with all moves in flight and decided before it done.
    :param score_after: with it done as well.
    :param cost: by which the score has to fall at least.
    :param copy_mb: memory that has to be copied, in MiB; 0 for a task that is restarted.
    :param needed_above: the part of the resource above which the source needs the move; None when it does not depend on that.
    :param emptied: whether it serves to empty its source.
    """

    task: str
    framework: str
    demand: Resources
    use: Use
    source: str
    target: str
    reason: str
    effect: Effect
    score_before: float
    score_after: float
    cost: float
    copy_mb: float
    needed_above: float | None = None
    emptied: bool = False

    @property
    def resource(self) -> int:
        """Give the resource that it is about, as an index into ``Resources``."""
        return Resources._fields.index(self.effect.resource)

    @property
    def gain(self) -> float:
        """Give by how much the score falls."""
        return self.score_before - self.score_after

    def as_move(self, state: MoveState, at_s: float) -> Move:
        """Write it into the ledger."""
        return Move(self.task, self.source, self.target, state, at_s, self.demand, self.use)


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A host that wants relief, or is to be emptied, and for which nothing, or not enough, is done now.

    :param host: its name.
    :param reason: why, as a sentence without the full stop.
    """

    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a strategy decided.

    :param decisions: to be carried out in this order.
    :param left_alone: hosts for which more was wanted.
    :param score_before: of the cluster when all moves in flight are done.
    :param score_after: with all decisions carried out as well.
    """

    decisions: tuple[Decision, ...]
    left_alone: tuple[LeftAlone, ...]
    score_before: float
    score_after: float
