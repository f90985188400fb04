# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import requests_mock
from fake_zun import ADDRESS, MAC, NETWORK, PROJECT, SOURCE, TARGET, FakeZun
from moved import MOVE, Ledger, conf, decision

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.executors.zun_relocate import ZunRelocate

FORWARD = [
    *("recorded", "stopped", "detached", "creating", "created", "started", "deleting", "done"),
]


class World:
    """One container on the source, and the move that brings it to the target."""

    def __init__(self, wire: requests_mock.Mocker, **container: Any) -> None:
        self.zun = FakeZun(wire)
        self.task = self.zun.add("web", **container)
        self.now_s = 1000.0
        self.ledger = Ledger(self.executor, decision(self.task, CONTAINER, SOURCE, TARGET))

    def executor(self) -> ZunRelocate:
        return ZunRelocate(conf(), *self.zun.clients(), clock=lambda: self.now_s)

    def run(self, until: str | None = None, *, hosts_work: bool = True) -> str:
        """Go on until the move is over, or has come to a step; gives what the record says."""
        for _ in range(1000):
            if self.ledger.is_over or self.ledger.record.step == until:
                return self.ledger.record.text
            self.ledger.step(self.now_s)
            if hosts_work:
                self.zun.carry_out()
            self.now_s = max(self.now_s + 0.1, self.ledger.due_s)
        raise AssertionError(self.ledger.record)

    def container(self) -> dict[str, Any]:
        """Give the one container that runs."""
        [running] = self.zun.running()
        return running

    def assert_back(self, state: MoveState = MoveState.FAILED) -> None:
        """See that all is as before the move."""
        assert self.ledger.state is state
        assert self.container()["uuid"] == self.task
        assert list(self.zun.containers) == [self.task] == list(self.zun.placement.claims)
        assert self.address() == ADDRESS
        assert self.zun.ran == 1

    def address(self) -> str:
        [address] = self.container()["addresses"][NETWORK]
        port = self.zun.ports[address["port"]]
        assert port["device_id"] == self.container()["uuid"]
        assert [each["ip_address"] for each in port["fixed_ips"]] == [address["addr"]]
        return str(address["addr"])


@pytest.mark.parametrize("given_port", [False, True])
def test_a_container_is_made_again_on_the_target_with_its_address(
    wire: requests_mock.Mocker, given_port: bool
) -> None:
    world = World(wire, given_port=given_port)
    world.run()
    assert world.ledger.steps == FORWARD
    assert world.ledger.state is MoveState.DONE
    moved = world.container()
    assert list(world.zun.containers) == [moved["uuid"]]
    assert (moved["host"], moved["name"], moved["command"]) == (TARGET, "web", ["sleep", "9"])
    assert (world.address(), world.zun.ran) == (ADDRESS, 1)
    [port] = world.zun.ports.values()
    assert (port["mac_address"], port["security_groups"]) == (MAC, ["group-1"])
    # It is the container's own from now on, or was before.
    assert moved["addresses"][NETWORK][0]["preserve_on_delete"]
    assert port["name"] == ("" if given_port else f"hybrid-sched-{MOVE}-0")


def test_a_second_move_needs_no_other_port(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run()
    ports = list(world.zun.ports)
    world.ledger = Ledger(
        world.executor, decision(world.container()["uuid"], CONTAINER, TARGET, SOURCE)
    )
    # Another move has another uuid; the label of the one before gives way to it.
    object.__setattr__(world.ledger.record, "uuid", "another")
    world.run()
    assert world.ledger.state is MoveState.DONE
    assert world.container()["labels"]["hybrid:move"] == "another"
    assert (list(world.zun.ports), world.address(), world.zun.ran) == (ports, ADDRESS, 1)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"labels": {}}, "label hybrid:relocate=allow"),
        ({"auto_remove": True}, "auto_remove"),
        ({"labels": {"hybrid:relocate": "allow", "hybrid:task": "t"}}, "belongs to the queue"),
        ({"labels": {"hybrid:relocate": "allow", "hybrid:mounts": "x"}}, "write each volume as"),
        ({"status": "Stopped"}, "it is Stopped, not just Running"),
        ({"task_state": "container_stopping"}, "it is container_stopping, not just Running"),
        ({"host": "host-3"}, "it is on host host-3, not on host-1"),
    ],
)
def test_one_that_would_not_come_back_whole_is_not_touched(
    wire: requests_mock.Mocker, fields: dict[str, Any], said: str
) -> None:
    world = World(wire, **fields)
    assert said in world.run()
    assert (world.ledger.state, world.zun.asked) == (MoveState.FAILED, [])


