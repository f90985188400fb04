# SPDX-License-Identifier: Apache-2.0
"""Moves on the wire, as they are shown to people: they come from the quota service itself and are only read."""

from __future__ import annotations

from dataclasses import asdict

from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.rpc import wire
from hybrid_sched.rpc.wire import Wire

_LONGEST_TEXT = 2_000


def move_to_wire(move: MoveRecord) -> Wire:
    """Write a move; what its executor keeps for itself is left out."""
    made = move.decision
    return {
        "uuid": move.uuid,
        "position": move.position,
        "plan": move.plan,
        "strategy": move.strategy,
        "task": made.task,
        "framework": made.framework,
        "demand": wire.resources_to_wire(made.demand),
        "source": made.source,
        "target": made.target,
        "reason": _line(made.reason),
        "predicted": asdict(made.effect),
        "measured": None if move.measured is None else asdict(move.measured),
        "gain": made.gain,
        "cost": made.cost,
        "copy_mb": made.copy_mb,
        "executor": move.executor,
        "state": move.state.value,
        "step": move.step,
        "cancelling": move.cancelling,
        "text": _line(move.text),
        "planned_at_s": move.planned_at_s,
        "started_at_s": move.started_at_s,
        "ended_at_s": move.ended_at_s,
    }


def _line(text: str) -> str:
    # It may repeat what another service has said.
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_LONGEST_TEXT]
