# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import requests_mock
from nova_emulator import IMAGE, NETWORK, NovaEmulator

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.launcher import CloudUnavailable, Launched, LaunchFault, Phase
from hybrid_sched.queue.launchers.nova import NovaLauncher


@pytest.fixture
def wire() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def nova(wire: requests_mock.Mocker) -> NovaEmulator:
    emulator = NovaEmulator(wire)
    emulator.flavors["small"] = {"vcpus": 2, "ram": 512, "extra_specs": {}}
    return emulator


@pytest.fixture
def launcher(nova: NovaEmulator) -> NovaLauncher:
    return NovaLauncher(nova.connection)


def task(**spec: Any) -> QueuedTask:
    spec = {"flavor": "small", "image": IMAGE, **spec}
    return QueuedTask("task-1", "one", HYPERVISOR, Resources(), spec)


def test_a_server_is_asked_for_with_the_planned_host_as_hint_and_the_key_as_metadata(
    nova: NovaEmulator, launcher: NovaLauncher
) -> None:
    assert launcher.launch(task(), "h7") == "s1"
    [body] = nova.created
    assert body == {
        "server": {
            "name": "one",
            "flavorRef": "id-of-small",
            "imageRef": IMAGE,
            "networks": "auto",
            "metadata": {"hybrid:task": "task-1"},
        },
        "OS-SCH-HNT:scheduler_hints": {"hybrid_host": "h7"},
        "microversion": "compute 2.61",
    }


def test_all_that_a_server_may_be_declared_with_is_passed_on(
    nova: NovaEmulator, launcher: NovaLauncher
) -> None:
    launcher.launch(
        task(
            image="my image",
            networks=["my network", NETWORK],
            key_name="key",
            user_data="#!/bin/sh\n",
            security_groups=["web"],
            availability_zone="az1",
            metadata={"a": "b"},
        ),
        "",
    )
    [body] = nova.created
    server = body["server"]
    assert "OS-SCH-HNT:scheduler_hints" not in body
    assert server["imageRef"] == IMAGE
    assert server["networks"] == [{"uuid": NETWORK}] * 2
    assert base64.b64decode(server["user_data"]) == b"#!/bin/sh\n"
    assert (server["key_name"], server["availability_zone"]) == ("key", "az1")
    assert server["security_groups"] == [{"name": "web"}]
    assert server["metadata"] == {"a": "b", "hybrid:task": "task-1"}


def test_a_zone_that_names_a_host_is_refused_since_it_would_pass_every_filter(
    nova: NovaEmulator, launcher: NovaLauncher
) -> None:
    for ask in (
        lambda each: launcher.launch(each, "h1"),
        lambda each: launcher.resolve(each.spec),
    ):
        with pytest.raises(LaunchFault, match="availability_zone: a host is named") as fault:
            ask(task(availability_zone="nova:h1"))
        assert not fault.value.again
    assert nova.created == []


@pytest.mark.parametrize(
    "spec", [{"flavor": "big"}, {"image": "other"}, {"networks": ["elsewhere"]}]
)
def test_what_is_named_and_not_there_is_refused_for_good(
    launcher: NovaLauncher, spec: dict[str, Any]
) -> None:
    with pytest.raises(LaunchFault, match="there is no") as fault:
        launcher.launch(task(**spec), "h1")
    assert not fault.value.again


def test_names_are_looked_up_once_a_round(nova: NovaEmulator, launcher: NovaLauncher) -> None:
    for _ in range(3):
        launcher.launch(task(), "h1")
    once = nova.lookups
    launcher.look([])
    launcher.launch(task(), "h1")
    assert nova.lookups == 2 * once


@pytest.mark.parametrize(
    ("extra_specs", "demand"),
    [
        ({}, (2, 512)),
        ({"hw:cpu_policy": "dedicated"}, (2, 512)),
        ({"resources:VCPU": "0", "resources:MEMORY_MB": "64"}, (0, 64)),
        ({"resources:PCPU": "1"}, (3, 512)),
        ({"hw:cpu_policy": "dedicated", "resources:PCPU": "3"}, (3, 512)),
    ],
)
def test_the_demand_is_the_flavor_with_the_overrides_of_its_extra_specs(
    nova: NovaEmulator,
    launcher: NovaLauncher,
    extra_specs: dict[str, str],
    demand: tuple[int, int],
) -> None:
    nova.flavors["small"]["extra_specs"] = extra_specs
    assert launcher.resolve({"flavor": "small"})[:2] == demand


