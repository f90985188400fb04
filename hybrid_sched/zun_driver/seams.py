# SPDX-License-Identifier: Apache-2.0
"""Where Zun leaves no other way in than to stand in for something of its own; alike in Zun 17 and 18.

Zun's driver makes the arguments of a container inside its long ``create``, and zun-compute makes its client of Placement
itself. All that takes the place of something of Zun's is here, so that a new release is checked against one file.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from zun.container.docker import utils as docker_utils
from zun.scheduler.client import report

from hybrid_sched.zun_driver.docker_limits import DockerLimits
from hybrid_sched.zun_driver.placement import AllocationsClient

#: Finds the disks of a container from the directories of the host that are mounted into it.
FindDisks = Callable[[list[str]], frozenset[str]]

# A variable of its context belongs to one thread, green or not.
_wanted: ContextVar[tuple[DockerLimits, FindDisks] | None] = ContextVar("limits", default=None)
_stock_docker_client = docker_utils.docker_client


@contextlib.contextmanager
def limited(limits: DockerLimits, find_disks: FindDisks) -> Iterator[None]:
    """Have what this thread creates or updates meanwhile get limits.

    :param limits: of the container.
    :param find_disks: called when a container is created whose disk rates are limited.
    """
    token = _wanted.set((limits, find_disks))
    try:
        yield
    finally:
        _wanted.reset(token)


@contextlib.contextmanager
def docker_client() -> Iterator[docker_utils.DockerHTTPClient]:
    """Give Zun's client of Docker, which adds the limits that are wanted."""
    with _stock_docker_client() as client:
        wanted = _wanted.get()
        if wanted is not None:
            _add_limits(client, *wanted)
        yield client


def _add_limits(
    client: docker_utils.DockerHTTPClient, limits: DockerLimits, find_disks: FindDisks
) -> None:
    make_config, update = client.create_host_config, client.update_container

    def create_host_config(**asked: Any) -> dict[str, Any]:
        disks = find_disks(list(asked.get("binds") or ())) if limits.limits_rates else frozenset()
        return make_config(**asked | limits.of_create(disks) | _cpusets(asked))

    def update_container(container: str, **asked: Any) -> dict[str, Any]:
        return update(container, **asked | limits.of_update())

    client.create_host_config = create_host_config
    client.update_container = update_container


def _cpusets(asked: dict[str, Any]) -> dict[str, str]:
    """Write the CPUs and memory nodes of a dedicated container as Docker reads them.

    Zun hands over a set, which JSON has no word for, and the text of a set.
    """
    return {
        name: ",".join(sorted(re.findall("[0-9]+", str(asked[name])), key=int))
        for name in ("cpuset_cpus", "cpuset_mems")
        if asked.get(name)
    }


def use_docker_client() -> None:
    """Put our client of Docker in place of Zun's. Without limits wanted it is Zun's."""
    docker_utils.docker_client = docker_client


def use_allocations_client() -> None:
    """Have zun-compute, which makes its client of Placement after its drivers, make one that writes allocations alone."""
    report.SchedulerReportClient = AllocationsClient
