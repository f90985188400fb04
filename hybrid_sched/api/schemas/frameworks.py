# SPDX-License-Identifier: Apache-2.0
"""Frameworks: what guests and containers hold of each pool, and may hold."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import (
    EXACT,
    FRAMEWORK,
    NAME,
    POOL,
    RESOURCES,
    UNIX_TIME,
    Schema,
    array,
    collection,
    flag,
    integer,
    nullable,
    record,
    ref,
    single,
    text,
)

_HIGHEST_WEIGHT = 10**9
#: A number as people write it; large ones are refused by the engine.
EXACT_TEXT = r"^\d{1,18}([.]\d{1,18}|/\d{1,18})?$"

WEIGHT = {
    "description": "A number above 0: 2, 0.5, or a string such as `3/4`.",
    "oneOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": _HIGHEST_WEIGHT},
        {"type": "string", "pattern": EXACT_TEXT},
    ],
}

_RUNG = text("How far the engine goes to get back what is owed.")

COMPONENTS: dict[str, Schema] = {
    "FrameworkInPool": {
        "description": "What one framework holds and may hold of one pool. Every share is a part of the pool in the dominant "
        "resource of the framework.",
        **record(
            {
                "pool": POOL,
                "framework": FRAMEWORK,
                "weight": EXACT,
                "used": EXACT,
                "key": EXACT,
                "wanted": EXACT,
                "fair": EXACT,
                "entitled": EXACT,
                "floor": EXACT,
                "borrowed": EXACT,
                "owed": EXACT,
                "head_from": EXACT,
                "rung": _RUNG,
                "squeeze": EXACT,
                "reservations": integer("Reservations that are held now."),
            }
        ),
    },
    "SharesThen": {
        "description": "What one framework held and might hold of one pool at some time; the figures are those of "
        "FrameworkInPool.",
        **record(
            {
                "taken_at_s": UNIX_TIME,
                "pool": POOL,
                "framework": FRAMEWORK,
                **dict.fromkeys(
                    ("weight", "used", "wanted", "fair", "entitled", "borrowed", "owed"), EXACT
                ),
                "rung": _RUNG,
                "squeeze": EXACT,
            }
        ),
    },
    "ShareHistory": collection("history", ref("SharesThen")),
    "Framework": record({"name": FRAMEWORK, "pools": array(ref("FrameworkInPool"))}),
    "Frameworks": collection("frameworks", ref("FrameworkInPool")),
    "OneFramework": single("framework", ref("Framework")),
    "NewWeight": record(
        {
            "weight": WEIGHT,
            "pool": nullable(POOL),
        },
        optional=("pool",),
        closed=True,
    ),
    "Weight": single("weight", record({"framework": FRAMEWORK, "pool": POOL, "weight": EXACT})),
    "RunningTask": record(
        {
            "uuid": NAME,
            "framework": FRAMEWORK,
            "demand": RESOURCES,
            "promised": RESOURCES,
            "name": text(),
            "state": text(),
            "created_at_s": UNIX_TIME,
            "movable": flag("Whether it may be moved."),
        },
        optional=("promised", "name", "state", "created_at_s", "movable"),
    ),
    "Candidates": collection(
        "candidates",
        record({"pool": POOL, "framework": FRAMEWORK, "tasks": array(ref("RunningTask"))}),
    ),
}
