# SPDX-License-Identifier: Apache-2.0
"""What Zun's compute tracker does to Nova's provider, with Zun's driver and with ours, in the real Placement."""

from __future__ import annotations

from importlib import metadata
from unittest import mock

import os_resource_classes as orc
import pytest
from cloud import MEMORY_RESERVED_MB
from docker_emulator import DockerEmulator
from driver_cloud import DriverTest
from zun import objects
from zun.common import consts
from zun.compute.compute_node_tracker import ComputeNodeTracker
from zun.compute.manager import Manager
from zun.container.docker.driver import DockerDriver
from zun.scheduler.client import report

from hybrid_sched.zun_driver import docker
from hybrid_sched.zun_driver.docker import HybridDockerDriver
from hybrid_sched.zun_driver.placement import AllocationsClient, ProviderIsNovas

_NOVAS_TRAIT = "COMPUTE_NODE"


class ProviderTest(DriverTest):
    def setUp(self) -> None:
        super().setUp()
        emulator = DockerEmulator("one")
        self.addCleanup(emulator.close)
        self.set("api_url", emulator.url, "docker")
        self.provider = self.start_host("one")
        report.SchedulerReportClient()._ensure_traits(self.context, consts.CUSTOM_TRAITS)
        self.set_traits(_NOVAS_TRAIT)
        self.inventory_of_nova = self.inventory(self.provider)

    def set_traits(self, *traits: str) -> None:
        generation = self.placement.get(f"/resource_providers/{self.provider}").json()["generation"]
        self.placement.put(
            f"/resource_providers/{self.provider}/traits",
            json={"resource_provider_generation": generation, "traits": traits},
        )

    def tracker(self, driver: DockerDriver) -> ComputeNodeTracker:
        """Make what zun-compute makes once it has its drivers."""
        return ComputeNodeTracker("one", driver, driver, report.SchedulerReportClient())

    def update(self, tracker: ComputeNodeTracker) -> None:
        """Do what zun-compute does each minute."""
        node = objects.ComputeNode.get_by_name(self.context, "one")
        with mock.patch.object(DockerDriver, "get_total_disk_for_container", return_value=(50, 0)):
            tracker._update_to_placement(self.context, node)

    def disable(self) -> None:
        """Do what ``openstack appcontainer service disable`` does."""
        service = objects.ZunService.get_by_host_and_binary(self.context, "one", "zun-compute")
        service.disabled = True
        service.save(self.context)

    def remove_provider(self) -> None:
        """Do what ``openstack compute service delete`` does."""
        self.placement.delete(f"/resource_providers/{self.provider}")

    def providers(self) -> list[str]:
        answer = self.placement.get("/resource_providers").json()
        return [each["uuid"] for each in answer["resource_providers"]]

    def test_our_driver_leaves_inventory_and_traits_to_nova(self) -> None:
        tracker = self.tracker(HybridDockerDriver())
        self.update(tracker)
        self.disable()
        self.update(tracker)
        assert self.inventory(self.provider) == self.inventory_of_nova
        assert self.traits(self.provider) == {_NOVAS_TRAIT}

    def test_our_driver_knows_novas_ratios_for_its_claims(self) -> None:
        driver = HybridDockerDriver()
        self.update(self.tracker(driver))
        assert (driver.cpu_allocation_ratio, driver.ram_allocation_ratio) == (10.0, 1.0)

    def test_the_stock_driver_would_replace_the_inventory(self) -> None:
        self.update(self.tracker(DockerDriver()))
        replaced = self.inventory(self.provider)
        assert orc.PCPU not in replaced
        assert replaced[orc.VCPU]["reserved"] == 0
        assert replaced[orc.MEMORY_MB]["reserved"] != MEMORY_RESERVED_MB

    def test_the_stock_driver_would_add_a_trait(self) -> None:
        self.disable()
        self.update(self.tracker(DockerDriver()))
        assert self.traits(self.provider) == {_NOVAS_TRAIT, consts.ZUN_COMPUTE_STATUS_DISABLED}

    def test_a_provider_that_nova_has_removed_is_not_made_again(self) -> None:
        tracker = self.tracker(HybridDockerDriver())
        self.update(tracker)
        self.remove_provider()
        tracker.reportclient.clear_provider_cache()
        with pytest.raises(ProviderIsNovas, match="start nova-compute, which makes it"):
            self.update(tracker)
        assert self.providers() == []

    def test_the_stock_driver_would_make_it_again(self) -> None:
        tracker = self.tracker(DockerDriver())
        self.update(tracker)
        self.remove_provider()
        tracker.reportclient.clear_provider_cache()
        self.update(tracker)
        assert self.providers() == [self.provider]

    def test_what_else_would_change_a_provider_is_refused(self) -> None:
        self.update(self.tracker(HybridDockerDriver()))
        client = AllocationsClient()
        for change in (
            lambda: client.set_inventory_for_provider(self.context, self.provider, {}),
            lambda: client.set_aggregates_for_provider(self.context, self.provider, {"a"}),
            lambda: client._delete_provider(self.provider),
            lambda: client._reshape(self.context, {}, {}),
        ):
            client.get_provider_tree_and_ensure_root(self.context, self.provider)
            with pytest.raises(ProviderIsNovas):
                change()
        assert self.inventory(self.provider) == self.inventory_of_nova

    def test_the_trait_that_the_stock_driver_left_is_named(self) -> None:
        self.set_traits(_NOVAS_TRAIT, consts.ZUN_COMPUTE_STATUS_DISABLED)
        # Alembic switches off the loggers that were there before it.
        with mock.patch.object(docker.LOG, "warning") as warned:
            self.update(self.tracker(HybridDockerDriver()))
        assert "passes the host over" in warned.call_args.args[0]

    def test_on_a_host_of_its_own_our_driver_does_what_the_stock_driver_does(self) -> None:
        self.set("host_shared_with_nova", False, "compute")
        self.update(self.tracker(DockerDriver()))
        stock = self.inventory(self.provider)
        self.update(self.tracker(HybridDockerDriver()))
        assert self.inventory(self.provider) == stock

    def test_zun_compute_makes_the_client_that_writes_allocations_alone(self) -> None:
        self.set("container_driver", "hybrid_docker", None)
        self.set("capsule_driver", "hybrid_docker", None)
        manager = Manager()
        assert type(manager.driver) is HybridDockerDriver
        assert type(manager.capsule_driver) is HybridDockerDriver
        assert type(manager._get_resource_tracker().reportclient) is AllocationsClient

    def test_both_kinds_of_driver_have_it(self) -> None:
        for group in ("zun.container.driver", "zun.capsule.driver"):
            (found,) = metadata.entry_points(group=group, name="hybrid_docker")
            assert found.load() is HybridDockerDriver
