# SPDX-License-Identifier: Apache-2.0
"""Frameworks, their weights, and what would give back what is borrowed."""

from __future__ import annotations

import math
from typing import Any

from hybrid_sched.api.call import Call, pool_of
from hybrid_sched.api.errors import bad_request
from hybrid_sched.api.paging import limit_of, unknown_marker
from hybrid_sched.core.resources import exact
from hybrid_sched.db.share_history import Key
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


def list_share_history(call: Call) -> dict[str, Any]:
    """List what each framework held and might hold; the marker is time, framework and pool of a row."""
    query = call.query
    limit = limit_of(query)
    found = call.history.page(
        limit,
        after=_key(query["marker"]) if "marker" in query else None,
        descending=query["sort_dir"] == "desc",
        framework=query.get("framework"),
        pool=pool_of(query["pool"]) if "pool" in query else None,
        since_s=query.get("since_s"),
        until_s=query.get("until_s"),
    )
    rows = [
        {
            "taken_at_s": each.taken_at_s,
            "pool": each.pool,
            "framework": each.framework,
            **each.figures,
        }
        for each in found
    ]
    marker = ":".join(map(str, found[-1].key)) if len(found) == limit else ""
    return call.collection("history", rows, marker)


def list_candidates(call: Call) -> dict[str, Any]:
    """List the tasks whose move would give back what is borrowed."""
    rows = call.matching(call.engine.ask("candidates"), "framework", "pool")
    return call.page("candidates", rows, ("pool", "framework"))


def _key(marker: str) -> Key:
    try:
        time_s, framework, pool = marker.split(":", 2)
        taken_at_s = float(time_s)
    except ValueError:
        raise unknown_marker() from None
    if not math.isfinite(taken_at_s):
        raise unknown_marker()
    return taken_at_s, framework, pool_of(pool)
