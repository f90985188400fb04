# SPDX-License-Identifier: Apache-2.0
"""Receipts: what was promised to each task, and what it got."""

from __future__ import annotations

from typing import Any

from hybrid_sched.api.call import Call
from hybrid_sched.api.errors import ApiError, conflict, not_found
from hybrid_sched.api.handlers.owners import server_of
from hybrid_sched.api.paging import limit_of
from hybrid_sched.quota.receipt_endpoint import MOST_LISTED


def list_receipts(call: Call) -> dict[str, Any]:
    """List receipts in order of UUID."""
    query = call.query
    limit = min(limit_of(query), MOST_LISTED)
    answer = _kept(
        call.engine.told(
            "receipts",
            limit=limit,
            marker=query.get("marker", ""),
            host=query.get("host"),
            framework=query.get("framework"),
            broken=query["broken"],
        )
    )
    rows = answer["receipts"]
    page = call.collection("receipts", rows, rows[-1]["uuid"] if len(rows) == limit else "")
    return {**page, **_counting(answer)}


def show_receipt(call: Call) -> dict[str, Any]:
    """Show one receipt."""
    answer = _kept(call.engine.told("receipt", uuid=server_of(call, _absent(call))))
    if answer["receipt"] is None:
        raise _absent(call)
    return {"receipt": {**answer["receipt"], **_counting(answer)}}


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer["window_s"]:
        raise conflict(
            "receipts.off",
            "The quota service keeps no receipts: an operator must set [quota] receipt_window_s above 0 and restart it.",
        )
    return answer


def _counting(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in ("since_s", "window_s")}


def _absent(call: Call) -> ApiError:
    return not_found(
        "receipt.not_found",
        f"There is no receipt of {call.path['uuid']!r}: give the UUID of a server or container that an agent reports.",
    )
