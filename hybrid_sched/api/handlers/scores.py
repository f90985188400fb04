# SPDX-License-Identifier: Apache-2.0
"""Scores of hardware; they are in the database."""

from __future__ import annotations

from typing import Any

from hybrid_sched.api.call import Call
from hybrid_sched.api.errors import bad_request, not_found
from hybrid_sched.core.hardware import ANY, ScoreRow
from hybrid_sched.core.resources import exact
from hybrid_sched.rpc.wire import number_to_wire


def list_scores(call: Call) -> dict[str, Any]:
    """List the scores."""
    rows = [_shown(row) for row in call.scores.all()]
    return call.page("scores", rows, ("cpu_model", "memory_kind"), ("score",))


def set_score(call: Call) -> dict[str, Any]:
    """Set the score of a kind of hardware."""
    body = call.body
    try:
        row = ScoreRow(
            body["cpu_model"],
            body.get("memory_kind", ANY),
            exact(body["score"]),
            body.get("note", ""),
        )
        if not row.note.isprintable():
            raise ValueError("note: it has characters that cannot be printed: leave them out")
    except ValueError as error:
        raise bad_request("score.invalid", f"{error}.") from None
    call.scores.import_rows([row])
    return {"score": _shown(row)}


def remove_score(call: Call) -> None:
    """Forget the score of a kind of hardware."""
    cpu_model, memory_kind = call.query["cpu_model"], call.query["memory_kind"]
    if not call.scores.remove(cpu_model, memory_kind):
        raise not_found(
            "score.not_found",
            f"There is no score of {cpu_model!r} with memory {memory_kind!r}: give the patterns as they are listed.",
        )


def _shown(row: ScoreRow) -> dict[str, Any]:
    return {
        "cpu_model": row.cpu_model,
        "memory_kind": row.memory_kind,
        "score": number_to_wire(row.score),
        "note": row.note,
    }
