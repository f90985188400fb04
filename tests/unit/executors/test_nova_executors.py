# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import requests_mock
from fake_nova import SOURCE, TARGET, FakeNova
from fake_placement import FakePlacement
from moved import Ledger, conf, decision

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.executors.nova_cold import NovaCold
from hybrid_sched.executors.nova_live import NovaLive
from hybrid_sched.interfaces.executor import MoveUnavailable

GUEST = "guest-1"
LIVE = ("os-migrateLive", {"host": TARGET, "block_migration": "auto"})
COLD = ("migrate", {"host": TARGET})


class World:
    def __init__(
        self, wire: requests_mock.Mocker, kind: type[NovaLive] | type[NovaCold], **options: Any
    ) -> None:
        self.nova = FakeNova(wire)
        self.placement = FakePlacement(wire)
        self.now_s = 1000.0
        more = {"placement": self.placement.client()} if kind is NovaLive else {}
        self.ledger = Ledger(
            lambda: kind(conf(**options), self.nova.client(), clock=lambda: self.now_s, **more),
            decision(GUEST, HYPERVISOR, SOURCE, TARGET),
        )

    def run(self, until: str | None = None) -> str:
        for _ in range(2000):
            if self.ledger.is_over or self.ledger.record.step == until:
                return self.ledger.record.text
            self.ledger.step(self.now_s)
            self.nova.go_on()
            self.now_s = max(self.now_s + 0.1, self.ledger.due_s)
        raise AssertionError(self.ledger.record)

    def assert_ended(self, state: MoveState, host: str, vm_state: str) -> None:
        assert self.ledger.state is state, self.ledger.record.text
        assert self.nova.state(GUEST) == (host, vm_state)


@pytest.fixture
def live(wire: requests_mock.Mocker) -> World:
    world = World(wire, NovaLive)
    world.nova.add(GUEST)
    return world


@pytest.fixture
def cold(wire: requests_mock.Mocker) -> World:
    world = World(wire, NovaCold)
    world.nova.add(GUEST, "stopped", power=4)
    return world


def test_a_guest_is_migrated_live_to_a_host_that_is_filtered(live: World) -> None:
    assert live.run() == f"The guest runs on {TARGET}."
    live.assert_ended(MoveState.DONE, TARGET, "active")
    assert live.nova.asked == [LIVE]
    assert live.ledger.steps == ["asking Nova", "migrating", "done"]


@pytest.mark.parametrize(
    ("ends", "state", "host"),
    [("completed", MoveState.DONE, TARGET), ("error", MoveState.FAILED, SOURCE)],
)
def test_the_migrations_of_a_guest_are_followed_where_nova_does_not_list_all(
    live: World, ends: str, state: MoveState, host: str
) -> None:
    live.nova.lists_all, live.nova.ends = False, ends
    live.run()
    live.assert_ended(state, host, "active")


def test_a_paused_guest_stays_paused(live: World) -> None:
    live.nova.add(GUEST, "paused", power=3)
    live.run()
    live.assert_ended(MoveState.DONE, TARGET, "paused")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"vm_state": "stopped", "power": 4}, "guest guest-1 is stopped"),
        ({"OS-EXT-STS:task_state": "rebooting"}, "Nova is busy with guest guest-1: rebooting"),
        ({"OS-EXT-SRV-ATTR:host": "host-3"}, "guest guest-1 is on host host-3, not on host-1"),
    ],
)
def test_a_guest_that_cannot_be_migrated_live_is_left_alone(
    live: World, fields: dict[str, Any], said: str
) -> None:
    live.nova.add(GUEST, **fields)
    assert said in live.run()
    assert (live.ledger.state, live.nova.asked) == (MoveState.FAILED, [])


