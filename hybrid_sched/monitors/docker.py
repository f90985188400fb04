# SPDX-License-Identifier: Apache-2.0
"""Containers, through the Docker API."""

from __future__ import annotations

from typing import Any

import docker
import requests
from docker.errors import DockerException, NotFound
from oslo_config import cfg

from hybrid_sched.core.cluster import CONTAINER, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError

_ZUN_PREFIX = "zun-"
_TIMEOUT_S = 10
_CPU_SHARES_A_CORE = 1024


class DockerSource(MonitorSource):
    """Every container of Zun, with what it declared.

    A container that is created or stopped is listed too: it keeps its claim on the host.
    """

    framework = CONTAINER

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._client: docker.APIClient | None = None

    def collect(self) -> Observation:
        """List the containers."""
        url = self._conf.agent.docker_url
        try:
            if self._client is None:
                self._client = docker.APIClient(base_url=url, timeout=_TIMEOUT_S)
            listed = self._client.containers(all=True, filters={"name": f"^/?{_ZUN_PREFIX}"})
            tasks = [task for each in listed if (task := self._task(each["Id"])) is not None]
            return Observation(tasks=tuple(tasks))
        except (DockerException, requests.RequestException) as error:
            self._client = None
            raise SourceError(f"Docker at {url} does not answer: {error}.") from None

    def _task(self, container_id: str) -> Task | None:
        assert self._client is not None  # noqa: S101 - collect has just made it
        try:
            return task_of(self._client.inspect_container(container_id))
        except NotFound:
            # Gone between the list and the question.
            return None


def task_of(inspected: dict[str, Any]) -> Task:
    """Read what Docker tells of one container of Zun.

    Zun claims whole cores and tells Docker 1024 shares a core, so the claim is the shares rounded up to cores.

    :param inspected: the answer of Docker's inspect call.
    """
    limits = inspected["HostConfig"]
    shares = limits.get("CpuShares") or 0
    name = inspected["Name"].lstrip("/")
    return Task(
        uuid=name.removeprefix(_ZUN_PREFIX),
        framework=CONTAINER,
        demand=Resources(
            vcpu=max(1, -(-shares // _CPU_SHARES_A_CORE)),
            memory_mb=max(1, (limits.get("Memory") or 0) // 2**20),
        ),
        name=inspected["Config"].get("Hostname") or name,
        state=inspected["State"]["Status"],
    )
