# SPDX-License-Identifier: Apache-2.0
"""Decisions: why a request went where it went, and what would become of one."""

from __future__ import annotations

from typing import Any

from hybrid_sched.api.call import Call, pool_of
from hybrid_sched.api.errors import ApiError, bad_request, not_found
from hybrid_sched.api.handlers.owners import server_of
from hybrid_sched.api.schemas.common import MOST_ROWS
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.why import attempts
from hybrid_sched.rpc.attempts import attempt_to_wire
from hybrid_sched.rpc.messages import decision_from_wire
from hybrid_sched.rpc.wire import resources_to_wire


def list_decisions(call: Call) -> dict[str, Any]:
    """List the newest requests, a thousand at most."""
    rows = call.matching(call.engine.ask("decisions", limit=MOST_ROWS), "framework")
    return call.page("decisions", rows, ("request_uuid",))


def show_decision(call: Call) -> dict[str, Any]:
    """Show each step of the decision on one request."""
    uuid = server_of(call, _absent(call))
    steps = call.engine.ask("decisions", request_uuid=uuid)
    if not steps:
        raise _absent(call)
    return {"decision": {"request_uuid": uuid, "steps": steps}}


def explain(call: Call) -> dict[str, Any]:
    """Say why a server or container is where it is."""
    uuid = server_of(call, _absent(call))
    steps = call.engine.ask("decisions", request_uuid=uuid, afterwards=True)
    found = attempts([decision_from_wire(step) for step in steps])
    if not found:
        raise _absent(call)
    number = call.query.get("attempt", len(found))
    if number > len(found):
        raise not_found(
            "attempt.not_found", f"attempt: {number} is not there: give 1 to {len(found)}."
        )
    return {"why": attempt_to_wire(uuid, found[number - 1], number, len(found))}


def why_not(call: Call) -> dict[str, Any]:
    """Say what would become of a request."""
    body = call.body
    flavor = body.get("flavor")
    if flavor is not None and ("demand" in body or body.get("framework", HYPERVISOR) != HYPERVISOR):
        raise bad_request(
            "why_not.ambiguous",
            "flavor: it tells the demand of a guest: leave demand and framework out.",
        )
    try:
        demand = Resources.parse(body.get("demand", {}))
    except ValueError as error:
        raise bad_request("why_not.demand", f"demand.{error}.") from None
    pool = body.get("pool")
    answer = call.engine.told(
        "why_not",
        framework=body.get("framework", HYPERVISOR),
        demand=resources_to_wire(demand),
        count=int(body.get("count", 1)),
        pool=None if pool is None else pool_of(pool),
        flavor=flavor,
    )
    return {"why_not": answer}


def _absent(call: Call) -> ApiError:
    return not_found(
        "decision.not_found",
        f"There is no decision on {call.path['uuid']!r}: give the UUID of a server or container that was scheduled, of several "
        "servers made at once the first one.",
    )