@pytest.mark.parametrize("step", ["asking Nova", "migrating"])
@pytest.mark.parametrize("kind", ["live", "cold"])
def test_a_guest_that_its_owner_deletes_is_no_fault(
    kind: str, step: str, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue(kind)
    world.run(until=step)
    world.nova.guests.clear()
    assert world.run() == "Guest guest-1 was deleted by its owner."
    assert world.ledger.state is MoveState.CANCELLED


@pytest.mark.parametrize("step", ["migrating", "aborting"])
def test_what_nova_claims_for_a_deleted_guests_migration_is_given_back(
    live: World, step: str
) -> None:
    live.nova.ends = "never"
    live.run(until="migrating")
    for _ in range(3):
        live.nova.go_on()
    [migration] = live.nova.migrations
    live.placement.claims[migration["uuid"]] = SOURCE
    if step == "migrating":
        live.ledger.step(live.now_s)
    else:
        live.ledger.cancel()
        live.run(until=step)
        live.ledger.step(live.now_s)
    live.nova.guests.clear()
    live.placement.refuses = [409]
    assert live.run() == "Guest guest-1 was deleted by its owner."
    assert live.ledger.state is MoveState.CANCELLED
    assert live.placement.claims == {}


def test_a_migration_that_fails_leaves_the_guest_on_its_source(live: World) -> None:
    live.nova.ends = "error"
    assert live.run() == "Nova's live migration ended as error; the guest runs on host-1."
    live.assert_ended(MoveState.FAILED, SOURCE, "active")
    assert live.nova.asked == [LIVE]


def test_a_guest_that_runs_is_taken_out_of_error(live: World) -> None:
    live.nova.ends = "ERROR"
    live.run()
    live.assert_ended(MoveState.FAILED, SOURCE, "active")
    assert live.nova.asked == [LIVE, ("os-resetState", {"state": "active"})]


def test_a_guest_that_does_not_run_stays_in_error(live: World) -> None:
    live.nova.ends = "ERROR"
    live.run(until="migrating")
    live.nova.guests[GUEST]["OS-EXT-STS:power_state"] = 4
    assert "where it does not run: disk is full" in live.run()
    live.assert_ended(MoveState.FAILED, SOURCE, "error")


def test_a_migration_that_takes_too_long_is_aborted(live: World) -> None:
    live.nova.ends = "never"
    assert "It took more than 800 s (live_timeout_s) and was aborted" in live.run()
    live.assert_ended(MoveState.FAILED, SOURCE, "active")
    assert live.nova.asked == [LIVE, "abort"]
    assert live.now_s >= 1800


def test_or_its_guest_is_paused_for_the_rest(wire: requests_mock.Mocker) -> None:
    world = World(wire, NovaLive, live_on_timeout="force_complete")
    world.nova.add(GUEST)
    world.nova.ends = "never"
    world.run()
    world.assert_ended(MoveState.DONE, TARGET, "active")
    assert world.nova.asked == [LIVE, "force_complete"]


@pytest.mark.parametrize("step", ["asking Nova", "migrating"])
def test_a_live_migration_can_be_cancelled(live: World, step: str) -> None:
    live.nova.ends = "never"
    live.run(until=step)
    live.ledger.cancel()
    assert live.run() == "It is being cancelled; the guest runs on host-1."
    live.assert_ended(MoveState.CANCELLED, SOURCE, "active")


def test_an_abort_waits_while_nobody_may_look_at_the_guest(live: World) -> None:
    live.nova.ends = "never"
    live.run(until="migrating")
    live.ledger.cancel()
    live.run(until="aborting")
    live.nova.refuses = True
    assert live.ledger.step(live.now_s) is None
    live.nova.refuses = False
    live.run()
    live.assert_ended(MoveState.CANCELLED, SOURCE, "active")


def test_or_it_is_too_late(live: World) -> None:
    live.run(until="migrating")
    for _ in range(3):
        live.nova.go_on()
    live.ledger.cancel()
    assert live.run() == "It was too late to abort: the guest runs on host-2."
    live.assert_ended(MoveState.DONE, TARGET, "active")


def test_a_request_that_an_engine_may_have_sent_can_still_be_cancelled(live: World) -> None:
    live.run(until="asking Nova")
    live.ledger.attempt()
    live.ledger.kill()
    live.ledger.cancel()
    live.run()
    live.assert_ended(MoveState.CANCELLED, SOURCE, "active")
    assert live.nova.asked == [LIVE, "abort"]


@pytest.mark.parametrize("lost", ["before", "after"])
@pytest.mark.parametrize("kind", ["live", "cold"])
def test_a_request_whose_answer_is_lost_is_carried_out_once(
    kind: str, lost: str, request: pytest.FixtureRequest
) -> None:
    world: World = request.getfixturevalue(kind)
    world.run(until="asking Nova")
    world.nova.lost = lost
    world.ledger.step(world.now_s)
    world.nova.lost = ""
    world.ledger.kill()
    world.run()
    assert world.ledger.state is MoveState.DONE
    asked = LIVE if kind == "live" else COLD
    assert world.nova.asked.count(asked) == (2 if lost == "before" else 1)


def test_an_older_migration_is_not_taken_for_this_one(live: World) -> None:
    live.nova.migrations.append(
        {"id": 7, "instance_uuid": GUEST, "status": "error", "dest_compute": "host-9", "uuid": "m"}
    )
    live.run()
    live.assert_ended(MoveState.DONE, TARGET, "active")


def test_a_stopped_guest_is_migrated_and_confirmed(cold: World) -> None:
    assert cold.run() == f"The guest is on {TARGET}."
    cold.assert_ended(MoveState.DONE, TARGET, "stopped")
    assert cold.nova.asked == [COLD, ("confirmResize", None)]


def test_a_guest_that_runs_is_not_migrated_cold(cold: World) -> None:
    cold.nova.add(GUEST)
    assert "only stopped ones are migrated cold" in cold.run()
    assert (cold.ledger.state, cold.nova.asked) == (MoveState.FAILED, [])


def test_a_cold_migration_that_is_cancelled_is_reverted(cold: World) -> None:
    cold.run(until="migrating")
    cold.ledger.cancel()
    cold.run()
    cold.assert_ended(MoveState.CANCELLED, SOURCE, "stopped")
    assert cold.nova.asked == [COLD, ("revertResize", None)]


def test_one_that_went_to_another_host_is_reverted(cold: World) -> None:
    cold.nova.aims[GUEST] = "host-3"
    assert "Nova migrated the guest to host-3" in cold.run()
    cold.assert_ended(MoveState.FAILED, SOURCE, "stopped")


def test_one_that_takes_too_long_is_taken_back(cold: World) -> None:
    cold.nova.ends = "never"
    cold.run(until="taking back")
    assert cold.now_s >= 2800
    cold.nova.ends = "completed"
    assert "It took more than 1800 s (cold_timeout_s)" in cold.run()
    cold.assert_ended(MoveState.FAILED, SOURCE, "stopped")


def test_a_target_that_cannot_take_it_is_asked_for_twice(cold: World) -> None:
    cold.nova.ends = "error"
    assert cold.run() == "Nova found that host-2 cannot take the guest."
    cold.assert_ended(MoveState.FAILED, SOURCE, "stopped")
    assert cold.nova.asked == [COLD, COLD]


def test_a_stopped_guest_is_taken_out_of_error_and_is_stopped_again(cold: World) -> None:
    cold.nova.ends = "ERROR"
    cold.run(until="taking back")
    cold.nova.ends = "completed"
    assert cold.run().startswith("disk is full; the guest is on host-1")
    cold.assert_ended(MoveState.FAILED, SOURCE, "stopped")


def group(*members: str, policy: str = "anti-affinity", **fields: Any) -> dict[str, Any]:
    return {"policy": policy, "rules": {}, "members": list(members), **fields}


@pytest.mark.parametrize("max_limit", [1000, 70])
def test_server_groups_of_which_a_host_may_have_one_member_are_told(
    live: World, max_limit: int
) -> None:
    live.nova.max_limit = max_limit
    live.nova.groups = [
        group("a", "b"),
        group("c", "d", policy="soft-anti-affinity"),
        group("e", "f", rules={"max_server_per_host": 2}),
        group("g"),
        *(group(f"x{n}", f"y{n}") for n in range(1000)),
    ]
    told = live.ledger.executor.apart()
    assert told[0] == {"a", "b"}
    assert len(told) == 1001


def test_groups_that_may_not_be_looked_at_are_no_answer(wire: requests_mock.Mocker) -> None:
    nova = FakeNova(wire)
    wire.get("http://compute/os-server-groups", status_code=403, text="policy")
    with pytest.raises(MoveUnavailable, match="role admin"):
        NovaCold(conf(), nova.client()).apart()


def test_hosts_that_are_disabled_or_down_take_no_guest(wire: requests_mock.Mocker) -> None:
    nova = FakeNova(wire)
    states = [("a", "enabled", "up"), ("b", "disabled", "up"), ("c", "enabled", "down")]
    services = [{"host": host, "status": status, "state": state} for host, status, state in states]
    wire.get("http://compute/os-services?binary=nova-compute", json={"services": services})
    told = NovaCold(conf(), nova.client()).closed()
    assert told == {"b": "its nova-compute is disabled", "c": "its nova-compute is down"}
    wire.get("http://compute/os-services", status_code=403, text="policy")
    with pytest.raises(MoveUnavailable, match="role admin"):
        NovaCold(conf(), nova.client()).closed()
    wire.get("http://compute/os-services", json={"services": [{"host": "a"}]})
    with pytest.raises(MoveUnavailable, match="status"):
        NovaCold(conf(), nova.client()).closed()
