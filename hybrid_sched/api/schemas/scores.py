# SPDX-License-Identifier: Apache-2.0
"""Scores of hardware."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import EXACT, Schema, collection, record, ref, single, text
from hybrid_sched.api.schemas.frameworks import EXACT_TEXT
from hybrid_sched.core.hardware import ANY, LONGEST_NOTE, LONGEST_PATTERN

CPU_MODEL = text(
    "Glob pattern of the processor's name, in which case does not matter.",
    minLength=1,
    maxLength=LONGEST_PATTERN,
)
MEMORY_KIND = text(
    "Glob pattern of the kind of memory; `*` is any, unknown included.",
    minLength=1,
    maxLength=LONGEST_PATTERN,
    default=ANY,
)
_NOTE = text("For people.", maxLength=LONGEST_NOTE, default="")

COMPONENTS: dict[str, Schema] = {
    "Score": record(
        {
            "cpu_model": CPU_MODEL,
            "memory_kind": MEMORY_KIND,
            "score": EXACT,
            "note": _NOTE,
        }
    ),
    "Scores": collection("scores", ref("Score")),
    "OneScore": single("score", ref("Score")),
    "NewScore": record(
        {
            "cpu_model": CPU_MODEL,
            "memory_kind": MEMORY_KIND,
            "score": {
                "description": "What such a host is worth: above 0 and at most 1, as 0.85 or the string `3/4`.",
                "oneOf": [
                    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                    {"type": "string", "pattern": EXACT_TEXT},
                ],
            },
            "note": _NOTE,
        },
        optional=("memory_kind", "note"),
        closed=True,
    ),
}
