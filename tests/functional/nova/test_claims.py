# SPDX-License-Identifier: Apache-2.0
"""What is read of the real Nova and Placement while real moves go on; the compute hosts have Nova's fake driver."""

from __future__ import annotations

import time

import nova.tests.functional  # noqa: F401 - first, as Nova's own tests do
import pytest
from keystoneauth1 import adapter, session, token_endpoint
from nova.tests.functional import integrated_helpers

from hybrid_sched.clients import nova as nova_clients
from hybrid_sched.clients import placement as placement_clients
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.claims import ClaimKind
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.pools import POOL_METADATA, PoolsFrom, pools_of
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.quota.claims import Claims

#: As doc/source/admin/claims.rst says for a user who is no administrator.
_ROLE = "hybrid_sched_reader"
_POLICY = {
    "os_compute_api:os-aggregates:index": f"rule:context_is_admin or role:{_ROLE}",
    "os_compute_api:os-migrations:index": f"rule:project_manager_or_admin or role:{_ROLE}",
    "os_compute_api:os-migrations:index:all_projects": f"rule:context_is_admin or role:{_ROLE}",
    "os_compute_api:servers:detail": f"rule:project_reader_or_admin or role:{_ROLE}",
    "os_compute_api:servers:detail:get_all_tenants": f"rule:context_is_admin or role:{_ROLE}",
}


class ClaimsTest(integrated_helpers.ProviderUsageBaseTestCase):
    compute_driver = "fake.MediumFakeDriver"

    def setUp(self) -> None:
        super().setUp()
        for host in ("one", "two"):
            self._start_compute(host)
        self.guests: set[str] = set()
        self.placement_client = placement_clients.PlacementClient(
            adapter.Adapter(
                session.Session(
                    auth=token_endpoint.Token(self.placement.fixture.endpoint, "admin")
                ),
                service_type="placement",
                default_microversion=placement_clients.MICROVERSION,
            )
        )
        self.nova_client = self.client_as("admin", "admin")
        self.claims = Claims(
            self.placement_client,
            self.nova_client,
            lambda uuid: HYPERVISOR if uuid in self.guests else None,
        )

    def _clear_attrs(self) -> None:
        """Keep the attributes: Nova drops pytest's among them, which then cannot tell of a failure."""

    def client_as(self, user: str, role: str) -> nova_clients.NovaClient:
        """Sign in as Nova's own tests do, in place of Keystone."""
        auth = token_endpoint.Token(self.api_fixture.base_url, "token")
        return nova_clients.NovaClient(
            adapter.Adapter(
                session.Session(auth=auth),
                service_type="compute",
                default_microversion=nova_clients.MICROVERSION,
                additional_headers={
                    "X-Auth-User": user,
                    "X-Auth-Project-Id": "another-project",
                    "X-Roles": role,
                },
            )
        )

    def start_guest(self) -> dict:
        flavor = self._create_flavor(memory_mb=512, vcpu=2, disk=0, ephemeral=0)
        server = self._build_server(flavor_id=flavor, networks="none", host="one")
        created = self._wait_for_state_change(self.api.post_server({"server": server}), "ACTIVE")
        self.guests.add(created["id"])
        return created

    def counted(self) -> list[tuple[str, str]]:
        return [
            (host, uuid)
            for host in sorted(self.claims.known_hosts() or ())
            for uuid, claim in self.claims.of(host).items()
            if claim.counts_for_share
        ]

    def test_a_guest_that_moves_is_claimed_on_both_hosts_and_counts_once(self) -> None:
        guest = self.start_guest()
        assert self.claims.refresh() == {"one", "two"}
        assert self.counted() == [("one", guest["id"])]
        assert self.claims.of("one")[guest["id"]].demand == Resources(vcpu=2, memory_mb=512)

        self._migrate_server(guest)
        self.claims.refresh()
        assert self.counted() == [("two", guest["id"])]
        (leaving,) = self.claims.of("one").values()
        assert (leaving.kind, leaving.framework) == (ClaimKind.MIGRATION, HYPERVISOR)
        (migration,) = self.nova_client.migrations_in_progress()
        assert migration == nova_clients.Migration(
            leaving.consumer_uuid, guest["id"], "one", "two", "finished"
        )

        self._confirm_resize(guest)
        self.claims.refresh()
        assert self.counted() == [("two", guest["id"])]
        assert self.claims.of("one") == {}
        assert self.nova_client.migrations_in_progress() == ()

    def test_nova_writes_no_consumer_type(self) -> None:
        guest = self.start_guest()
        assert self.placement_client.consumer_type(guest["id"]) is None

    def test_a_deleted_guest_is_noticed_where_its_agent_reports_it_no_longer(self) -> None:
        guest = self.start_guest()
        self.claims.refresh()
        self._delete_server(guest)
        self.claims.refresh(["one"])
        assert self.claims.of("one") == {}

    def test_a_guest_that_found_no_host_is_read_until_it_is_deleted(self) -> None:
        began_s = time.time()
        self.start_guest()
        # More than either host has.
        flavor = self._create_flavor(memory_mb=16384, vcpu=1, disk=0, ephemeral=0)
        server = self._build_server(flavor_id=flavor, networks="none")
        refused = self._wait_for_state_change(self.api.post_server({"server": server}), "ERROR")
        demand = Resources(vcpu=1, memory_mb=16384)
        assert self.nova_client.refused_guests(began_s) == (
            Request(refused["id"], HYPERVISOR, demand),
        )
        reader = self.client_as("watcher", _ROLE)
        with pytest.raises(ServiceFault, match=r"was refused \(403\): it needs the role admin"):
            reader.refused_guests(began_s)
        self.policy.set_rules(_POLICY, overwrite=False)
        assert reader.refused_guests(began_s) == self.nova_client.refused_guests(began_s)
        assert self.nova_client.refused_guests(time.time() + 2) == ()
        self._delete_server(refused)
        assert self.nova_client.refused_guests(began_s) == ()

    def test_aggregates_tell_pools(self) -> None:
        body = {"aggregate": {"name": "fast", "availability_zone": "az1"}}
        made = self.admin_api.post_aggregate(body)
        self.admin_api.add_host_to_aggregate(made["id"], "two")
        self.admin_api.post_aggregate_action(
            made["id"], {"set_metadata": {"metadata": {POOL_METADATA: "gold"}}}
        )
        aggregates = self.nova_client.aggregates()
        hosts = ("one", "two")
        pools = pools_of(hosts, aggregates, PoolsFrom.AGGREGATE)
        assert pools.of == {"one": "", "two": "gold"}
        zones = pools_of(hosts, aggregates, PoolsFrom.AVAILABILITY_ZONE)
        assert zones.of == {"one": "", "two": "az1"}

    def test_a_role_of_its_own_is_enough(self) -> None:
        guest = self.start_guest()
        self._migrate_server(guest)
        reader = self.client_as("watcher", _ROLE)
        for read in (reader.aggregates, reader.migrations_in_progress):
            with pytest.raises(ServiceFault, match=r"was refused \(403\): it needs the role admin"):
                read()
        self.policy.set_rules(_POLICY, overwrite=False)
        assert reader.aggregates() == ()
        (migration,) = reader.migrations_in_progress()
        # Hosts are told to administrators alone.
        assert (migration.instance_uuid, migration.source) == (guest["id"], None)
