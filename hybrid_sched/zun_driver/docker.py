# SPDX-License-Identifier: Apache-2.0
"""Zun's Docker driver for hosts that Nova uses too."""

from __future__ import annotations

import copy

import os_resource_classes as orc
import zun.conf
from zun.compute.provider_tree import ProviderTree
from zun.container.docker import driver


class HybridDockerDriver(driver.DockerDriver):
    """Zun's Docker driver, except that it leaves the resource provider of a shared host to Nova.

    With ``[compute] host_shared_with_nova`` the stock driver replaces Nova's inventory with its own at each update: PCPU
    vanishes, and reserves and ratios change. Here Nova's inventory stays as it is, and Zun adds nothing but its allocations.
    On a host of its own it does what the stock driver does.
    """

    def update_provider_tree(self, provider_tree: ProviderTree, nodename: str) -> None:
        """Read the ratios that Zun's claims need; write nothing that Nova owns."""
        if not zun.conf.CONF.compute.host_shared_with_nova:
            super().update_provider_tree(provider_tree, nodename)
            return
        ratios = self._get_allocation_ratios(provider_tree.data(nodename).inventory)
        self.cpu_allocation_ratio = ratios[orc.VCPU]
        self.ram_allocation_ratio = ratios[orc.MEMORY_MB]
        self.provider_tree = copy.deepcopy(provider_tree)
