# SPDX-License-Identifier: Apache-2.0
"""Queued tasks on the wire; what has its default is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.rpc import wire
from hybrid_sched.rpc.wire import BadMessage, Wire

#: Bytes of a specification as JSON.
LARGEST_SPEC = 1 << 17
#: Bytes of the tasks of one submission as JSON; brokers refuse larger messages.
LARGEST_MESSAGE = 8 << 20
_LONGEST_NAME = 255
# Keystone's ids.
_LONGEST_ID = 64
_LONGEST_TEXT = 2_000
_MOST_AFTER = 1_000
_HIGHEST_PRIORITY = 1_000_000
_MOST_ATTEMPTS = 2**31 - 1
_LONGEST_S = 2.0**40
_DEFAULTS: dict[str, Any] = {
    each.name: each.default for each in fields(QueuedTask) if each.default is not MISSING
}
_TIMES = ("submitted_at_s", "not_before_s", "started_at_s", "ended_at_s")


def queued_task_to_wire(task: QueuedTask) -> Wire:
    """Write a task."""
    changed = {
        name: getattr(task, name)
        for name, default in _DEFAULTS.items()
        if getattr(task, name) != default
    }
    if "after" in changed:
        changed["after"] = list(task.after)
    if "state" in changed:
        changed["state"] = task.state.value
    if "text" in changed:
        # It may repeat what another service has said.
        line = "".join(letter if letter.isprintable() else " " for letter in task.text)
        changed["text"] = line[:_LONGEST_TEXT]
    return {
        "uuid": task.uuid,
        "name": task.name,
        "framework": task.framework,
        "demand": wire.resources_to_wire(task.demand),
        **({"spec": dict(task.spec)} if task.spec else {}),
        **changed,
    }


def complete(row: Wire) -> Wire:
    """Put the defaults, which are left out on the wire, into what is shown of a task."""
    defaults = {name: value for name, value in _DEFAULTS.items() if name != "trust_id"}
    return {**defaults, "spec": {}, **row}


def queued_task_from_wire(message: object) -> QueuedTask:
    """Read and check a task.

    :raises BadMessage: when any field is missing or wrong; its name is in the text.
    """
    given = wire.mapping(message, "task")
    values = {**_DEFAULTS, **given}
    framework = wire.text(values.get("framework"), "framework", _LONGEST_NAME)
    if framework not in FRAMEWORKS:
        raise BadMessage(f"framework: {framework!r} is unknown: send {' or '.join(FRAMEWORKS)}")
    state = wire.text(values["state"], "state", 32)
    if state not in list(TaskState):
        raise BadMessage(f"state: {state!r} is unknown: send one of {', '.join(TaskState)}")
    after = wire.sequence(values["after"], "after", _MOST_AFTER)
    return QueuedTask(
        uuid=wire.uuid(values.get("uuid"), "uuid"),
        name=wire.text(values.get("name"), "name", _LONGEST_NAME),
        framework=framework,
        demand=wire.resources_from_wire(values.get("demand", {}), "demand"),
        spec=_spec(values.get("spec", {})),
        kind=_text(values, "kind", _LONGEST_NAME),
        priority=wire.integer(
            values["priority"], "priority", -_HIGHEST_PRIORITY, _HIGHEST_PRIORITY
        ),
        position=wire.integer(values["position"], "position", 0, wire.LARGEST - 1),
        after=tuple(wire.uuid(one, "after") for one in after),
        state=TaskState(state),
        attempts=wire.integer(values["attempts"], "attempts", 0, _MOST_ATTEMPTS),
        host=_text(values, "host", _LONGEST_NAME),
        server=_text(values, "server", _LONGEST_NAME),
        cancelling=wire.flag(values["cancelling"], "cancelling"),
        text=_text(values, "text", _LONGEST_TEXT),
        project_id=_text(values, "project_id", _LONGEST_ID),
        user_id=_text(values, "user_id", _LONGEST_ID),
        trust_id=_text(values, "trust_id", _LONGEST_ID),
        deadline_s=_optional_seconds(values, "deadline_s"),
        duration_s=_optional_seconds(values, "duration_s"),
        stop_after_s=_optional_seconds(values, "stop_after_s"),
        **{name: _seconds(values[name], name) for name in _TIMES},
    )


def _optional_seconds(values: Mapping[str, Any], field: str) -> float | None:
    return None if values[field] is None else _seconds(values[field], field)


def _seconds(value: object, field: str) -> float:
    seconds = wire.measure(value, field)
    if seconds > _LONGEST_S:
        raise BadMessage(f"{field}: {seconds:g} is out of range: send at most {_LONGEST_S:g}")
    return seconds


def _text(values: Mapping[str, Any], field: str, longest: int) -> str:
    return wire.text(values[field], field, longest, may_be_empty=True)


def _spec(value: object) -> Mapping[str, Any]:
    spec = wire.mapping(value, "spec")
    try:
        size = len(json.dumps(spec, allow_nan=False))
    except (ValueError, TypeError) as error:
        raise BadMessage(f"spec: it is not JSON ({error})") from None
    if size > LARGEST_SPEC:
        raise BadMessage(f"spec: {size} bytes, at most {LARGEST_SPEC} are taken")
    return spec
