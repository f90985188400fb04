# SPDX-License-Identifier: Apache-2.0
"""Decisions: why a request went where it went, and what would become of one."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import (
    EXACT,
    FRAMEWORK,
    LONGEST_NAME,
    POOL,
    RESOURCES,
    UNIX_TIME,
    Schema,
    array,
    by_name,
    collection,
    flag,
    integer,
    nullable,
    number,
    record,
    ref,
    single,
    text,
)
from hybrid_sched.core.decision import Stage
from hybrid_sched.core.resources import Resources

_MOST_TASKS = 10_000
_AMOUNT = {
    "oneOf": [
        {"type": "number", "minimum": 0, "maximum": 2**53},
        {"type": "string", "pattern": r"^\d{1,18}/\d{1,18}$"},
    ]
}

COMPONENTS: dict[str, Schema] = {
    "Step": {
        "description": "One step of a decision on a request.",
        **record(
            {
                "request_uuid": text("UUID of the server or container."),
                "framework": FRAMEWORK,
                "demand": RESOURCES,
                "stage": text("Which step it is.", enum=[stage.value for stage in Stage]),
                "decided_at_s": UNIX_TIME,
                "snapshot_version": nullable(integer("Of the snapshot that was used.")),
                "snapshot_age_s": nullable(number("Age of the snapshot in seconds.")),
                "hosts": array(text("A host that passed, the best first.")),
                "refused": by_name(text("Why not."), "Hosts that were refused."),
                "refused_by_share": flag("Whether the share alone was the reason."),
                "pool": POOL,
                "text": text("The rule, in a sentence."),
                "weights": array(EXACT),
                "more_hosts": integer("Further hosts that passed.", minimum=0),
                "more_refused": integer("Further hosts that were refused.", minimum=0),
            }
        ),
    },
    "Decisions": collection("decisions", ref("Step")),
    "OneDecision": single(
        "decision", record({"request_uuid": text(), "steps": array(ref("Step"))})
    ),
    "Why": single(
        "why",
        record(
            {
                "uuid": text("Of the server or container."),
                "kind": text("`guest` or `container`."),
                "framework": FRAMEWORK,
                "demand": RESOURCES,
                "attempt": integer("Which attempt this is, from 1.", minimum=1),
                "attempts": integer("How many are kept.", minimum=1),
                "when": UNIX_TIME,
                "picture": record(
                    {
                        "version": nullable(integer("Of the snapshot.")),
                        "age_s": nullable(number("Its age in seconds.")),
                    }
                ),
                "candidates": integer("Hosts that were asked about.", minimum=0),
                "share_gate": text("What the share gate said."),
                "refused": by_name(text("Why not."), "Hosts that the share gate refused."),
                "refused_by_other_filters": array(text("A host.")),
                "order": text("The rule by which the hosts were ordered."),
                "weights": array(record({"host": text(), "weight": EXACT})),
                "chosen": text("The first of the order; empty without one."),
                "claimed_on": text("Where it was seen; empty when it was not."),
                "claimed_at": nullable(UNIX_TIME),
                "outcome": text("How it went, in a sentence."),
            }
        ),
    ),
    "Hypothesis": {
        "description": "A request that nobody has made: a flavor of Nova, or a framework and a demand.",
        **record(
            {
                "framework": FRAMEWORK,
                "demand": {
                    "type": "object",
                    "properties": dict.fromkeys(Resources._fields, _AMOUNT),
                    "additionalProperties": False,
                },
                "count": integer("Tasks at once.", minimum=1, maximum=_MOST_TASKS, default=1),
                "pool": nullable(POOL),
                "flavor": text(
                    "Name or ID of a flavor of Nova, in place of framework and demand.",
                    minLength=1,
                    maxLength=LONGEST_NAME,
                ),
            },
            optional=("framework", "demand", "count", "pool", "flavor"),
            closed=True,
        ),
    },
    "WhyNot": single(
        "why_not",
        record(
            {
                "framework": FRAMEWORK,
                "demand": RESOURCES,
                "count": integer(minimum=1),
                "snapshot_version": integer("Of the snapshot that was used."),
                "snapshot_age_s": number("Its age in seconds."),
                "fits": flag("Whether it would get in."),
                "host": text("Where it would go; empty where it would not."),
                "text": text("The answer in a sentence."),
                "hosts": array(
                    record(
                        {
                            "host": text(),
                            "rule": nullable(text("Which rule stops it; null where it passes.")),
                            "text": text(),
                        }
                    )
                ),
                "more_hosts": integer("Further hosts, which are not listed.", minimum=0),
                "changes": array(
                    {
                        "description": "A change that would let it in; its kind says which further fields it has.",
                        **record({"kind": text(), "text": text(), "host": text()}),
                    }
                ),
            }
        ),
    ),
}
