# SPDX-License-Identifier: Apache-2.0
"""Declared tasks: those of a file of tasks, as they wait, run and end."""

from __future__ import annotations

from hybrid_sched.api.schemas.common import (
    FRAMEWORK,
    LONGEST_NAME,
    NAME,
    RESOURCES,
    SECONDS,
    UNIX_TIME,
    UUID,
    Schema,
    array,
    by_name,
    collection,
    flag,
    integer,
    nullable,
    record,
    ref,
    single,
    text,
)
from hybrid_sched.core.queued import TaskState
from hybrid_sched.queue.document import HIGHEST_PRIORITY, MOST_AFTER, MOST_TASKS

STATES = [state.value for state in TaskState]

_LENGTH = {
    "description": "A length of time: seconds, or a string such as `90s`, `2m`, `1h30m` or `1d`.",
    "oneOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": 3650 * 86400},
        {"type": "string", "minLength": 1, "maxLength": 40},
    ],
}
_WORDS = {"type": "array", "items": {"type": "string"}}

_ROW: dict[str, Schema] = {
    "uuid": UUID,
    "name": NAME,
    "framework": FRAMEWORK,
    "project_id": text("Of its owner; empty where the operator declared it."),
    "user_id": text("Who declared it; empty where the operator did."),
    "demand": RESOURCES,
    "kind": text("Tasks of one kind last about as long as each other."),
    "priority": integer("The larger, the earlier."),
    "position": integer("Order of arrival.", minimum=0),
    "submitted_at_s": UNIX_TIME,
    "deadline_s": nullable(UNIX_TIME),
    "duration_s": nullable(SECONDS),
    "stop_after_s": nullable(SECONDS),
    "state": text("How far it is.", enum=STATES),
    "attempts": integer("How often a launch was tried.", minimum=0),
    "not_before_s": UNIX_TIME,
    "host": text("For which it is planned, or on which it runs; empty when there is none."),
    "server": text("UUID that Nova or Zun gave; empty before."),
    "started_at_s": UNIX_TIME,
    "ended_at_s": UNIX_TIME,
    "cancelling": flag("Whether its owner wants it to end."),
    "text": text("Why it is where it is, in a sentence."),
}

COMPONENTS: dict[str, Schema] = {
    "TaskRow": {
        "description": "A declared task as it is listed. Times are 0 before they have come.",
        **record(_ROW),
    },
    "Task": {
        "description": "A declared task with everything.",
        **record(
            {
                **_ROW,
                "spec": by_name({}, "The section `server` or `container` that declared it."),
                "after": array(UUID),
                "estimate": text(
                    "How long it is expected to run, and from what that is known; empty for one that has ended."
                ),
            }
        ),
    },
    "Tasks": collection("tasks", ref("TaskRow")),
    "CreatedTasks": record({"tasks": array(ref("TaskRow"))}),
    "OneTask": single("task", ref("Task")),
    "NewTask": {
        "description": "An entry of a file of tasks, with one of `server` and `container`.",
        **record(
            {
                "name": NAME,
                "count": integer("Tasks of this kind.", minimum=1, maximum=MOST_TASKS),
                "priority": integer(minimum=-HIGHEST_PRIORITY, maximum=HIGHEST_PRIORITY),
                "deadline": {
                    "description": "By when it must have started: a date and time of ISO 8601, or a length of time.",
                    "oneOf": _LENGTH["oneOf"],
                },
                "after": {
                    **array({"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}),
                    "maxItems": MOST_AFTER,
                },
                "duration": _LENGTH,
                "stop_after": _LENGTH,
                "kind": NAME,
                "server": record(
                    {
                        "flavor": NAME,
                        "image": NAME,
                        "networks": {
                            "oneOf": [{"type": "string", "enum": ["auto", "none"]}, _WORDS]
                        },
                        "availability_zone": NAME,
                        "key_name": NAME,
                        "user_data": text(),
                        "metadata": by_name(text()),
                        "security_groups": _WORDS,
                        "keep": flag("Leave the server there when it has stopped by itself."),
                    },
                    optional=(
                        *("networks", "availability_zone", "key_name", "user_data"),
                        *("metadata", "security_groups", "keep"),
                    ),
                    closed=True,
                ),
                "container": record(
                    {
                        "image": text(minLength=2, maxLength=LONGEST_NAME),
                        "command": _WORDS,
                        "cpu": {"type": "number", "exclusiveMinimum": 0, "maximum": 4096},
                        "memory_mb": integer(minimum=1),
                        "labels": by_name(text()),
                        "environment": by_name(text()),
                        "networks": _WORDS,
                        "disk_gb": integer(minimum=1),
                        "availability_zone": NAME,
                        "image_driver": text(enum=["docker", "glance"]),
                        "image_pull_policy": text(enum=["always", "ifnotpresent", "never"]),
                        "keep": flag("Leave the container there when it has stopped by itself."),
                    },
                    optional=(
                        *("command", "cpu", "memory_mb", "labels", "environment", "networks"),
                        *("disk_gb", "availability_zone", "image_driver", "image_pull_policy"),
                        "keep",
                    ),
                    closed=True,
                ),
            },
            optional=(
                *("count", "priority", "deadline", "after", "duration", "stop_after", "kind"),
                *("server", "container"),
            ),
            closed=True,
        ),
    },
    "NewTasks": record(
        {
            "tasks": {**array(ref("NewTask")), "minItems": 1, "maxItems": MOST_TASKS},
            "submission": {
                **UUID,
                "description": "Identity of this submission: to send the same tasks again with the same one doubles nothing. "
                "Without it each request makes new tasks.",
            },
        },
        optional=("submission",),
        closed=True,
    ),
}
