# SPDX-License-Identifier: Apache-2.0
"""Hosts: what they have, what is held of it, and how fresh that is."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import (
    EXACT,
    FIGURES,
    NAME,
    POOL,
    RESOURCES,
    UNIX_TIME,
    UUID,
    Schema,
    array,
    by_name,
    collection,
    flag,
    integer,
    number,
    record,
    ref,
    single,
    text,
)

_COUNTS = by_name(integer(minimum=0))

_FIELDS: dict[str, Schema] = {
    "host": NAME,
    "pool": POOL,
    "score": EXACT,
    "score_from": text("The row of the scores that counts; empty where none matches."),
    "cpu_model": text("Of the processor; empty when unknown."),
    "memory_kind": text("Such as DDR4; empty when unknown."),
    "fresh": flag("Whether its last report is young enough to be relied on."),
    "age_s": number("Age of its last report in seconds."),
    "clock_offset_s": number("By how many seconds its clock is ahead of the engine's."),
    "version": text("Of its agent."),
    "capacity": RESOURCES,
    "used": by_name(RESOURCES, "Declared amounts that are held, by framework."),
    "other": RESOURCES,
    "measured": FIGURES,
    "squeezed": by_name(
        EXACT, "Factor, below 1, by which the CPU weights of a framework's tasks are reduced now."
    ),
    "faults": array(text("A sentence for each source or isolator that failed.")),
    "isolation": ref("Isolation"),
}

COMPONENTS: dict[str, Schema] = {
    "Isolation": {
        "description": "How the limits of a host's tasks are held; counts are by kind of limit.",
        **record(
            {
                "mode": text("`off`, `observe` or `enforce`; empty where it is not told."),
                "applied": _COUNTS,
                "repaired": _COUNTS,
                "pending": _COUNTS,
                "missing": array(text("A declared kind of limit that nothing can hold there.")),
                "events": array(
                    record({"uuid": text(), "kind": text("`oom_kill`."), "at_s": UNIX_TIME})
                ),
            }
        ),
    },
    "HostRow": {
        "description": "A host as it is listed: without its tasks, which are counted.",
        **record(
            {**_FIELDS, "task_counts": by_name(integer(minimum=0), "Its tasks by framework.")}
        ),
    },
    "Host": {
        "description": "A host with its tasks.",
        **record(
            {
                **_FIELDS,
                "task_counts": by_name(integer(minimum=0), "Its tasks by framework."),
                "tasks": array({"allOf": [ref("RunningTask"), record({"measured": FIGURES})]}),
            }
        ),
    },
    "Hosts": collection("hosts", ref("HostRow")),
    "OneHost": single("host", ref("Host")),
    "Drain": {
        "description": "How a host is emptied: with the plan of an earlier `POST /v1/plans` for it, or, without one, with one "
        "that is made and applied at once.",
        **record({"plan": UUID}, optional=("plan",), closed=True),
    },
}
