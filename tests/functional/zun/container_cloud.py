# SPDX-License-Identifier: Apache-2.0
"""The plug-ins in Zun's real scheduler, and hosts whose agents are emulated."""

from __future__ import annotations

import pytest
import zun.conf
from cloud import CAPACITY, CloudTest
from oslo_utils import uuidutils
from quota_service import QuotaService, left_out
from zun import objects
from zun.common import exception
from zun.scheduler.client.query import SchedulerClient
from zun.tests.unit.db import utils as db_utils

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.resources import Resources


class ContainerCloudTest(CloudTest):
    """A test with the plug-ins in Zun's scheduler, and with hosts of which each has a guest or none."""

    def setUp(self) -> None:
        super().setUp()
        self.quota = QuotaService(zun.conf.CONF)
        self.addCleanup(self.quota.close)
        ours = ["HybridShareFilter", "CrossFillOrderFilter"]
        enabled = [name for name in ours if name not in left_out()]
        self.enable("ComputeFilter", *enabled)
        self.guests: dict[str, int] = {}
        self.containers: dict[str, list[Task]] = {}

    def enable(self, *names: str) -> None:
        available = ["zun.scheduler.filters.all_filters", "hybrid_sched.filters.zun.all_filters"]
        self.set("available_filters", available, "scheduler")
        self.set("enabled_filters", list(names), "scheduler")

    def start_hosts(self, **guests_mb: int) -> None:
        """Start hosts, each with a guest of so many MiB on it (0: none) of which Zun knows nothing."""
        for name, memory_mb in guests_mb.items():
            self.start_host(name)
            self.guests[name] = memory_mb
            self.containers[name] = []
        self.report()

    def report(self) -> None:
        """Tell the quota service what runs on each host, as the agents would."""
        for host, memory_mb in self.guests.items():
            tasks = [*self.containers[host], *self.held(host, memory_mb)]
            self.quota.report(host, CAPACITY, tasks)
        self.quota.publish()

    def held(self, host: str, memory_mb: int) -> list[Task]:
        """Give what else runs on a host."""
        if not memory_mb:
            return []
        demand = Resources(vcpu=1, memory_mb=memory_mb)
        return [Task(f"guest-on-{host}", HYPERVISOR, demand)]

    def container(
        self, memory_mb: int, cpu: float = 1.0, labels: dict[str, str] | None = None
    ) -> objects.Container:
        row = db_utils.create_test_container(
            context=self.context,
            uuid=uuidutils.generate_uuid(),
            name=uuidutils.generate_uuid(),
            cpu=cpu,
            memory=str(memory_mb),
            disk=0,
            labels=labels,
        )
        return objects.Container.get_by_uuid(self.context, row.uuid)

    def schedule(self, container: objects.Container, hints: dict[str, object] | None = None) -> str:
        """Let Zun choose a host.

        :param hints: as its API hands them on; None for a request without any.
        """
        chosen = SchedulerClient().select_destinations(self.context, [container], {"hints": hints})
        return str(chosen[0]["host"])

    def assert_refused(self, container: objects.Container) -> None:
        with pytest.raises(exception.NoValidHost):
            self.schedule(container)

    def place(self, *memory_mb: int) -> list[str]:
        """Place containers one after another; gives where each went."""
        return [self.run_container(self.container(each)) for each in memory_mb]

    def run_container(
        self, container: objects.Container, hints: dict[str, object] | None = None
    ) -> str:
        """Let Zun choose a host, and let the container be seen there."""
        host = self.schedule(container, hints)
        demand = Resources(vcpu=1, memory_mb=int(container.memory))
        self.containers[host].append(Task(container.uuid, CONTAINER, demand))
        self.report()
        return host
