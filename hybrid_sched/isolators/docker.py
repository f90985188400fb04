# SPDX-License-Identifier: Apache-2.0
"""Containers, through the Docker API."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from oslo_config import cfg

from hybrid_sched.complaints import Complaints
from hybrid_sched.control_groups import NotReachable, controllers, groups_of
from hybrid_sched.core import cpu_list, cpu_time
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.limits import SHARES_A_CORE, Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator
from hybrid_sched.isolators.container_limits import UNLIMITED_BYTES, held, stored

_ZUN_PREFIX = "zun-"
_TIMEOUT_S = 10
_MIB = 2**20
_NANO = 10**9
#: Docker takes no reservation of memory below.
_LEAST_RESERVATION_BYTES = 6 * _MIB
#: Docker's word for a container that is about to be gone.
_ENDING = {"removing", "dead"}
_ONLINE_CPUS = Path("/sys/devices/system/cpu/online")
#: What Docker has to say it can do, and the controller that this is of.
_NEEDS = {
    Aspect.CPU_QUOTA: (("CpuCfsPeriod", "CpuCfsQuota"), "cpu"),
    Aspect.CPU_WEIGHT: (("CPUShares",), "cpu"),
    Aspect.CPUS: (("CPUSet",), "cpuset"),
    Aspect.MEMORY: (("MemoryLimit",), "memory"),
    Aspect.MEMORY_LOW: (("MemoryLimit",), "memory"),
}


class DockerIsolator(Isolator):
    """CPU time, CPUs and memory of Zun's containers, by updates of them.

    What holds a running container is read from its control groups, or from what Docker has stored where they cannot be
    reached. Docker starts a container that is stopped with what it has stored, so those are listed, and can be set, too. A
    container keeps its rates of disks all its life as far as Docker is concerned: it cannot update them.

    Where no weight was set, none is told; the CPUs are always told, since there is always a set of them.
    """

    frameworks = frozenset({CONTAINER})

    def __init__(self, conf: cfg.ConfigOpts, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__(conf)
        self._timeout_s = timeout_s
        self._client: docker.APIClient | None = None
        self._complaints = Complaints()

    def ability(self) -> Ability:
        """Ask Docker what the kernel lets it do."""
        try:
            told = self._open().info()
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None
        url = self._conf.agent.docker_url
        missing = {
            aspect: f"Docker at {url} cannot hold {aspect} of containers: it says that this kernel has no {controller} "
            "controller of control groups. Boot with it, or leave that to another isolator."
            for aspect, (words, controller) in _NEEDS.items()
            if not all(told.get(word) for word in words)
        }
        return Ability(frozenset(_NEEDS) - missing.keys(), missing)

    def read(self) -> Mapping[str, Limits]:
        """Look at each container of Zun; one that Docker cannot tell of is left out, which is logged."""
        able = self.ability().aspects
        unable = {str(aspect): None for aspect in _NEEDS if aspect not in able}
        limits = {}
        complaints: set[str] = set()
        try:
            client = self._open()
            for listed in client.containers(all=True, filters={"name": f"^/?{_ZUN_PREFIX}"}):
                try:
                    inspected = client.inspect_container(listed["Id"])
                except NotFound:
                    # Gone between the list and the question.
                    continue
                except (APIError, requests.ReadTimeout) as error:
                    # One that Docker is stuck on must not keep the others from being held.
                    complaints.add(
                        f"The limits of container {listed['Id']} are left alone: Docker cannot tell of it ({error}). See "
                        "'docker inspect' there."
                    )
                    continue
                if inspected["State"]["Status"] not in _ENDING:
                    uuid = inspected["Name"].lstrip("/").removeprefix(_ZUN_PREFIX)
                    limits[uuid] = replace(_limits_of(inspected), **unable)
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None
        self._complaints.tell(complaints)
        return limits

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        """Update the container: all at once, or each by itself when Docker refuses something of it."""
        name = f"{_ZUN_PREFIX}{uuid}"
        try:
            client = self._open()
            inspected = client.inspect_container(name)
            changes = _changes(limits, aspects, inspected["HostConfig"])
            try:
                self._update(
                    inspected["Id"], {k: v for each in changes.values() for k, v in each.items()}
                )
                return
            except NotFound:
                raise
            except APIError as error:
                refusals = [error.explanation or str(error)]
            if len(changes) > 1:
                refusals = self._update_each(inspected["Id"], changes)
        except NotFound:
            return
        except (DockerException, requests.RequestException) as error:
            raise self._failed(error) from None
        if refusals:
            raise IsolationError(
                f"Docker at {self._conf.agent.docker_url} refuses limits of container {name}: {'; '.join(refusals)}. They "
                "follow from what it declared and from [agent]."
            )

    def _update_each(
        self, container_id: str, changes: Mapping[Aspect, dict[str, Any]]
    ) -> list[str]:
        refusals = []
        for aspect, change in changes.items():
            try:
                self._update(container_id, change)
            except NotFound:
                raise
            except APIError as error:
                refusals.append(f"{aspect}: {error.explanation or error}")
        return refusals

    def _update(self, container_id: str, change: Mapping[str, Any]) -> None:
        """Update a container. The client's own method does not know of ``NanoCpus``."""
        client = self._open()
        answer = client.post(
            f"{client.base_url}/v{client.api_version}/containers/{container_id}/update",
            json=change,
            timeout=self._timeout_s,
        )
        try:
            answer.raise_for_status()
        except requests.HTTPError as error:
            raise docker.errors.create_api_error_from_http_exception(error) from None

    def _open(self) -> Any:
        if self._client is None:
            self._client = docker.APIClient(
                base_url=self._conf.agent.docker_url, timeout=self._timeout_s
            )
        return self._client

    def _failed(self, error: Exception) -> IsolationError:
        self._client = None
        return IsolationError(
            f"Docker at {self._conf.agent.docker_url} does not give or take limits: {error}. See that it runs."
        )


