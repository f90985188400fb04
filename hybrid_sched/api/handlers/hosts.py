# SPDX-License-Identifier: Apache-2.0
"""Hosts, and how they are emptied."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import Any

from hybrid_sched.api.call import Call
from hybrid_sched.api.errors import not_found
from hybrid_sched.core.cluster import FRAMEWORKS


def list_hosts(call: Call) -> dict[str, Any]:
    """List the hosts, without their tasks."""
    rows = [_counted(row) for row in call.engine.ask("hosts")]
    for row in rows:
        del row["tasks"]
    return call.page("hosts", call.matching(rows, "pool", "fresh"), ("host",), ("score",))


def show_host(call: Call) -> dict[str, Any]:
    """Show one host with its tasks."""
    return {"host": _counted(_known(call))}


def drain_host(call: Call) -> dict[str, Any]:
    """Empty a host, with the plan that was shown or with one that is made now."""
    name = _known(call)["host"]
    plan = call.body.get("plan")
    if plan is None:
        plan = call.engine.told("plan_moves", HTTPStatus.CONFLICT, drains=name)["plan"]
    return {"moves": call.engine.told("apply_plan", HTTPStatus.CONFLICT, plan=plan)["moves"]}


def undrain_host(call: Call) -> dict[str, Any]:
    """Let a host take tasks again."""
    answer = call.engine.told("undrain_host", HTTPStatus.CONFLICT, host=call.path["name"])
    return {"moves": answer["moves"]}


def _known(call: Call) -> dict[str, Any]:
    name = call.path["name"]
    rows = call.engine.ask("hosts", names=[name])
    if not rows:
        raise not_found(
            "host.not_found",
            f"No report of host {name!r} is known: list the hosts, or check hybrid-sched-agent there.",
        )
    return dict(rows[0])


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    counts = Counter(task["framework"] for task in row["tasks"])
    return {**row, "task_counts": {name: counts[name] for name in FRAMEWORKS}}
