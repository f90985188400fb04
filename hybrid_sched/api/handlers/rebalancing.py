# SPDX-License-Identifier: Apache-2.0
"""Plans of moves, the ledger of moves, and the watchdog."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from hybrid_sched.api.call import Call
from hybrid_sched.api.errors import conflict, sentence
from hybrid_sched.api.paging import limit_of, unknown_marker


def list_moves(call: Call) -> dict[str, Any]:
    """List the ledger; the marker is the position of a move."""
    before = None
    if "marker" in call.query:
        if not call.query["marker"].isdecimal() or len(call.query["marker"]) > 18:
            raise unknown_marker()
        before = int(call.query["marker"])
    limit = limit_of(call.query)
    moves = call.engine.told("moves", limit=limit, before=before, states=call.query.get("state"))[
        "moves"
    ]
    return call.collection(
        "moves", moves, str(moves[-1]["position"]) if len(moves) == limit else ""
    )


def cancel_moves(call: Call) -> dict[str, Any]:
    """Cancel what can be cancelled, and say of the others why not."""
    moves: list[dict[str, Any]] = []
    faults: list[str] = []
    for uuid in dict.fromkeys(call.body["uuids"]):
        answer = call.engine.ask("cancel_moves", wanted=uuid)
        moves += answer.get("moves", ())
        faults += map(sentence, answer.get("faults", ()))
    if not moves:
        raise conflict("move.not_cancelled", *faults)
    return {"moves": moves, "faults": faults}


def make_plan(call: Call) -> dict[str, Any]:
    """Make a plan that is shown."""
    return {
        "plan": call.engine.told(
            "plan_moves",
            strategy=call.body.get("strategy", ""),
            drains=call.body.get("drain", ""),
        )
    }


def apply_plan(call: Call) -> dict[str, Any]:
    """Carry out a plan that was shown."""
    plan = call.body["plan"]
    wanted = plan if isinstance(plan, str) else plan["plan"]
    return {"moves": call.engine.told("apply_plan", HTTPStatus.CONFLICT, plan=wanted)["moves"]}


def show_watchdog(call: Call) -> dict[str, Any]:
    """Show how the watchdog stands."""
    return {"watchdog": call.engine.ask("watchdog")}


def enable_strategy(call: Call) -> None:
    """Switch a strategy on again."""
    call.engine.told("enable_strategy", HTTPStatus.CONFLICT, strategy=call.path["name"])
