# SPDX-License-Identifier: Apache-2.0
"""Containers, through the Docker API and their control groups."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from oslo_config import cfg

from hybrid_sched.complaints import Complaints
from hybrid_sched.control_groups import NotReachable
from hybrid_sched.core import declaration, measures
from hybrid_sched.core.cluster import CONTAINER, Task
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.lifecycle import State
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SeenTask, SourceError
from hybrid_sched.monitors import cgroup
from hybrid_sched.monitors.devices import physical_disks
from hybrid_sched.monitors.times import unix_time
from hybrid_sched.monitors.waits import ThreadWaits

_ZUN_PREFIX = "zun-"
_TIMEOUT_S = 10
_CPU_SHARES_A_CORE = 1024
_NO_LIMIT_BYTES = 2**62
#: Docker's word for a container in each state of its life cycle; of others its own word is reported.
_STATES = {
    "created": State.CLOSED,
    "running": State.RUNNING,
    "paused": State.PAUSED,
    "exited": State.CLOSED,
}
_NETWORK_COUNTERS = ("net_in_bytes", "net_out_bytes")


class DockerSource(MonitorSource):
    """Every container of Zun, with what it declared and what it uses.

    A container that is created or stopped is listed too: it keeps its claim on the host.
    """

    framework = CONTAINER

    def __init__(self, conf: cfg.ConfigOpts, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__(conf)
        self._timeout_s = timeout_s
        self._client: docker.APIClient | None = None
        self._complaints = Complaints()
        #: Tasks of the last look by Docker's identifier.
        self._known: dict[str, SeenTask] = {}
        self._waits = ThreadWaits()

    def collect(self) -> Observation:
        """Look at the containers."""
        url = self._conf.agent.docker_url
        complaints: set[str] = set()
        try:
            if self._client is None:
                self._client = docker.APIClient(base_url=url, timeout=self._timeout_s)
            listed = self._client.containers(all=True, filters={"name": f"^/?{_ZUN_PREFIX}"})
            seen = {}
            for each in listed:
                task = self._look_at(each["Id"], complaints)
                if task is not None:
                    seen[each["Id"]] = task
        except (DockerException, requests.RequestException) as error:
            self._client = None
            raise SourceError(
                f"Docker at {url} does not answer: {error}. See that it runs and that [agent] docker_url is right."
            ) from None
        self._known = seen
        self._waits.keep(seen)
        self._complaints.tell(complaints)
        return Observation(tasks=tuple(seen.values()))

    def _look_at(self, container_id: str, complaints: set[str]) -> SeenTask | None:
        """Look at one container; None when it has gone, or when it cannot be read and was never seen before."""
        assert self._client is not None  # noqa: S101 - collect has just made it
        try:
            inspected = self._client.inspect_container(container_id)
        except NotFound:
            # Gone between the list and the question.
            return None
        except (APIError, requests.ReadTimeout):
            # One that Docker is stuck on must not hide the others, and keeps its claim: that does not change while it lives.
            known = self._known.get(container_id)
            complaints.add(
                f"Docker cannot tell of container {container_id}: see 'docker inspect' there. "
                + ("Its use is left out." if known else "It is left out.")
            )
            return known and replace(known, gauges={}, counters={})
        gauges, counters = self._usage(inspected, complaints)
        declared = declaration_of(inspected, complaints)
        return SeenTask(
            task=task_of(inspected, declared),
            gauges=gauges,
            counters=counters,
            life=f"{container_id}/{inspected['State'].get('StartedAt', '')}",
            declaration=declared,
            backend_id=container_id,
        )

    def _usage(
        self, inspected: dict[str, Any], complaints: set[str]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Read what a container uses, from its control groups or else through Docker."""
        assert self._client is not None  # noqa: S101 - collect has just made it
        pid = inspected["State"].get("Pid")
        if not pid:
            return {}, {}
        disks = physical_disks().values()
        try:
            gauges, counters = cgroup.usage(pid, inspected["Id"], disks, waits=self._waits)
        except NotReachable as unreachable:
            try:
                statistics = self._client.stats(inspected["Id"], stream=False, one_shot=True)
            except NotFound:
                return {}, {}
            except (DockerException, requests.ReadTimeout) as error:
                complaints.add(
                    f"The use of container {inspected['Name'].lstrip('/')} is left out: {unreachable}, and Docker does not "
                    f"tell it: {error}."
                )
                return {}, {}
            gauges, counters = usage_of(statistics, disks)
        mode = inspected["HostConfig"].get("NetworkMode") or ""
        if mode == "host" or mode.startswith("container:"):
            # The namespace is another's, and so is the traffic in it.
            counters = {
                name: value for name, value in counters.items() if name not in _NETWORK_COUNTERS
            }
        return gauges, counters


