# SPDX-License-Identifier: Apache-2.0
"""One move as the ledger keeps it: what was decided, how far it is, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybrid_sched.core.rebalancing.moves import Decision, Effect, Move, MoveState

#: Key in the details of a move with the uuid that its task has on the target, where that is another one: a container that is
#: made again. It is there from the step after the one in which the container was made.
TARGET_UUID = "target"


@dataclass(frozen=True, slots=True)
class MoveRecord:
    """A move in the ledger.

    :param uuid: of the move; executors mark with it what they make, so that it is found again.
    :param plan: id of the plan that it belongs to.
    :param position: in the ledger; later moves have larger ones.
    :param decision: task, source, target, reason and the predicted effect.
    :param executor: name of the plug-in that carries it out from beginning to end.
    :param state: planned, running, done, failed or cancelled.
    :param step: the last one that was done, as the executor names it; empty before the first.
    :param details: what the executor has to know for its next step: JSON, stored before that step is begun.
    :param cancelling: whether it is to be undone.
    :param text: how it stands or ended, as a sentence.
    :param planned_at_s: Unix time.
    :param started_at_s: Unix time of its first step; 0 before.
    :param ended_at_s: Unix time; 0 before.
    :param measured: what it did to the resource that it is about; None until it is measured, or when that cannot be told.
    :param strategy: that decided it.
    """

    uuid: str
    plan: str
    decision: Decision
    executor: str
    position: int = 0
    state: MoveState = MoveState.PLANNED
    step: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    cancelling: bool = False
    text: str = ""
    planned_at_s: float = 0.0
    started_at_s: float = 0.0
    ended_at_s: float = 0.0
    measured: Effect | None = None
    strategy: str = ""

    @property
    def at_s(self) -> float:
        """Give the Unix time at which it came into its state."""
        return self.ended_at_s or self.started_at_s or self.planned_at_s

    @property
    def copy(self) -> str:
        """Give the uuid that the task has on the target; empty where it is the same, or not known yet."""
        uuid = self.details.get(TARGET_UUID, "")
        return uuid if isinstance(uuid, str) else ""

    def as_move(self, *, counted: bool = False) -> Move:
        """Give it as the policy knows it.

        :param counted: whether the snapshot counts the task at the target already.
        """
        made = self.decision
        return Move(
            # What was made again rests under its new name.
            (self.state is MoveState.DONE and self.copy) or made.task,
            made.source,
            made.target,
            self.state,
            self.at_s,
            made.demand,
            made.use,
            counted=counted,
        )