def test_a_flavor_that_is_not_there_is_named(launcher: NovaLauncher) -> None:
    with pytest.raises(LaunchFault, match="flavor: there is no flavor 'big' for this project"):
        launcher.resolve({"flavor": "big"})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "BUILD"}, {"phase": Phase.BUILDING}),
        ({"status": "ACTIVE"}, {"phase": Phase.RUNNING}),
        ({"status": "PAUSED"}, {"phase": Phase.RUNNING}),
        ({"status": "SHUTOFF"}, {"phase": Phase.ENDED}),
        (
            {"status": "ERROR", "fault": {"message": "Disk\nfull"}},
            {"phase": Phase.FAILED, "text": "Disk full."},
        ),
        (
            {"status": "ERROR", "fault": {"message": "No valid host was found. None."}},
            {"phase": Phase.FAILED, "text": "No valid host was found. None.", "no_room": True},
        ),
    ],
)
def test_phases_are_told_from_the_status(
    nova: NovaEmulator, launcher: NovaLauncher, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    nova.add("a", metadata={"hybrid:task": "task-1"}, **fields)
    created_at_s = 1793527200.0
    assert launcher.look([])["a"] == Launched(
        "a", key="task-1", host="h1", created_at_s=created_at_s, **expected
    )


def test_a_look_tells_of_those_asked_for_and_of_all_that_carry_a_key_on_every_page(
    nova: NovaEmulator, launcher: NovaLauncher
) -> None:
    nova.page = 2
    for number in range(5):
        nova.add(f"plain-{number}")
    nova.add("keyed", metadata={"hybrid:task": "task-9"})
    nova.add("unlisted")
    nova.hidden = {"unlisted"}
    seen = launcher.look(["plain-1", "unlisted", "nowhere"])
    assert {uuid: each.phase for uuid, each in seen.items()} == {
        "plain-1": Phase.RUNNING,
        "keyed": Phase.RUNNING,
        "unlisted": Phase.RUNNING,
        "nowhere": Phase.GONE,
    }


def test_what_carries_a_key_is_found_oldest_first(
    nova: NovaEmulator, launcher: NovaLauncher
) -> None:
    key = {"hybrid:task": "task-1"}
    nova.add("young", metadata=key, created="2026-11-01T10:00:05Z")
    nova.add("old", metadata=key)
    nova.add("other", metadata={"hybrid:task": "task-2"})
    assert [each.uuid for each in launcher.find("task-1")] == ["old", "young"]


def test_a_server_that_is_gone_is_deleted_already(
    nova: NovaEmulator, launcher: NovaLauncher
) -> None:
    nova.add("a")
    launcher.delete("a")
    launcher.delete("b")
    assert nova.deleted == ["a", "b"]


@pytest.mark.parametrize(
    ("status", "message", "again", "no_room"),
    [
        (400, "Invalid key_name provided.", False, False),
        (403, "Quota exceeded for cores: Requested 2", True, True),
        (403, "Policy doesn't allow it.", True, False),
        (409, "Multiple possible networks found", True, False),
    ],
)
def test_a_refusal_says_whether_it_is_for_good(
    nova: NovaEmulator,
    launcher: NovaLauncher,
    status: int,
    message: str,
    again: bool,
    no_room: bool,
) -> None:
    nova.refusal = status, {"badRequest": {"message": message, "code": status}}
    with pytest.raises(LaunchFault) as fault:
        launcher.launch(task(), "h1")
    assert message in str(fault.value)
    assert (fault.value.again, fault.value.no_room) == (again, no_room)


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_service_that_does_not_answer_as_it_should_is_no_fault_of_the_task(
    nova: NovaEmulator, launcher: NovaLauncher, status: int
) -> None:
    nova.refusal = status, {"computeFault": {"message": "Sorry.", "code": status}}
    with pytest.raises(CloudUnavailable):
        launcher.launch(task(), "h1")


def test_a_request_is_sent_once_whether_it_arrives_or_not(
    wire: requests_mock.Mocker, nova: NovaEmulator, launcher: NovaLauncher
) -> None:
    launcher.launch(task(), "h1")
    sent = wire.post(f"{nova.url}/servers", exc=requests.exceptions.ConnectTimeout)
    with pytest.raises(CloudUnavailable):
        launcher.launch(task(), "h1")
    assert sent.call_count == 1
