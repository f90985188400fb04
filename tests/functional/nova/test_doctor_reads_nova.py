# SPDX-License-Identifier: Apache-2.0
"""What the doctor reads of Nova's real API, and that nova-compute's inventory is what it takes for right."""

from __future__ import annotations

import uuid

import nova.tests.functional  # noqa: F401 - first, as Nova's own tests do
from keystoneauth1 import adapter, session, token_endpoint
from nova.tests.functional import integrated_helpers

from hybrid_sched.clients.nova import MICROVERSION, NovaClient
from hybrid_sched.core.doctor.facts import Service


class DoctorReadsNovaTest(integrated_helpers.ProviderUsageBaseTestCase):
    compute_driver = "fake.MediumFakeDriver"

    def setUp(self) -> None:
        # Deleted guests can be restored for as long.
        self.flags(reclaim_instance_interval=3600)
        super().setUp()
        for host in ("one", "two"):
            self._start_compute(host)
        # Signed in as Nova's own tests are, in place of Keystone.
        self.client = NovaClient(
            adapter.Adapter(
                session.Session(auth=token_endpoint.Token(self.admin_api.base_url, "token")),
                service_type="compute",
                default_microversion=MICROVERSION,
                additional_headers={
                    "X-Auth-User": self.admin_api.auth_user,
                    "X-Auth-Project-Id": "another",
                    "X-Roles": "admin,member,reader",
                },
            )
        )

    def _clear_attrs(self) -> None:
        """Keep the attributes: Nova drops pytest's among them, which then cannot tell of a failure."""

    def create(self) -> dict:
        flavor = self._create_flavor(memory_mb=64, vcpu=1, disk=0, ephemeral=0)
        return self._create_server(flavor_id=flavor, networks="none")

    def test_compute_nodes_are_told_with_their_provider_and_totals(self) -> None:
        nodes = {node.name: node for node in self.client.hypervisors()}
        assert nodes.keys() == {"one", "two"}
        for name, node in nodes.items():
            assert node.host == name
            assert node.uuid == self._get_provider_uuid_by_host(name)
            inventory = self._get_provider_inventory(node.uuid)
            totals = inventory["VCPU"]["total"], inventory["MEMORY_MB"]["total"]
            assert totals == (node.vcpus, node.memory_mb)
        assert {Service("nova-compute", "one"), Service("nova-compute", "two")} <= set(
            self.client.services()
        )

    def test_servers_of_all_projects_are_known_and_restorable_ones_by_their_name(self) -> None:
        kept, deleted = self.create()["id"], self.create()["id"]
        assert self.client.server_uuids() == {kept, deleted}
        self.api.delete_server(deleted)
        self._wait_for_state_change({"id": deleted}, "SOFT_DELETED")
        # It still holds its claim, and is in no listing.
        assert self.client.server_uuids() == {kept}
        assert self.client.has_server(deleted)
        assert self.client.has_server(kept)
        assert not self.client.has_server(str(uuid.uuid4()))

    def test_a_migration_that_is_over_is_told_apart(self) -> None:
        server = self.create()
        self._migrate_server(server)
        self._wait_for_state_change(server, "VERIFY_RESIZE")
        [moving] = self.client.migrations_in_progress()
        assert self.client.ended_migrations() == frozenset()
        self._confirm_resize(server)
        assert self.client.migrations_in_progress() == ()
        assert self.client.ended_migrations() == {moving.uuid}
