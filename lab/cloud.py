# SPDX-License-Identifier: Apache-2.0
"""The lab's cloud through its APIs, as its administrator. Works inside the control plane's namespace only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import openstack
from keystoneauth1 import exceptions as keystone_exceptions
from keystoneauth1.adapter import Adapter

from lab.layout import CONTROL_IP, DATA_GATEWAY_IP, DATA_SUBNET, REGION, Lab

T = TypeVar("T")

NETWORK = "lab"
GUEST_IMAGE = "lab-guest"
FLAVORS = {
    "lab.tiny": (1, 128),
    "lab.small": (1, 256),
    "lab.medium": (1, 512),
    "lab.large": (2, 1024),
}


class Cloud:
    """Servers, containers and providers of the lab.

    :param lab: the lab.
    """

    def __init__(self, lab: Lab) -> None:
        auth = {
            "auth_url": f"http://{CONTROL_IP}:5000/v3",
            "username": "admin",
            "password": lab.password,
            "project_name": "admin",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        self.sdk = openstack.connect(
            auth=auth, region_name=REGION, load_envvars=False, load_yaml_config=False
        )
        self.sdk.compute.default_microversion = "2.90"
        self.containers = Adapter(
            self.sdk.session,
            service_type="container",
            region_name=REGION,
            default_microversion="1.40",
        )
        self.placement = Adapter(
            self.sdk.session,
            service_type="placement",
            region_name=REGION,
            default_microversion="1.39",
        )

    def make_network(self) -> str:
        """Make the flat network that guests and containers share; gives its identifier."""
        network = self.sdk.network.find_network(NETWORK) or self.sdk.network.create_network(
            name=NETWORK,
            is_shared=True,
            provider_network_type="flat",
            provider_physical_network="lab",
        )
        if not network.subnet_ids:
            self.sdk.network.create_subnet(
                network_id=network.id,
                name=NETWORK,
                ip_version=4,
                cidr=DATA_SUBNET,
                gateway_ip=DATA_GATEWAY_IP,
                is_dhcp_enabled=False,
            )
        return str(network.id)

    def upload_images(self, lab: Lab) -> None:
        """Give Glance the guests' kernel, initial file system and disk, and Nova the flavors."""
        cache = lab.folder("cache")
        ids = {}
        for name, kind, file in (
            ("lab-kernel", "aki", "vmlinuz"),
            ("lab-initrd", "ari", "initrd.gz"),
            (GUEST_IMAGE, "ami", "root.raw"),
        ):
            properties: Mapping[str, str] = {}
            if kind == "ami":
                properties = {
                    "kernel_id": ids["lab-kernel"],
                    "ramdisk_id": ids["lab-initrd"],
                    "hw_video_model": "none",
                }
            image = self.sdk.image.find_image(name)
            if image is None:
                image = self.sdk.image.create_image(
                    name,
                    filename=str(cache / file),
                    container_format=kind,
                    disk_format=kind,
                    visibility="public",
                    allow_duplicates=True,
                    **properties,
                )
            ids[name] = image.id
        for name, (vcpus, memory_mb) in FLAVORS.items():
            if self.sdk.compute.find_flavor(name) is None:
                self.sdk.compute.create_flavor(name=name, vcpus=vcpus, ram=memory_mb, disk=0)

    def provider(self, host: str) -> dict[str, Any] | None:
        """Find the provider of a host."""
        answer = self.placement.get(f"/resource_providers?name={host}").json()
        return next(iter(answer["resource_providers"]), None)

    def has_inventory(self, host: str) -> bool:
        """Say whether a host's provider has told what it has."""
        try:
            provider = self.provider(host)
            return provider is not None and bool(self.inventory(provider["uuid"]))
        except keystone_exceptions.ClientException:
            return False

    def inventory(self, provider_uuid: str) -> dict[str, Any]:
        """Give a provider's inventory."""
        answer = self.placement.get(f"/resource_providers/{provider_uuid}/inventories")
        return dict(answer.json()["inventories"])

    def usages(self, provider_uuid: str) -> dict[str, int]:
        """Give what is held of a provider."""
        answer = self.placement.get(f"/resource_providers/{provider_uuid}/usages")
        return dict(answer.json()["usages"])

    def computes_up(self) -> tuple[set[str], set[str]]:
        """Name the hosts whose nova-compute, and those whose zun-compute, are up."""
        nova = {
            service.host
            for service in self.sdk.compute.services(binary="nova-compute")
            if service.state == "up"
        }
        answer = self.containers.get("/services/").json()
        zun = {service["host"] for service in answer["services"] if service["state"] == "up"}
        return nova, zun

    def create_server(self, name: str, flavor: str, **options: object) -> str:
        """Ask for a guest; gives its uuid at once."""
        compute = self.sdk.compute
        server = compute.create_server(
            name=name,
            flavor_id=compute.find_flavor(flavor).id,
            image_id=self.sdk.image.find_image(GUEST_IMAGE).id,
            networks=[{"uuid": self.sdk.network.find_network(NETWORK).id}],
            **options,
        )
        return str(server.id)

    def server(self, uuid: str) -> dict[str, Any]:
        """Give a guest as the API tells it."""
        return dict(self.sdk.compute.get(f"/servers/{uuid}").json()["server"])

    def console(self, uuid: str) -> str:
        """Give what a guest wrote on its console."""
        action = {"os-getConsoleOutput": {}}
        answer = self.sdk.compute.post(f"/servers/{uuid}/action", json=action)
        return str(answer.json().get("output", ""))

    def create_container(
        self, name: str, cpu: float, memory_mb: int, command: Sequence[str], **options: object
    ) -> str:
        """Ask for a running container; gives its uuid at once."""
        answer = self.containers.post(
            "/containers/?run=true",
            json={
                "name": name,
                "image": "lab/busybox:1",
                "image_pull_policy": "never",
                "command": list(command),
                "cpu": cpu,
                "memory": str(memory_mb),
                "nets": [{"network": self.sdk.network.find_network(NETWORK).id}],
                **options,
            },
        )
        return str(answer.json()["uuid"])

    def container(self, uuid: str) -> dict[str, Any]:
        """Give a container as the API tells it."""
        return dict(self.containers.get(f"/containers/{uuid}").json())

    def list_containers(self) -> list[dict[str, Any]]:
        """List the containers."""
        return list(self.containers.get("/containers/").json()["containers"])

    def delete_container(self, uuid: str) -> None:
        """Delete a container, running or not."""
        try:
            self.containers.delete(f"/containers/{uuid}?force=true")
        except keystone_exceptions.NotFound:
            return


def wait_for(look: Callable[[], T], good: Callable[[T], bool], timeout_s: float) -> T:
    """Look again and again until what is seen is good.

    :raises TimeoutError: with the last thing seen, when it does not become good in time.
    """
    deadline = time.monotonic() + timeout_s
    while not good(seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s:.0f} s: {seen!r:.500}")
        time.sleep(0.5)
    return seen