def test_a_floating_address_is_not_lost(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.zun.floating = set(world.zun.ports)
    assert "floating IP" in world.run()
    assert (world.ledger.state, world.zun.asked) == (MoveState.FAILED, [])


def test_volumes_and_settings_come_along(wire: requests_mock.Mocker) -> None:
    labels = {"hybrid:relocate": "allow", "hybrid:mounts": "vol-1:/data, vol-2:/logs"}
    world = World(
        wire,
        labels=labels,
        environment={"A": "b"},
        healthcheck={"test": "true", "interval": 5},
        restart_policy={"Name": "always", "MaximumRetryCount": "0"},
        hostname="0123456789ab",
        privileged=False,
    )
    world.run()
    moved = world.container()
    assert moved["mounts"] == [
        {"source": "vol-1", "destination": "/data"},
        {"source": "vol-2", "destination": "/logs"},
    ]
    assert moved["labels"] == {**labels, "hybrid:move": MOVE}
    assert moved["environment"] == {"A": "b"}
    assert moved["healthcheck"] == {"cmd": "true", "interval": 5}
    assert moved["restart_policy"]["Name"] == "always"
    # Docker's own name for it, and what needs a role to be said.
    assert not {"hostname", "privileged"} & moved.keys()


@pytest.mark.parametrize("fails", ["create", "start"])
def test_one_that_fails_on_the_target_is_started_on_its_source(
    wire: requests_mock.Mocker, fails: str
) -> None:
    world = World(wire)
    world.zun.fails = fails
    text = world.run()
    assert text.startswith("The container on the target is Error: ")
    assert text.endswith("the container runs on its source.")
    world.assert_back()


@pytest.mark.parametrize("said", ["Up 3 seconds (unhealthy)", "Exited(1)"])
def test_one_that_is_not_well_on_the_target_is_started_on_its_source(
    wire: requests_mock.Mocker, said: str
) -> None:
    world = World(wire)
    world.run(until="started")
    [made] = world.zun.made()
    made.update(status_detail=said, status="Running" if "Up" in said else "Stopped")
    assert said in world.run()
    world.assert_back()


def test_a_health_check_is_waited_for(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run(until="started")
    [made] = world.zun.made()
    made["status_detail"] = "Up 3 seconds (health: starting)"
    began_s = world.now_s
    for _ in range(20):
        world.ledger.step(world.now_s)
        world.now_s += 2
    assert world.ledger.record.step == "started"
    made["status_detail"] = "Up 43 seconds (healthy)"
    world.run()
    assert world.ledger.state is MoveState.DONE
    assert world.now_s - began_s >= 40


@pytest.mark.parametrize("step", FORWARD[:-2])
def test_each_step_can_be_cancelled(wire: requests_mock.Mocker, step: str) -> None:
    world = World(wire)
    world.run(until=step)
    world.ledger.cancel()
    assert world.run() == "It was cancelled; the container runs on its source."
    world.assert_back(MoveState.CANCELLED)


def test_a_stop_that_is_on_its_way_does_not_outlast_a_cancel(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run(until="recorded")
    world.ledger.step(world.now_s)
    world.ledger.cancel()
    for _ in range(5):
        # The host has not begun to stop it, which still looks as if it ran.
        world.ledger.step(world.now_s)
        world.now_s += 2
    assert not world.ledger.is_over
    world.run()
    world.assert_back(MoveState.CANCELLED)


def test_it_is_too_late_to_cancel_when_the_source_is_being_deleted(
    wire: requests_mock.Mocker,
) -> None:
    world = World(wire)
    world.run(until="deleting")
    world.ledger.cancel()
    world.run()
    assert (world.ledger.state, world.container()["host"]) == (MoveState.DONE, TARGET)


@pytest.mark.parametrize("step", FORWARD[:-2])
def test_a_container_that_its_owner_deletes_leaves_nothing_behind(
    wire: requests_mock.Mocker, step: str
) -> None:
    world = World(wire)
    world.run(until=step)
    world.zun.containers[world.task]["status"] = "Stopped"
    zun, *_ = world.zun.clients()
    zun.delete(PROJECT, world.task)
    world.zun.carry_out()
    assert world.run() == f"Container {world.task} was deleted by its owner."
    assert world.ledger.state is MoveState.CANCELLED
    assert (world.zun.containers, world.zun.ports, world.zun.placement.claims) == ({}, {}, {})


def test_one_that_is_started_on_its_source_meanwhile_stays_there(
    wire: requests_mock.Mocker,
) -> None:
    world = World(wire)
    world.run(until="creating")
    world.zun.containers[world.task]["status"] = "Running"
    assert "is Running on its source again" in world.run()
    world.assert_back()


def test_an_address_that_somebody_else_takes_does_not_keep_the_container_down(
    wire: requests_mock.Mocker,
) -> None:
    world = World(wire)
    world.run(until="detached")
    world.zun._new_port({"fixed_ips": [{"subnet_id": "subnet-1", "ip_address": ADDRESS}]})
    world.run()
    assert (world.ledger.state, world.container()["uuid"]) == (MoveState.FAILED, world.task)
    assert world.address() != ADDRESS


def test_a_target_that_is_down_is_given_up_after_a_while(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run(until="created")
    world.zun.down.add(TARGET)
    began_s = world.now_s
    world.run()
    assert (world.ledger.state, world.container()["uuid"]) == (MoveState.FAILED, world.task)
    assert world.address() == ADDRESS
    assert 600 <= world.now_s - began_s <= 700
    world.zun.down.clear()
    world.zun.carry_out()
    assert list(world.zun.containers) == [world.task]
    assert (world.address(), world.zun.ran) == (ADDRESS, 1)


def test_a_target_that_dies_before_it_begins_leaves_no_claim(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run(until="creating")
    world.zun.down.add(TARGET)
    world.run(until="undoing")
    assert set(world.zun.placement.claims.values()) == {SOURCE, TARGET}
    world.run()
    world.assert_back()
    world.zun.down.clear()
    world.zun.carry_out()
    world.assert_back()


def test_a_claim_that_may_not_be_given_back_is_told_of(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run(until="creating")
    world.zun.down.add(TARGET)
    world.zun.placement.refuses = [403]
    said = world.run()
    assert (world.ledger.state, world.container()["uuid"]) == (MoveState.FAILED, world.task)
    assert "is left, for the doctor to find" in said


def test_a_target_that_zun_hears_of_is_waited_for(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run(until="started")
    [made] = world.zun.made()
    made["status_detail"] = "(unhealthy)"
    world.run(until="undoing")
    for _ in range(300):
        world.ledger.step(world.now_s)
        world.now_s += 2
    # It may run on, so that the one on the source does not.
    assert not world.ledger.is_over
    assert world.zun.containers[world.task]["status"] == "Stopped"
    world.run()
    world.assert_back()


def test_a_lost_request_for_the_container_is_sent_once_more_after_a_while(
    wire: requests_mock.Mocker,
) -> None:
    world = World(wire)
    world.run(until="creating")
    world.zun.lost = "before"
    began_s = world.now_s
    world.run()
    assert world.ledger.state is MoveState.DONE
    assert world.now_s - began_s >= 60
    assert world.zun.asked.count("POST /containers/") == 2


def test_a_request_for_the_container_that_may_have_been_sent_is_not_sent_again_at_once(
    wire: requests_mock.Mocker,
) -> None:
    world = World(wire)
    world.run(until="creating")
    world.ledger.attempt()
    world.ledger.kill()
    world.run(until="created")
    assert world.zun.asked.count("POST /containers/") == 1
    world.run()
    assert (world.ledger.state, world.zun.ran) == (MoveState.DONE, 1)


def test_a_refusal_brings_the_container_back_at_once(wire: requests_mock.Mocker) -> None:
    world = World(wire)
    world.run(until="creating")
    wire.post(
        "http://container/containers/", status_code=403, json={"errors": [{"detail": "quota"}]}
    )
    began_s = world.now_s
    assert "403" in world.run()
    world.assert_back()
    assert world.now_s - began_s < 30


def test_without_a_role_in_its_project_the_container_is_not_touched(
    wire: requests_mock.Mocker,
) -> None:
    world = World(wire)
    uuid = world.task
    wire.get(f"http://container/containers/{uuid}", status_code=403, json={})
    text = world.run()
    assert text.startswith("The move was not begun: ")
    assert "the role admin in the project of the container" in text
    assert world.zun.asked == []


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_request_that_arrives_late_makes_no_second_container(
    wire: requests_mock.Mocker, is_cancelled: bool
) -> None:
    world = World(wire)
    world.run(until="creating")
    world.zun.lost = "later"
    world.ledger.attempt()
    world.ledger.kill()
    if is_cancelled:
        world.ledger.cancel()
    for _ in range(15):
        world.ledger.step(world.now_s)
        world.zun.carry_out()
        world.now_s += 2
    assert world.zun.made() == []
    assert world.zun.running() == []
    world.zun.arrive()
    world.run()
    if is_cancelled:
        world.assert_back(MoveState.CANCELLED)
    else:
        assert (world.ledger.state, world.zun.ran) == (MoveState.DONE, 1)
    assert world.zun.asked.count("POST /containers/") == 1
