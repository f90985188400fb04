# SPDX-License-Identifier: Apache-2.0
"""Zun's Docker driver for hosts that Nova uses too."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import os_resource_classes as orc
import zun.conf
from oslo_concurrency import lockutils
from oslo_log import log
from zun import objects
from zun.common import consts, exception
from zun.compute.provider_tree import ProviderTree
from zun.container.docker import driver

from hybrid_sched.conf import client as options
from hybrid_sched.core import declaration
from hybrid_sched.core.relocation import mounts_label
from hybrid_sched.core.steering import MOUNTS_LABEL
from hybrid_sched.declared import DeclaredContainers
from hybrid_sched.zun_driver import seams
from hybrid_sched.zun_driver.disks import disk_behind
from hybrid_sched.zun_driver.docker_limits import DockerLimits

LOG = log.getLogger(__name__)

seams.use_docker_client()


class HybridDockerDriver(driver.DockerDriver):
    """Zun's Docker driver, which holds containers to what they declared and leaves a shared host's provider to Nova.

    A container gets its limits when it is created, and again when its CPU or memory is updated: CPU quota and weight, memory
    without swap beyond it, and the rates of reading and writing for the disk behind Docker's data and those behind the volumes
    mounted into it. ``docker inspect`` shows them. Containers of a capsule get theirs likewise and share the rates that their
    capsule declares in equal parts. Rates of the network are not Docker's to limit: the agent's traffic isolator holds them on
    the host's ends of the interfaces.

    With ``[compute] host_shared_with_nova`` the stock driver replaces Nova's inventory with its own: PCPU vanishes, and
    reserves and ratios change. Here Zun adds nothing to Placement but its allocations. On a host of its own it does what the
    stock driver does.
    """

    def __init__(self) -> None:
        super().__init__()
        options.register(zun.conf.CONF)
        self._declared = DeclaredContainers(Path(zun.conf.CONF.hybrid_sched.declared_path))
        if zun.conf.CONF.compute.host_shared_with_nova:
            seams.use_allocations_client()

    def create(
        self,
        context: Any,
        container: objects.Container | objects.Capsule,
        image: Mapping[str, Any],
        requested_networks: list[Any],
        requested_volumes: Mapping[str, Any],
    ) -> objects.Container | objects.Capsule:
        """Create a container with its limits, or the sandbox of a capsule, which holds nothing but the network.

        :raises ValidationError: for a declaration that cannot be read, with each field and its remedy. The share filter
            refuses most of them before.
        """
        limits = _limits(container, container.labels)
        arguments = (context, container, image, requested_networks, requested_volumes)
        if isinstance(container, objects.Capsule):
            return super().create(*arguments)
        with seams.limited(limits, self._disks):
            created = super().create(*arguments)
        self._note(container.uuid, limits)
        _name_volumes(context, created, requested_volumes.get(container.uuid, []))
        return created

    def _provision_network(
        self, context: Any, network_driver: Any, requested_networks: list[dict[str, Any]]
    ) -> None:
        for requested in requested_networks:
            with _network_lock(requested):
                super()._provision_network(context, network_driver, [requested])

    def network_attach(
        self, context: Any, container: objects.Container, requested_network: dict[str, Any]
    ) -> None:
        """Attach a container to a network, whose Docker network is made if it is missing."""
        with _network_lock(requested_network):
            super().network_attach(context, container, requested_network)

    def _create_container_in_capsule(
        self,
        context: Any,
        capsule: objects.Capsule,
        container: objects.CapsuleContainer | objects.CapsuleInitContainer,
        requested_networks: list[Any],
        requested_volumes: Mapping[str, Any],
    ) -> None:
        # Containers that prepare a capsule run one after another, and before the others.
        alone = isinstance(container, objects.CapsuleInitContainer)
        limits = _limits(container, capsule.labels, sharers=1 if alone else len(capsule.containers))
        with seams.limited(limits, self._disks):
            super()._create_container_in_capsule(
                context, capsule, container, requested_networks, requested_volumes
            )
        self._note(container.uuid, limits)

    def delete(
        self, context: Any, container: objects.Container | objects.Capsule, force: bool
    ) -> None:
        """Delete a container, and what is noted of it."""
        super().delete(context, container, force)
        self._forget(container.uuid)

    def _delete_container_in_capsule(
        self,
        context: Any,
        capsule: objects.Capsule,
        container: objects.CapsuleContainer | objects.CapsuleInitContainer,
        force: bool,
    ) -> None:
        super()._delete_container_in_capsule(context, capsule, container, force)
        self._forget(container.uuid)

    def update(self, context: Any, container: objects.Container) -> Any:
        """Update CPU and memory of a container with the limits that follow."""
        reading = _reading(container, container.labels)
        if reading.faults:
            # It came before this driver did. Refusing would leave it with the limits that it is to lose.
            LOG.warning("Container %s: %s. That is left out.", container.uuid, reading.text)
        limits = DockerLimits(reading.declaration)
        with seams.limited(limits, self._disks):
            updated = super().update(context, container)
        self._note(container.uuid, limits)
        return updated

    def _note(self, uuid: str, limits: DockerLimits) -> None:
        """Tell the agent, which cannot tell what was declared from the limits that it changes itself."""
        try:
            self._declared.note(uuid, limits.of_each)
        except OSError as error:
            LOG.warning(
                "What container %s declared cannot be noted in [hybrid_sched] declared_path (%s): the agent goes by what "
                "Docker tells. Let zun-compute write there.",
                *(uuid, error),
            )

    def _forget(self, uuid: str) -> None:
        try:
            self._declared.forget(uuid)
        except OSError as error:
            LOG.warning("What container %s declared is still noted: %s.", uuid, error)

    def _disks(self, mounted: list[str]) -> frozenset[str]:
        """Find the disks of a container.

        :param mounted: directories of the host that are mounted into it.
        """
        by_directory = {each: disk_behind(each) for each in (self.docker_root_dir, *mounted)}
        for directory, disk in by_directory.items():
            if disk is None:
                LOG.warning(
                    "No disk is known behind %s: the declared disk rates do not hold there. Docker limits block devices only.",
                    directory,
                )
        return frozenset(disk for disk in by_directory.values() if disk is not None)

    def update_provider_tree(self, provider_tree: ProviderTree, nodename: str) -> None:
        """Read the ratios that Zun's claims need; write nothing that Nova owns."""
        if not zun.conf.CONF.compute.host_shared_with_nova:
            super().update_provider_tree(provider_tree, nodename)
            return
        provider = provider_tree.data(nodename)
        ratios = self._get_allocation_ratios(provider.inventory)
        self.cpu_allocation_ratio = ratios[orc.VCPU]
        self.ram_allocation_ratio = ratios[orc.MEMORY_MB]
        self.provider_tree = copy.deepcopy(provider_tree)
        if consts.ZUN_COMPUTE_STATUS_DISABLED in provider.traits:
            LOG.warning(
                "Zun's stock driver left the trait %s on the resource provider %s, and Zun's scheduler passes the host over: "
                "set the provider's other traits anew, with 'openstack resource provider trait set'.",
                consts.ZUN_COMPUTE_STATUS_DISABLED,
                nodename,
            )


