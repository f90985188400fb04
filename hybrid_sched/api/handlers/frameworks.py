# SPDX-License-Identifier: Apache-2.0
"""Frameworks, their weights, and what would give back what is borrowed."""

from __future__ import annotations

from typing import Any

from hybrid_sched.api.call import Call, pool_of
from hybrid_sched.api.errors import bad_request
from hybrid_sched.core.resources import exact
from hybrid_sched.rpc.wire import number_to_wire

_EXACT = ("used", "fair", "weight")


def list_frameworks(call: Call) -> dict[str, Any]:
    """List what each framework holds and may hold."""
    rows = call.matching(call.engine.ask("shares"), "framework", "pool")
    return call.page("frameworks", rows, ("pool", "framework"), _EXACT)


def show_framework(call: Call) -> dict[str, Any]:
    """Show one framework in each pool."""
    name = call.path["name"]
    rows = call.matching(call.engine.ask("shares"), "pool")
    return {"framework": {"name": name, "pools": [row for row in rows if row["framework"] == name]}}


def set_weight(call: Call) -> dict[str, Any]:
    """Set a weight."""
    try:
        weight = exact(call.body["weight"])
    except ValueError as error:
        raise bad_request("weight.invalid", f"weight: {error}.") from None
    if weight <= 0:
        raise bad_request("weight.invalid", "weight: it must be above 0: give 2, 0.5 or 3/4.")
    row = {
        "pool": pool_of(call.body.get("pool")),
        "framework": call.path["name"],
        "weight": number_to_wire(weight),
    }
    call.engine.told("set_weight", **row)
    return {"weight": row}


def unset_weight(call: Call) -> None:
    """Go back to the weight of the configuration."""
    call.engine.told(
        "set_weight",
        pool=pool_of(call.query.get("pool")),
        framework=call.path["name"],
        weight=None,
    )


def list_candidates(call: Call) -> dict[str, Any]:
    """List the tasks whose move would give back what is borrowed."""
    rows = call.matching(call.engine.ask("candidates"), "framework", "pool")
    return call.page("candidates", rows, ("pool", "framework"))
