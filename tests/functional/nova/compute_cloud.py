# SPDX-License-Identifier: Apache-2.0
"""Nova's real API, scheduler, conductor and Placement in one process; the compute hosts have Nova's fake driver."""

from __future__ import annotations

import nova.tests.functional  # noqa: F401 - first, as Nova's own tests do
from nova import conf as nova_conf
from nova import context, objects
from nova.scheduler.client import query
from nova.tests.functional import integrated_helpers
from quota_service import QuotaService, left_out

from hybrid_sched.conf import client as options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.decision import Stage
from hybrid_sched.core.resources import Resources

_FILTER = "hybrid_sched.filters.nova.HybridShareFilter"
_WEIGHER = "hybrid_sched.weighers.nova.CrossFillWeigher"
_STOCK_FILTERS = "nova.scheduler.filters.all_filters"
_STOCK_WEIGHERS = "nova.scheduler.weights.all_weighers"
#: What Nova's MediumFakeDriver has, with 16 vCPUs for each CPU and no reserve.
_CAPACITY = Resources(vcpu=160, memory_mb=8192)


class ComputeCloudTest(integrated_helpers.ProviderUsageBaseTestCase):
    """A test with the plug-ins in Nova's scheduler, and with hosts of which each has a container or none."""

    compute_driver = "fake.MediumFakeDriver"

    def setUp(self) -> None:
        options.register(nova_conf.CONF)
        self.flags(reserved_host_memory_mb=0, initial_ram_allocation_ratio=1.0)
        self.flags(initial_cpu_allocation_ratio=16.0, initial_disk_allocation_ratio=16.0)
        enabled = ["ComputeFilter"]
        if "HybridShareFilter" not in left_out():
            enabled.append("HybridShareFilter")
        self.flags(
            available_filters=[_STOCK_FILTERS, _FILTER],
            enabled_filters=enabled,
            weight_classes=self.weight_classes(),
            group="filter_scheduler",
        )
        # Nova's own limits on a project are far below what fits on 20 hosts.
        self.flags(instances=-1, cores=-1, ram=-1, group="quota")
        self.flags(first_snapshot_timeout_s=0.0, group="hybrid_sched")
        super().setUp()
        self.quota = QuotaService(nova_conf.CONF)
        self.addCleanup(self.quota.close)
        self.containers: dict[str, int] = {}

    @staticmethod
    def weight_classes() -> list[str]:
        """Name the weighers, for ``[filter_scheduler] weight_classes``."""
        return [_STOCK_WEIGHERS if "CrossFillWeigher" in left_out() else _WEIGHER]

    def _clear_attrs(self) -> None:
        """Keep the attributes: Nova drops pytest's among them, which then cannot tell of a failure."""

    def start_hosts(self, **containers_mb: int) -> None:
        """Start compute hosts, each with a container of so many MiB on it (0: none)."""
        for name, memory_mb in containers_mb.items():
            self._start_compute(name)
            self.containers[name] = memory_mb
        self.report()

    def report(self) -> None:
        """Tell the quota service what runs on each host, as the agents would."""
        servers = self.admin_api.get_servers()
        for host, memory_mb in self.containers.items():
            tasks = [
                Task(
                    server["id"],
                    HYPERVISOR,
                    Resources(vcpu=server["flavor"]["vcpus"], memory_mb=server["flavor"]["ram"]),
                )
                for server in servers
                if server["OS-EXT-SRV-ATTR:host"] == host
            ]
            self.quota.report(host, _CAPACITY, [*tasks, *self.held(host, memory_mb)])
        self.quota.publish()

    def held(self, host: str, memory_mb: int) -> list[Task]:
        """Give what else runs on a host."""
        if not memory_mb:
            return []
        demand = Resources(vcpu=1, memory_mb=memory_mb)
        return [Task(f"container-on-{host}", CONTAINER, demand)]

    def create(
        self,
        memory_mb: int,
        expected: str = "ACTIVE",
        hints: dict[str, str] | None = None,
        **request: object,
    ) -> dict:
        flavor = self._create_flavor(memory_mb=memory_mb, vcpu=1, disk=0, ephemeral=0)
        server = self._build_server(flavor_id=flavor, networks="none", **request)
        created = self.api.post_server({"server": server, "os:scheduler_hints": hints or {}})
        created = self._wait_for_state_change(created, expected)
        if self.containers:
            self.report()
        return created

    def place(self, *memory_mb: int) -> list[str]:
        """Create guests one after another; gives where each went."""
        return [self.create(each)["OS-EXT-SRV-ATTR:host"] for each in memory_mb]

    def wait_for_statuses(self, wanted: list[str]) -> None:
        """Wait until the servers have these statuses, in the order of the alphabet."""

        def as_wanted() -> None:
            assert sorted(each["status"] for each in self.api.get_servers()) == wanted

        self._wait_for_assert(as_wanted)

    def refusals(self, server: dict) -> dict[str, str]:
        return dict(self.quota.decision(server["id"], Stage.SHARE_GATE).refused)

    def wait_for_refusals(self, server: dict, wanted: dict[str, str]) -> None:
        """Wait until these are the last ones, for a server that was placed before."""

        def as_wanted() -> None:
            assert self.refusals(server) == wanted

        self._wait_for_assert(as_wanted, max_retries=60)

    def take_share_away(self) -> None:
        """Leave so little to guests that they are over their share, and see that a new one is refused."""
        self.quota.set(weights={"hypervisor": "1", "container": "9"}, lending={"container": "0"})
        self.report()
        self.create(512, "ERROR")

    def select(self, spec: objects.RequestSpec) -> str:
        """Ask the scheduler as the conductor does; gives the host."""
        chosen = query.SchedulerQueryClient().select_destinations(
            context.get_admin_context(), spec, [spec.instance_uuid], return_objects=True
        )
        return str(chosen[0][0].service_host)