def declaration_of(inspected: dict[str, Any], complaints: set[str]) -> Declaration:
    """Read what a container of Zun declared.

    Zun tells Docker 1024 shares a core, and claims them rounded up to whole cores.

    :param inspected: the answer of Docker's inspect call.
    :param complaints: takes a sentence about each label that cannot be used and is left out.
    """
    limits = inspected["HostConfig"]
    reading = declaration.of_container(
        Fraction(limits.get("CpuShares") or 0, _CPU_SHARES_A_CORE),
        _declared_memory_mb(limits),
        inspected["Config"].get("Labels"),
    )
    name = inspected["Name"].lstrip("/")
    for fault in reading.faults:
        complaints.add(f"Container {name}: {fault}. What cannot be read is left out.")
    return reading.declaration


def task_of(inspected: dict[str, Any], declared: Declaration) -> Task:
    """Read what a container of Zun is.

    :param inspected: the answer of Docker's inspect call.
    :param declared: what it declared.
    """
    name = inspected["Name"].lstrip("/")
    status = inspected["State"]["Status"]
    return Task(
        uuid=name.removeprefix(_ZUN_PREFIX),
        framework=CONTAINER,
        demand=declared.resources,
        promised=declared.promised,
        name=inspected["Config"].get("Hostname") or name,
        state=_STATES.get(status, status),
        created_at_s=unix_time(inspected.get("Created")),
        # A container moves by a stop and a start, which its owner has to allow.
        movable=declared.relocate,
    )


def _declared_memory_mb(limits: dict[str, Any]) -> int:
    """Read the limit of memory; Docker can take one away only by one that no host has."""
    amount_bytes = limits.get("Memory") or 0
    return 0 if amount_bytes >= _NO_LIMIT_BYTES else amount_bytes // 2**20


def usage_of(
    statistics: dict[str, Any], disks: Collection[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Read the gauges and the counters in Docker's statistics; those of a container that has ended tell nothing.

    :param statistics: the answer of Docker's stats call.
    :param disks: numbers ``major:minor`` of the disks that count.
    """
    memory = statistics.get("memory_stats") or {}
    if "usage" not in memory:
        return {}, {}
    parts = memory.get("stats") or {}
    # The same figure has another name in version 2 of control groups.
    cache = parts.get("total_inactive_file", parts.get("inactive_file", 0))
    networks = (statistics.get("networks") or {}).values()
    counters = {"cpu_s": statistics["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9}
    throttling = statistics["cpu_stats"].get("throttling_data") or {}
    if "throttled_time" in throttling:
        counters["cpu_throttled_s"] = throttling["throttled_time"] / 1e9
    transfers = (statistics.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    for name, operation in (("disk_read_bytes", "read"), ("disk_write_bytes", "write")):
        amounts = [
            each["value"]
            for each in transfers
            if f"{each['major']}:{each['minor']}" in disks and each["op"].lower() == operation
        ]
        # Nothing listed may be nothing counted.
        if amounts:
            counters[name] = sum(amounts)
    if networks:
        counters["net_in_bytes"] = sum(each["rx_bytes"] for each in networks)
        counters["net_out_bytes"] = sum(each["tx_bytes"] for each in networks)
    return {measures.MEMORY_USED_MB: max(0, memory["usage"] - cache) / 2**20}, counters
