# SPDX-License-Identifier: Apache-2.0
"""What Zun's compute tracker does to Nova's provider, with Zun's driver and with ours, in the real Placement."""

from __future__ import annotations

from unittest import mock

import os_resource_classes as orc
from cloud import MEMORY_RESERVED_MB, CloudTest
from docker_emulator import DockerEmulator
from zun import objects
from zun.common import consts
from zun.compute.compute_node_tracker import ComputeNodeTracker
from zun.container.docker.driver import DockerDriver
from zun.scheduler.client import report

from hybrid_sched.zun_driver.docker import HybridDockerDriver

_NOVAS_TRAIT = "COMPUTE_NODE"


class CopiedLock:
    """A lock that can be copied, as those of eventlet can, under which zun-compute runs."""

    def __enter__(self) -> None:
        """Nobody else is here."""

    def __exit__(self, *_: object) -> None:
        """Nobody waits."""


class ProviderTest(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        locks = mock.patch(
            "zun.compute.provider_tree.lockutils.internal_lock", return_value=CopiedLock()
        )
        locks.start()
        self.addCleanup(locks.stop)
        docker = DockerEmulator()
        self.addCleanup(docker.close)
        self.set("api_url", docker.url, "docker")
        self.provider = self.start_host("one")
        self.client = report.SchedulerReportClient()
        self.client._ensure_traits(self.context, consts.CUSTOM_TRAITS)
        generation = self.placement.get(f"/resource_providers/{self.provider}").json()["generation"]
        self.placement.put(
            f"/resource_providers/{self.provider}/traits",
            json={"resource_provider_generation": generation, "traits": [_NOVAS_TRAIT]},
        )
        self.inventory_of_nova = self.inventory(self.provider)

    def update(self, driver: DockerDriver) -> None:
        """Do what zun-compute does each minute."""
        tracker = ComputeNodeTracker("one", driver, mock.Mock(), self.client)
        node = objects.ComputeNode.get_by_name(self.context, "one")
        with mock.patch.object(DockerDriver, "get_total_disk_for_container", return_value=(50, 0)):
            tracker._update_to_placement(self.context, node)

    def test_our_driver_leaves_inventory_and_traits_to_nova(self) -> None:
        self.update(HybridDockerDriver())
        assert self.inventory(self.provider) == self.inventory_of_nova
        assert self.traits(self.provider) == {_NOVAS_TRAIT}

    def test_our_driver_knows_novas_ratios_for_its_claims(self) -> None:
        driver = HybridDockerDriver()
        self.update(driver)
        assert (driver.cpu_allocation_ratio, driver.ram_allocation_ratio) == (10.0, 1.0)

    def test_the_stock_driver_would_replace_the_inventory(self) -> None:
        self.update(DockerDriver())
        replaced = self.inventory(self.provider)
        assert orc.PCPU not in replaced
        assert replaced[orc.VCPU]["reserved"] == 0
        assert replaced[orc.MEMORY_MB]["reserved"] != MEMORY_RESERVED_MB

    def test_on_a_host_of_its_own_our_driver_does_what_the_stock_driver_does(self) -> None:
        self.set("host_shared_with_nova", False, "compute")
        self.update(DockerDriver())
        stock = self.inventory(self.provider)
        self.update(HybridDockerDriver())
        assert self.inventory(self.provider) == stock
