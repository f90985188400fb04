# SPDX-License-Identifier: Apache-2.0
"""Zun's driver for Docker inside a test's process."""

from __future__ import annotations

from typing import Any
from unittest import mock

from cloud import CloudTest
from dockerd import IMAGE
from oslo_utils import uuidutils
from zun import objects
from zun.common import consts
from zun.network import network
from zun.objects.container import ContainerBase
from zun.scheduler.client import report


class CopiedLock:
    """A lock that can be copied, as those of eventlet can, under which zun-compute runs."""

    def __enter__(self) -> None:
        """Nobody else is here."""

    def __exit__(self, *_: object) -> None:
        """Nobody waits."""


class NoNetwork:
    """Stands for Kuryr and Neutron, which are not here: containers get no network."""

    neutron_api = None

    def get_or_create_network(self, context: Any, network_id: str) -> None:
        """Have none."""

    def process_networking_config(
        self, container: Any, requested: Any, host_config: dict[str, Any], *_: Any, **__: Any
    ) -> None:
        host_config["network_mode"] = "none"

    def on_container_started(self, container: Any) -> None:
        """Nothing is to be told."""

    on_container_stopped = on_container_started


def wanted_networks() -> list[dict[str, str]]:
    """Give what Zun's API hands over for one network; the driver takes it from the list."""
    return [{"network": "none", "port": ""}]


class DriverTest(CloudTest):
    """A test that makes drivers."""

    def setUp(self) -> None:
        super().setUp()
        self.set("image_driver_list", ["docker"], None)
        for patch in (
            mock.patch(
                "zun.compute.provider_tree.lockutils.internal_lock", return_value=CopiedLock()
            ),
            mock.patch.object(network, "driver", return_value=NoNetwork()),
            # What a driver of ours puts in its place ends with the test.
            mock.patch.object(report, "SchedulerReportClient", report.SchedulerReportClient),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    def container(
        self, kind: type[ContainerBase] = objects.Container, **fields: Any
    ) -> ContainerBase:
        """Put a container into the database, as Zun's API would.

        :param kind: container, capsule, or one of a capsule.
        """
        uuid = uuidutils.generate_uuid()
        usual = {
            "uuid": uuid,
            "name": f"container-{uuid}",
            "project_id": self.context.project_id,
            "user_id": self.context.user_id,
            "status": consts.CREATING,
            "image": IMAGE,
            "image_driver": "docker",
            "image_pull_policy": "never",
            "command": ["sleep", "3600"],
        }
        made = kind(self.context, **usual | fields)
        made.create(self.context)
        return kind.get_by_uuid(self.context, made.uuid)