def _network_lock(requested: Mapping[str, Any]) -> contextlib.AbstractContextManager[Any]:
    """Let one container at a time look for a network and make it.

    Two first ones on a network would both make it, and on MariaDB and MySQL Zun fails the later one: it does not recognize the
    row that is there already.
    """
    return lockutils.lock(f"hybrid-sched-network-{requested['network']}")


def _name_volumes(context: Any, container: objects.Container, volumes: Sequence[Any]) -> None:
    """Write the volumes of a container that may be relocated into its label, since Zun's API does not tell them."""
    labels = container.labels or {}
    if not volumes or labels.get(declaration.RELOCATE) != "allow":
        return
    kept = [
        (None if each.auto_remove else each.cinder_volume_id, each.container_path)
        for each in volumes
    ]
    container.labels = {**labels, MOUNTS_LABEL: mounts_label(kept)}
    container.save(context)


def _limits(
    container: objects.base.ZunObject, labels: Mapping[str, str] | None, sharers: int = 1
) -> DockerLimits:
    reading = _reading(container, labels)
    if reading.faults:
        detail = f"Container {container.name} is not created, since its declaration cannot be read: {reading.text}."
        raise exception.ValidationError(detail=detail)
    return DockerLimits(reading.declaration, sharers)


def _reading(
    container: objects.base.ZunObject, labels: Mapping[str, str] | None
) -> declaration.Reading:
    return declaration.of_container(
        container.cpu or 0, container.memory or 0, labels, container.cpu_policy
    )
