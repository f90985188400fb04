# SPDX-License-Identifier: Apache-2.0
"""Containers, through the Docker API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
import requests
from docker.errors import DockerException, NotFound
from oslo_config import cfg

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.interfaces.isolator import IsolationError, Isolator

_ZUN_PREFIX = "zun-"
_TIMEOUT_S = 10
#: What the kernel gives a container for which nothing was asked.
_DEFAULT_CPU_SHARES = 1024


class DockerIsolator(Isolator):
    """CPU shares of Zun's containers.

    Docker keeps the shares of a container that is stopped and starts it with them, so those are listed, and can be set, too.
    """

    framework = CONTAINER

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._client: docker.APIClient | None = None

    def cpu_weights(self) -> Mapping[str, int]:
        """Ask each container of Zun."""
        weights = {}
        try:
            client = self._open()
            for listed in client.containers(all=True, filters={"name": f"^/?{_ZUN_PREFIX}"}):
                try:
                    inspected = client.inspect_container(listed["Id"])
                except NotFound:
                    # Gone between the list and the question.
                    continue
                uuid = inspected["Name"].lstrip("/").removeprefix(_ZUN_PREFIX)
                weights[uuid] = inspected["HostConfig"].get("CpuShares") or _DEFAULT_CPU_SHARES
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None
        return weights

    def set_cpu_weight(self, uuid: str, weight: int) -> None:
        """Update the container."""
        try:
            self._open().update_container(f"{_ZUN_PREFIX}{uuid}", cpu_shares=weight)
        except NotFound:
            return
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None

    def _open(self) -> Any:
        if self._client is None:
            self._client = docker.APIClient(
                base_url=self._conf.agent.docker_url, timeout=_TIMEOUT_S
            )
        return self._client

    def _failed(self, error: Exception) -> IsolationError:
        self._client = None
        return IsolationError(
            f"Docker at {self._conf.agent.docker_url} does not give or take CPU shares: {error}. See that it runs."
        )
