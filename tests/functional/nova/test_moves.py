# SPDX-License-Identifier: Apache-2.0
"""Guests moved by the executors through Nova's real API, scheduler, conductor and Placement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nova.tests.functional  # noqa: F401 - first, as Nova's own tests do
from keystoneauth1 import adapter, session, token_endpoint
from nova.tests.functional import integrated_helpers
from oslo_config import cfg

from hybrid_sched.clients.nova_moves import MICROVERSION, NovaMoves
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.rebalancing.moves import Decision, Effect, MoveState
from hybrid_sched.core.rebalancing.readings import NO_USE
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.executors.nova_cold import NovaCold
from hybrid_sched.executors.nova_live import NovaLive
from hybrid_sched.interfaces.executor import MigrationExecutor


class MovesTest(integrated_helpers.ProviderUsageBaseTestCase):
    compute_driver = "fake.MediumFakeDriver"

    def setUp(self) -> None:
        super().setUp()
        for host in ("one", "two"):
            self._start_compute(host)
        # Signed in as Nova's own tests are, in place of Keystone.
        headers = {
            "X-Auth-User": self.admin_api.auth_user,
            "X-Auth-Project-Id": self.admin_api.project_id,
            "X-Roles": "admin,member,reader",
        }
        auth = token_endpoint.Token(self.admin_api.base_url, "token")
        self.moves = NovaMoves(
            adapter.Adapter(
                session.Session(auth=auth, additional_headers=headers),
                service_type="compute",
                default_microversion=MICROVERSION,
            )
        )
        self.now_s = 1000.0

    def _clear_attrs(self) -> None:
        """Keep the attributes: Nova drops pytest's among them, which then cannot tell of a failure."""

    def guest(self, memory_mb: int = 512) -> str:
        flavor = self._create_flavor(memory_mb=memory_mb, vcpu=1, disk=0, ephemeral=0)
        body = self._build_server(flavor_id=flavor, host="one", networks="none")
        made = self.admin_api.post_server({"server": body})
        return str(self._wait_for_state_change(made, "ACTIVE")["id"])

    def run_move(
        self, kind: type[NovaLive] | type[NovaCold], guest: str, until: str | None = None
    ) -> tuple[MigrationExecutor, MoveRecord]:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[])
        executor = kind(conf, self.moves, lambda: self.now_s)
        effect = Effect("vcpu", 1.0, 0.5, 0.2, 0.7)
        demand = Resources(vcpu=1, memory_mb=512)
        made = Decision(
            *(guest, HYPERVISOR, demand, NO_USE, "one", "two", "host is full", effect, 1.0, 0.5),
            **{"cost": 0.1, "copy_mb": 512.0},
        )
        move = MoveRecord("move", "plan", made, "x", state=MoveState.RUNNING)
        return executor, self.go_on(executor, move, until)

    def go_on(
        self, executor: MigrationExecutor, move: MoveRecord, until: str | None = None
    ) -> MoveRecord:
        found = [move]

        def advanced() -> None:
            now = found[-1]
            step = executor.cancel(now) if now.cancelling else executor.advance(now)
            now = replace(
                now, state=step.state, step=step.name, details=step.details, text=step.text
            )
            found.append(now)
            self.now_s += step.again_s
            assert now.state is not MoveState.RUNNING or now.step == until, now

        self._wait_for_assert(advanced, max_retries=100)
        return found[-1]

    def where(self, guest: str) -> tuple[Any, Any]:
        server = self.admin_api.get_server(guest)
        return server["OS-EXT-SRV-ATTR:host"], server["status"]

    def test_a_guest_moves_live(self) -> None:
        guest = self.guest()
        _, move = self.run_move(NovaLive, guest)
        assert move.state is MoveState.DONE, move.text
        assert self.where(guest) == ("two", "ACTIVE")

    def test_a_host_that_has_no_room_is_not_forced(self) -> None:
        guest = self.guest(6000)
        other = self._create_flavor(memory_mb=6000, vcpu=1, disk=0, ephemeral=0)
        body = self._build_server(flavor_id=other, host="two", networks="none")
        made = self.admin_api.post_server({"server": body})
        self._wait_for_state_change(made, "ACTIVE")
        for kind in (NovaLive, NovaCold):
            if kind is NovaCold:
                self.admin_api.post_server_action(guest, {"os-stop": None})
                self._wait_for_state_change({"id": guest}, "SHUTOFF")
            _, move = self.run_move(kind, guest)
            assert move.state is MoveState.FAILED, move.text
            assert self.where(guest) == ("one", "ACTIVE" if kind is NovaLive else "SHUTOFF")

    def test_a_stopped_guest_moves_and_is_confirmed(self) -> None:
        guest = self.guest()
        self.admin_api.post_server_action(guest, {"os-stop": None})
        self._wait_for_state_change({"id": guest}, "SHUTOFF")
        _, move = self.run_move(NovaCold, guest)
        assert move.state is MoveState.DONE, move.text
        assert self.where(guest) == ("two", "SHUTOFF")

    def test_a_cold_migration_that_is_cancelled_is_reverted(self) -> None:
        guest = self.guest()
        self.admin_api.post_server_action(guest, {"os-stop": None})
        self._wait_for_state_change({"id": guest}, "SHUTOFF")
        executor, move = self.run_move(NovaCold, guest, until="migrating")
        self.now_s += 61
        move = self.go_on(executor, replace(move, cancelling=True))
        assert move.state is MoveState.CANCELLED, move.text
        assert self.where(guest) == ("one", "SHUTOFF")

    def test_a_host_that_is_disabled_or_down_is_told_and_takes_no_guest(self) -> None:
        assert self.moves.closed() == {}
        [two] = self.admin_api.get_services(host="two", binary="nova-compute")
        self.admin_api.put_service(two["id"], {"status": "disabled"})
        assert self.moves.closed() == {"two": "its nova-compute is disabled"}
        guest = self.guest()
        _, move = self.run_move(NovaLive, guest)
        assert move.state is MoveState.FAILED, move.text
        assert self.where(guest) == ("one", "ACTIVE")
        self.admin_api.put_service(two["id"], {"status": "enabled", "forced_down": True})
        assert self.moves.closed() == {"two": "its nova-compute is down"}
