# SPDX-License-Identifier: Apache-2.0
"""What Zun's driver, as ours has it, writes of the volumes of containers that may be relocated."""

from __future__ import annotations

from typing import Any

import pytest
from docker_emulator import DockerEmulator
from driver_cloud import DriverTest, wanted_networks
from oslo_utils import uuidutils
from zun import objects

from hybrid_sched.core.relocation import NotMovable, request_for
from hybrid_sched.zun_driver.docker import HybridDockerDriver

_IMAGE = {"repo": "hybrid-test", "tag": "latest", "image": "hybrid-test", "driver": "docker"}


class VolumesTest(DriverTest):
    def setUp(self) -> None:
        super().setUp()
        emulator = DockerEmulator("one")
        self.addCleanup(emulator.close)
        self.set("api_url", emulator.url, "docker")
        self.driver = HybridDockerDriver()
        self.driver._get_volume_driver = lambda _volume: MountsEach()

    def labels(self, labels: dict[str, str], *volumes: objects.VolumeMapping) -> dict[str, str]:
        """Give the labels that Zun keeps of a container which was created with these."""
        made = self.container(cpu=1.0, memory="64", labels=labels)
        requested = {made.uuid: list(volumes)}
        self.driver.create(self.context, made, _IMAGE, wanted_networks(), requested)
        kept: dict[str, str] = objects.Container.get_by_uuid(self.context, made.uuid).labels
        return kept

    def volume(self, path: str, **fields: Any) -> objects.VolumeMapping:
        usual = {"cinder_volume_id": uuidutils.generate_uuid(), "auto_remove": False}
        return objects.VolumeMapping(self.context, container_path=path, **usual | fields)

    def test_those_of_one_that_may_be_relocated_are_named(self) -> None:
        volumes = self.volume("/data"), self.volume("/logs")
        labels = self.labels({"hybrid:relocate": "allow", "mine": "yes"}, *volumes)
        assert labels["mine"] == "yes"
        assert request_for({"labels": labels}, "move", "two")["mounts"] == [
            {"source": each.cinder_volume_id, "destination": each.container_path}
            for each in volumes
        ]

    def test_what_would_be_lost_keeps_a_container_where_it_is(self) -> None:
        for lost in ({"auto_remove": True}, {"cinder_volume_id": None, "contents": "text"}):
            with self.subTest(lost=lost):
                labels = self.labels({"hybrid:relocate": "allow"}, self.volume("/data", **lost))
                with pytest.raises(NotMovable, match="/data would be lost"):
                    request_for({"labels": labels}, "move", "two")

    def test_those_of_others_are_not(self) -> None:
        assert self.labels({"mine": "yes"}, self.volume("/data")) == {"mine": "yes"}
        assert self.labels({"hybrid:relocate": "allow"}) == {"hybrid:relocate": "allow"}


class MountsEach:
    """Stands for Cinder, which is not here: volumes that are on the host already."""

    def bind_mount(self, context: Any, volume: objects.VolumeMapping) -> tuple[str, str]:
        return f"/mnt{volume.container_path}", volume.container_path
