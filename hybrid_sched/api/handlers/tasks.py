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

from oslo_log import log

from hybrid_sched.api.call import Call
from hybrid_sched.api.errors import ApiError, bad_request, not_found, sentence
from hybrid_sched.api.paging import limit_of, unknown_marker
from hybrid_sched.api.policies import ALL_PROJECTS, RAISE_PRIORITY
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.queue.document import DocumentError, Submission, queued_tasks, read_tasks
from hybrid_sched.queue.endpoint import MOST_UUIDS
from hybrid_sched.rpc.tasks import LARGEST_MESSAGE, complete, queued_task_to_wire
from hybrid_sched.rpc.wire import is_uuid

LOG = log.getLogger(__name__)

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
    uuids = [task.uuid for task in tasks]
    found = _found(call, uuids)
    if len(found) < len(uuids):
        _submit(call, tasks)
        found = _found(call, uuids)
    return {"tasks": found}


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


def _submit(call: Call, tasks: Sequence[QueuedTask]) -> None:
    """Send tasks that are to be launched in the name of the caller."""
    caller = call.caller
    owned = [replace(task, project_id=caller.project_id, user_id=caller.user_id) for task in tasks]
    _check_size(owned)
    trust_id = _trust(call)
    try:
        message = [queued_task_to_wire(replace(task, trust_id=trust_id)) for task in owned]
        call.engine.told("submit_tasks", tasks=message)
    except ApiError as error:
        # Without an answer nobody knows whether the tasks are there, and need it.
        if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
            _end(call, trust_id)
        raise


def _trust(call: Call) -> str:
    """Have the caller trust the engine; gives the id of the trust."""
    caller = call.caller
    if not call.trusts.are_possible:
        raise ApiError(
            HTTPStatus.FORBIDDEN,
            "task.no_trustee",
            "Tasks cannot be launched in your project: an operator must set [trustee] auth_type and what goes with it, for the "
            "API and the engine.",
        )
    try:
        return call.trusts.make(
            caller.authentication, caller.user_id, caller.project_id, caller.roles
        )
    except ServiceFault as fault:
        LOG.warning("No trust was made for user %s: %s.", caller.user_id, fault)
        if fault.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "task.not_trusted",
                "Keystone does not let you trust the engine to launch the tasks: use a token that you got with a password, not "
                "one of a trust or a restricted application credential, with a role that may use servers and containers.",
            ) from None
        again_s = call.engine.retry_after_s
        raise ApiError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "keystone.unavailable",
            f"Keystone makes no trust now, by which the tasks would be launched: ask again in {again_s} s.",
            headers={"Retry-After": str(again_s)},
        ) from None


def _end(call: Call, trust_id: str) -> None:
    try:
        call.trusts.end(call.caller.authentication, trust_id)
    except ServiceFault as fault:
        LOG.warning("Trust %s is of no use and was not taken back: %s.", trust_id, fault)


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


def _check_size(tasks: Sequence[QueuedTask]) -> None:
    size = len(json.dumps([queued_task_to_wire(task) for task in tasks]))
    if size > LARGEST_MESSAGE:
        raise bad_request(
            "task.too_large",
            f"tasks: with their counts they make a message of {size} bytes, at most {LARGEST_MESSAGE} are taken: send fewer.",
        )


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
