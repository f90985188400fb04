# SPDX-License-Identifier: Apache-2.0
"""Zun's real database (SQLite) and scheduler client with the real Placement, in one process."""

from __future__ import annotations

from typing import Any
from unittest import mock

import os_resource_classes as orc
import zun.conf
from keystoneauth1 import adapter, session, token_endpoint
from oslo_utils import timeutils, uuidutils
from placement.tests.functional.fixtures.placement import PlacementFixture
from zun import objects
from zun.scheduler.client import report
from zun.tests.unit.db import base
from zun.tests.unit.db import utils as db_utils

from hybrid_sched.conf import client as options
from hybrid_sched.core.resources import Resources

CAPACITY = Resources(vcpu=160, memory_mb=8192)
MEMORY_RESERVED_MB = 100
_MICROVERSION = "1.30"


class CloudTest(base.DbTestCase):
    """A test with hosts that Nova has told Placement of."""

    def setUp(self) -> None:
        options.register(zun.conf.CONF)
        super().setUp()
        self.set("transport_url", "fake:/", None)
        self.set("host_shared_with_nova", True, "compute")
        self.set("first_snapshot_timeout_s", 0.0, "hybrid_sched")
        placement = self.useFixture(PlacementFixture())
        auth = token_endpoint.Token(placement.endpoint, "admin")
        self.placement = adapter.Adapter(
            session.Session(auth=auth),
            additional_headers={"accept": "application/json"},
            default_microversion=_MICROVERSION,
            service_type="placement",
        )

        def sign_in(client: report.SchedulerReportClient) -> tuple[adapter.Adapter, dict[str, str]]:
            client.clear_provider_cache(init=True)
            return self.placement, {"service_type": "placement"}

        # In place of Keystone, which is not here.
        patch = mock.patch.object(
            report.SchedulerReportClient, "_create_client", autospec=True, side_effect=sign_in
        )
        patch.start()
        self.addCleanup(patch.stop)

    def set(self, name: str, value: object, group: str | None) -> None:
        zun.conf.CONF.set_override(name, value, group=group)
        self.addCleanup(zun.conf.CONF.clear_override, name, group=group)

    def start_host(self, name: str) -> str:
        """Make a host as nova-compute and zun-compute would; gives its provider."""
        uuid = uuidutils.generate_uuid()
        self.placement.post("/resource_providers", json={"uuid": uuid, "name": name})
        self.placement.put(
            f"/resource_providers/{uuid}/inventories",
            json={"resource_provider_generation": 0, "inventories": nova_inventory()},
        )
        node = db_utils.create_test_compute_node(
            context=self.context,
            uuid=uuid,
            rp_uuid=uuid,
            hostname=name,
            mem_total=CAPACITY.memory_mb,
            mem_free=CAPACITY.memory_mb,
            mem_used=0,
            cpus=16,
            cpu_used=0,
        )
        service = objects.ZunService(self.context, host=name, binary="zun-compute")
        service.create(self.context)
        service.last_seen_up = timeutils.utcnow()
        service.report_state_up()
        return str(node.rp_uuid)

    def inventory(self, provider: str) -> dict[str, Any]:
        answer = self.placement.get(f"/resource_providers/{provider}/inventories").json()
        return dict(answer["inventories"])

    def traits(self, provider: str) -> set[str]:
        answer = self.placement.get(f"/resource_providers/{provider}/traits").json()
        return set(answer["traits"])

    def claimed(self, provider: str) -> dict[str, dict[str, int]]:
        """Give what each container holds of a provider."""
        answer = self.placement.get(f"/resource_providers/{provider}/allocations").json()
        return {uuid: each["resources"] for uuid, each in answer["allocations"].items()}


def nova_inventory() -> dict[str, dict[str, float]]:
    """Give what nova-compute would tell, with CPUs kept for pinned guests and a reserve."""
    return {
        orc.VCPU: {"total": 16, "allocation_ratio": 10.0, "reserved": 2},
        orc.PCPU: {"total": 4},
        orc.MEMORY_MB: {
            "total": CAPACITY.memory_mb + MEMORY_RESERVED_MB,
            "reserved": MEMORY_RESERVED_MB,
        },
        orc.DISK_GB: {"total": 100},
    }