def _limits_of(inspected: Mapping[str, Any]) -> Limits:
    record = inspected["HostConfig"]
    pid = inspected["State"].get("Pid")
    if not pid:
        return stored(record)
    try:
        return held(groups_of(pid, inspected["Id"]), record)
    except NotReachable:
        return stored(record)


def _changes(
    limits: Limits, aspects: Collection[Aspect], record: Mapping[str, Any]
) -> dict[Aspect, dict[str, Any]]:
    """Give the fields of Docker's update for each aspect. A field of 0 changes nothing there, so that none stands for no limit.

    :param record: what Docker has stored of the container.
    """
    changes: dict[Aspect, dict[str, Any]] = {}
    if Aspect.CPU_QUOTA in aspects:
        changes[Aspect.CPU_QUOTA] = _quota(limits, record)
    if Aspect.CPU_WEIGHT in aspects:
        changes[Aspect.CPU_WEIGHT] = {"CpuShares": limits.cpu_weight or SHARES_A_CORE}
    if Aspect.CPUS in aspects:
        cpus = cpu_list.to_text(limits.cpus) if limits.cpus else _online_cpus()
        changes[Aspect.CPUS] = {"CpusetCpus": cpus}
    if Aspect.MEMORY in aspects:
        amount_bytes = (limits.memory_mb or 0) * _MIB or UNLIMITED_BYTES
        # No swap beyond its memory.
        changes[Aspect.MEMORY] = {"Memory": amount_bytes, "MemorySwap": amount_bytes}
    if Aspect.MEMORY_LOW in aspects:
        changes[Aspect.MEMORY_LOW] = {
            "MemoryReservation": (limits.memory_low_mb or 0) * _MIB or _no_reservation()
        }
    return changes


def _quota(limits: Limits, record: Mapping[str, Any]) -> dict[str, Any]:
    if record.get("NanoCpus"):
        # Docker refuses a quota for a container that was made with a number of CPUs, and a number above those of the host.
        most = len(cpu_list.of_text(_online_cpus()))
        cores = min(most, limits.cpu_quota or most)
        return {"NanoCpus": round(cores * _NANO)}
    if not limits.cpu_quota:
        return {"CpuQuota": -1}
    quota_us, period_us = cpu_time.bandwidth(limits.cpu_quota)
    return {"CpuQuota": quota_us, "CpuPeriod": period_us}


def _online_cpus() -> str:
    return _ONLINE_CPUS.read_text().strip()


def _no_reservation() -> int:
    # With version 2 of control groups -1 would become "max": all of its memory kept for it.
    return _LEAST_RESERVATION_BYTES if controllers().get("memory") == 2 else -1
