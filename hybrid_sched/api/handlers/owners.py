# SPDX-License-Identifier: Apache-2.0
"""Whose a server or container is, as far as that can be told: that of a declared task is its project's."""

from __future__ import annotations

from typing import Any

from hybrid_sched.api.call import Call
from hybrid_sched.api.errors import ApiError
from hybrid_sched.rpc.wire import is_uuid


def server_of(call: Call, absent: ApiError) -> str:
    """Give the UUID of the server or container that a path names, if the caller may see what is known of it.

    :param absent: raised when the caller may not: what is another's looks as if it were not there.
    :returns: that of the path, or the server of the declared task that it names.
    """
    uuid = call.path["uuid"].lower()
    found = _task(call, uuid)
    if found is None:
        # Nobody can tell whose it is: whoever may see all of them may see it.
        if not call.caller.may(call.route.policy, project_id=""):
            raise absent
        return call.path["uuid"]
    if not call.caller.may(call.route.policy, found["project_id"]):
        raise absent
    return str(found.get("server") or uuid)


def _task(call: Call, uuid: str) -> dict[str, Any] | None:
    if not is_uuid(uuid):
        return None
    for named in ({"servers": [uuid]}, {"uuids": [uuid]}):
        rows = call.engine.told("tasks", limit=1, **named)["tasks"]
        if rows:
            return {"project_id": "", **rows[0]}
    return None
