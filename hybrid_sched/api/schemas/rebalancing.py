# SPDX-License-Identifier: Apache-2.0
"""Moves of tasks between hosts: plans, the ledger and the watchdog."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import (
    FRAMEWORK,
    LONGEST_NAME,
    NAME,
    RESOURCES,
    UNIX_TIME,
    UUID,
    Schema,
    array,
    by_name,
    collection,
    flag,
    integer,
    nullable,
    number,
    record,
    ref,
    single,
    text,
)
from hybrid_sched.core.rebalancing.moves import MoveState

STATES = [state.value for state in MoveState]
MOST_CANCELLED = 100

_LEFT_ALONE = array(record({"host": text(), "reason": text("Why not enough is done for it now.")}))

COMPONENTS: dict[str, Schema] = {
    "Effect": record(
        {
            "resource": text("Which resource."),
            **{
                name: number("Part of the host, from 0 to 1 and above.")
                for name in ("source_before", "source_after", "target_before", "target_after")
            },
        }
    ),
    "Move": {
        "description": "A move of a task. Times are 0 before they have come.",
        **record(
            {
                "uuid": UUID,
                "position": integer("Order in the ledger; 0 in a plan.", minimum=0),
                "plan": text("Id of its plan."),
                "strategy": text("That decided it."),
                "task": text("UUID of the server or container."),
                "framework": FRAMEWORK,
                "demand": RESOURCES,
                "source": text("Host that it leaves."),
                "target": text("Host that it goes to."),
                "reason": text("Why."),
                "predicted": ref("Effect"),
                "measured": nullable(ref("Effect")),
                "gain": number(),
                "cost": number(),
                "copy_mb": number("What is copied, in MiB."),
                "executor": text("That carries it out."),
                "state": text("How far it is.", enum=STATES),
                "step": text("Of its executor."),
                "cancelling": flag("Whether it is to be undone."),
                "text": text("How it is, in a sentence."),
                "planned_at_s": UNIX_TIME,
                "started_at_s": UNIX_TIME,
                "ended_at_s": UNIX_TIME,
            }
        ),
    },
    "Moves": collection("moves", ref("Move")),
    "OrderedMoves": {
        "description": "The moves that an order is about, as they are now.",
        **record({"moves": array(ref("Move"))}),
    },
    "CancelledMoves": {
        "description": "The moves that are cancelled, as they are now, and a sentence for each UUID that could not be.",
        **record({"moves": array(ref("Move")), "faults": array(text())}),
    },
    "MovesToCancel": record(
        {
            "uuids": {
                **array({**UUID, "description": "UUID of a move, or id of a plan for its moves."}),
                "minItems": 1,
                "maxItems": MOST_CANCELLED,
            }
        },
        closed=True,
    ),
    "NewPlan": {
        "description": "What is to be planned: what a strategy would move now (without one, the configured strategy), or how a "
        "host is emptied.",
        **record(
            {
                "strategy": text("Name of the strategy.", minLength=1, maxLength=LONGEST_NAME),
                "drain": {**NAME, "description": "Name of the host that is to be emptied."},
            },
            optional=("strategy", "drain"),
            closed=True,
        ),
        "not": {"required": ["strategy", "drain"]},
    },
    "Plan": {
        "description": "A plan that is shown; nothing is done until it is applied.",
        **record(
            {
                "plan": text("Its id, by which it is applied."),
                "strategy": text("That decided it."),
                "drains": text("Host that is drained when it is applied; empty for none."),
                "moves": array(ref("Move")),
                "steps": by_name(array(text()), "What each executor does to a task, in order."),
                "left_alone": _LEFT_ALONE,
                "score_before": number("Imbalance now."),
                "score_after": number("Imbalance after the moves."),
                "off": text("Why the strategy is switched off; empty when it is not."),
            }
        ),
    },
    "OnePlan": single("plan", ref("Plan")),
    "PlanToApply": {
        "description": "Exactly the plan that was shown: its id, or the whole plan as `POST /v1/plans` gave it.",
        **record(
            {
                "plan": {
                    "oneOf": [
                        UUID,
                        {"type": "object", "properties": {"plan": UUID}, "required": ["plan"]},
                    ]
                }
            },
            closed=True,
        ),
    },
    "Watchdog": single(
        "watchdog",
        record(
            {
                "mode": text("Of `[watchdog] mode`."),
                "strategy": text("That is configured."),
                "off": by_name(text("Why."), "Strategies that are switched off."),
                "drained": array(text("A host that is being emptied.")),
                "left_alone": _LEFT_ALONE,
            }
        ),
    ),
}
