# SPDX-License-Identifier: Apache-2.0
"""What a server and a container are made of, as a file of tasks says it and as a queued task keeps it."""

from __future__ import annotations

import re
from typing import Any

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.steering import TASK_KEY
from hybrid_sched.queue.fields import (
    BadField,
    Field,
    Reader,
    flag,
    integer_of,
    list_of,
    map_of,
    name_of,
    number_of,
    one_of,
    read_fields,
    shown,
    text_of,
)

#: What a file calls the tasks of each framework.
SECTIONS = {HYPERVISOR: "server", CONTAINER: "container"}

_NAME = name_of()
# Nova takes 65,535 characters of base64.
_LONGEST_USER_DATA = 65_535 // 4 * 3
_LONGEST_ARGUMENT = 32_768
_MOST_ENTRIES = 100
_METADATA_KEY = re.compile(r"[a-zA-Z0-9\-_:. ]{1,255}")
_CONTAINER_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")


def _key(value: object, where: str) -> str:
    key: str = _NAME(value, where)
    if key == TASK_KEY:
        raise BadField(f"{where}: {TASK_KEY} is set by the queue: leave it out")
    return key


def _metadata_key(value: object, where: str) -> str:
    key = _key(value, where)
    if not _METADATA_KEY.fullmatch(key):
        raise BadField(
            f"{where}: {shown(key)} is no name of metadata: use letters, digits, space and - _ : ."
        )
    return key


def _user_data(value: object, where: str) -> str:
    text: str = text_of(_LONGEST_USER_DATA)(value, where)
    if len(text.encode()) > _LONGEST_USER_DATA:
        raise BadField(f"{where}: it is too long: give {_LONGEST_USER_DATA} bytes at most")
    return text


def _zone(value: object, where: str) -> str:
    name: str = _NAME(value, where)
    if ":" in name:
        # Nova would let such a server past every filter, the share gate among them.
        raise BadField(f"{where}: a host is named with it: name the zone alone")
    return name


def _networks_of_server(value: object, where: str) -> str | list[str]:
    if isinstance(value, str):
        if value not in {"auto", "none"}:
            raise BadField(
                f"{where}: {shown(value)} is no list of networks: write [{value[:60]}], auto or none"
            )
        return value
    names: list[str] = list_of(_NAME, _MOST_ENTRIES)(value, where)
    if not names:
        raise BadField(f"{where}: it is empty: write none for no network, or leave it out for auto")
    return names


def _command(value: object, where: str) -> list[str]:
    if isinstance(value, str):
        raise BadField(
            f"{where}: it is one string: write each argument by itself, such as [sleep, '60']"
        )
    arguments: list[str] = list_of(text_of(_LONGEST_ARGUMENT), 1000)(value, where)
    return arguments


_FIELDS: dict[str, dict[str, Field]] = {
    HYPERVISOR: {
        "flavor": Field(_NAME, required=True),
        "image": Field(_NAME, required=True),
        "networks": Field(_networks_of_server),
        "availability_zone": Field(_zone),
        "key_name": Field(_NAME),
        "user_data": Field(_user_data),
        "metadata": Field(map_of(_metadata_key, text_of(255), _MOST_ENTRIES)),
        "security_groups": Field(list_of(_NAME, _MOST_ENTRIES)),
        "keep": Field(flag),
    },
    CONTAINER: {
        "image": Field(name_of(least=2), required=True),
        "command": Field(_command),
        "cpu": Field(number_of(0, 4096)),
        "memory_mb": Field(integer_of(1, 2**31 - 1)),
        "labels": Field(map_of(_key, text_of(4096), _MOST_ENTRIES)),
        "environment": Field(map_of(_NAME, text_of(_LONGEST_ARGUMENT), 1000)),
        "networks": Field(list_of(_NAME, _MOST_ENTRIES)),
        "disk_gb": Field(integer_of(1, 2**20)),
        "availability_zone": Field(_zone),
        "image_driver": Field(one_of("docker", "glance")),
        "image_pull_policy": Field(one_of("always", "ifnotpresent", "never")),
        "keep": Field(flag),
    },
}


def spec_reader(framework: str, faults: list[str]) -> Reader:
    """Make a reader of the section of a framework.

    :param faults: gets a sentence for each fault within it.
    """

    def read(value: object, where: str) -> dict[str, Any]:
        return read_fields(value, where, _FIELDS[framework], faults)

    return read


def check_name(framework: str, name: str) -> str:
    """Say what Nova or Zun would not take of the name of a task; empty when it is good."""
    if framework == CONTAINER and not _CONTAINER_NAME.fullmatch(name):
        return f"{shown(name)} is no name of a container: give 2 to 255 letters, digits and _ . -, a letter or digit first"
    if len(name) > 255:
        return f"{shown(name)} has {len(name)} characters: give 255 at most, with the number of a count"
    return ""


def demand_key(task: QueuedTask) -> tuple[object, ...]:
    """Give what the demand of a task follows from: the flavor of a server, or the size of a container."""
    if task.framework == CONTAINER:
        return (CONTAINER, *(task.spec.get(name) for name in ("cpu", "memory_mb", "disk_gb")))
    return (HYPERVISOR, task.spec.get("flavor"))
