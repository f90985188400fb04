# SPDX-License-Identifier: Apache-2.0
"""What it takes to bring a container back: which ones may be relocated, and what to ask for on another host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from hybrid_sched.core.declaration import RELOCATE
from hybrid_sched.core.steering import MOUNTS_LABEL, MOVE_LABEL, TASK_KEY

_ALLOW = "allow"
_SAME = (
    *(
        "name",
        "image",
        "command",
        "cpu",
        "environment",
        "workdir",
        "image_pull_policy",
        "image_driver",
    ),
    *("restart_policy", "interactive", "tty", "security_groups", "runtime", "disk", "auto_heal"),
    *("privileged", "memory", "cpu_policy", "entrypoint"),
)
#: What Docker calls a container that was given no name for itself: the begin of its identifier.
_GIVEN_HOSTNAME = re.compile(r"[0-9a-f]{12}\Z")
#: In the place of a volume that is deleted with its container, or is none of Cinder's.
_NOT_KEPT = "-"
_MOUNT = re.compile(r"(?P<volume>[^\s:,]+):(?P<path>/[^\s,]*)\Z")


class NotMovable(ValueError):
    """A container cannot be relocated; the message is a sentence that names the remedy."""


def check_movable(fields: Mapping[str, Any]) -> None:
    """See whether a container may be relocated and would come back whole.

    :param fields: of the container, as Zun tells of it.
    :raises NotMovable: otherwise.
    """
    labels = fields.get("labels") or {}
    uuid = fields.get("uuid")
    if labels.get(RELOCATE) != _ALLOW:
        raise NotMovable(
            f"Container {uuid} may not be relocated: its owner allows it with the label {RELOCATE}={_ALLOW}."
        )
    if fields.get("auto_remove"):
        raise NotMovable(
            f"Container {uuid} cannot be relocated: it has auto_remove, so that it would be gone when it is stopped."
        )
    if TASK_KEY in labels:
        raise NotMovable(
            f"Container {uuid} cannot be relocated: it belongs to the queue, which follows it by its uuid."
        )
    _mounts(labels)


def request_for(fields: Mapping[str, Any], move: str, target: str) -> dict[str, Any]:
    """Give the body of the request that makes the container again on another host, without its networks.

    :param fields: of the container, as Zun tells of it with microversion 1.40.
    :param move: uuid of the move, for its label.
    :param target: host.
    :raises NotMovable: when its label of volumes cannot be read.
    """
    labels = fields.get("labels") or {}
    # What is empty is Zun's default; to say so would need roles that its owner did not need.
    body = {name: fields[name] for name in _SAME if fields.get(name)}
    if body.get("memory") == "None":
        del body["memory"]
    hostname = fields.get("hostname")
    if hostname and not _GIVEN_HOSTNAME.match(hostname):
        body["hostname"] = hostname
    if fields.get("registry_id"):
        body["registry"] = fields["registry_id"]
    if healthcheck := fields.get("healthcheck"):
        given = {key: value for key, value in healthcheck.items() if key != "test"}
        body["healthcheck"] = {**given, "cmd": healthcheck.get("test", "")}
    if mounts := _mounts(labels):
        body["mounts"] = mounts
    return {**body, "labels": {**labels, MOVE_LABEL: move}, "host": target}


def mounts_label(volumes: Iterable[tuple[str | None, str]]) -> str:
    """Write the label of a container's volumes.

    :param volumes: uuid of each, None for one that goes with its container or is none of Cinder's; and where it is mounted.
    """
    return ",".join(f"{volume or _NOT_KEPT}:{path}" for volume, path in volumes)


def _mounts(labels: Mapping[str, str]) -> list[dict[str, str]]:
    mounts = []
    for each in filter(None, (part.strip() for part in labels.get(MOUNTS_LABEL, "").split(","))):
        read = _MOUNT.match(each)
        if read is None:
            raise NotMovable(
                f"The label {MOUNTS_LABEL} has {each[:60]!r}: write each volume as VOLUME:/PATH, separated by commas."
            )
        if read["volume"] == _NOT_KEPT:
            raise NotMovable(
                f"The container cannot be relocated: what is mounted at {read['path']} would be lost. Give it a volume."
            )
        mounts.append({"source": read["volume"], "destination": read["path"]})
    return mounts
