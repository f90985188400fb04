# SPDX-License-Identifier: Apache-2.0
"""Declared tasks of a project."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4, uuid5

from hybrid_sched.api.call import Call
from hybrid_sched.api.errors import ApiError, bad_request, not_found, sentence
from hybrid_sched.api.paging import limit_of, unknown_marker
from hybrid_sched.api.policies import ALL_PROJECTS, RAISE_PRIORITY
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.queue.document import DocumentError, Submission, queued_tasks, read_tasks
from hybrid_sched.queue.endpoint import MOST_UUIDS
from hybrid_sched.rpc.tasks import LARGEST_MESSAGE, complete, queued_task_to_wire
from hybrid_sched.rpc.wire import is_uuid

# Those that the quota service leaves out of a list, and what only its launchers use.
_NOT_LISTED = ("spec", "after")


def list_tasks(call: Call) -> dict[str, Any]:
    """List tasks: of the caller's project, or of others for those who may see them."""
    query = call.query
    limit = limit_of(query)
    filters: dict[str, Any] = {
        name: query[name] for name in ("name", "framework", "host") if name in query
    }
    if "state" in query:
        filters["states"] = query["state"]
    if "uuid" in query:
        filters["uuids"] = query["uuid"]
    if (project := _project(call)) is not None:
        filters["project_id"] = project
    if "marker" in query:
        filters["marker"] = _position(call, query["marker"], project)
    rows = call.engine.told(
        "tasks",
        limit=limit,
        sort_key=query["sort_key"],
        descending=query["sort_dir"] == "desc",
        **filters,
    )["tasks"]
    return call.collection(
        "tasks", list(map(_row, rows)), rows[-1]["uuid"] if len(rows) == limit else ""
    )


def create_tasks(call: Call) -> dict[str, Any]:
    """Take on tasks, all or none."""
    caller = call.caller
    if not caller.project_id:
        raise bad_request(
            "task.no_project",
            "The token is of no project: use one of the project that is to own the tasks.",
        )
    wanted = call.body.get("submission")
    # Of the project, so that nobody can name another's tasks by the identity of a submission.
    submission = uuid5(UUID(wanted) if wanted else uuid4(), caller.project_id)
    try:
        entries = read_tasks({"tasks": call.body["tasks"]})
        _check_priority(call, entries)
        tasks = queued_tasks(entries, submission, time.time())
    except DocumentError as error:
        raise bad_request("task.invalid", *map(sentence, error.faults)) from None
    owned = [replace(task, project_id=caller.project_id, user_id=caller.user_id) for task in tasks]
    call.engine.told("submit_tasks", tasks=_message(owned))
    return {"tasks": _found(call, [task.uuid for task in owned])}


def show_task(call: Call) -> dict[str, Any]:
    """Show everything of one task."""
    return {"task": _visible(call)}


def cancel_task(call: Call) -> dict[str, Any]:
    """Let a task end."""
    shown = _visible(call)
    answer = call.engine.told("cancel_task", uuid=shown["uuid"])
    if answer["task"] is None:
        raise _absent(call)
    return {"task": {**complete(answer["task"]), "estimate": shown["estimate"]}}


def _visible(call: Call) -> dict[str, Any]:
    """Give the task of the path; another project's looks as if it were not there."""
    answer = call.engine.told("task", uuid=call.path["uuid"])
    if answer["task"] is None:
        raise _absent(call)
    task = complete(answer["task"])
    if not call.caller.may(call.route.policy, task["project_id"]):
        raise _absent(call)
    return {**task, "estimate": answer.get("estimate", "")}


def _project(call: Call) -> str | None:
    """Say of which project tasks are listed; None for all."""
    query, caller = call.query, call.caller
    asked = query.get("project_id")
    everywhere = query["all_projects"] or not caller.project_id
    if asked == caller.project_id:
        return caller.project_id or None
    if asked is None and not everywhere:
        return caller.project_id
    caller.require(ALL_PROJECTS)
    return asked


def _position(call: Call, marker: str, project: str | None) -> int:
    rows: Sequence[dict[str, Any]] = ()
    if is_uuid(marker):
        rows = call.engine.told("tasks", limit=1, uuids=[marker])["tasks"]
    if not rows or project not in {None, complete(rows[0])["project_id"]}:
        raise unknown_marker()
    return int(rows[0]["position"])


def _check_priority(call: Call, entries: Iterable[Submission]) -> None:
    if any(entry.priority > 0 for entry in entries) and not call.caller.may(RAISE_PRIORITY):
        raise ApiError(
            HTTPStatus.FORBIDDEN,
            "policy.forbidden",
            f"The policy {RAISE_PRIORITY} does not let you give a priority above 0, which puts tasks before those of other "
            "projects: leave it out, or ask a manager of the project.",
        )


def _message(tasks: Sequence[QueuedTask]) -> list[dict[str, Any]]:
    message = [queued_task_to_wire(task) for task in tasks]
    size = len(json.dumps(message))
    if size > LARGEST_MESSAGE:
        raise bad_request(
            "task.too_large",
            f"tasks: with their counts they make a message of {size} bytes, at most {LARGEST_MESSAGE} are taken: send fewer.",
        )
    return message


def _found(call: Call, uuids: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for start in range(0, len(uuids), MOST_UUIDS):
        part = list(uuids[start : start + MOST_UUIDS])
        rows += call.engine.told("tasks", uuids=part)["tasks"]
    return [_row(row) for row in sorted(rows, key=lambda row: int(row["position"]))]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    whole = complete(row)
    return {name: value for name, value in whole.items() if name not in _NOT_LISTED}


def _absent(call: Call) -> ApiError:
    return not_found(
        "task.not_found", f"There is no task {call.path['uuid']}: list the tasks of the project."
    )
