# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import requests_mock
from nova_emulator import zun_service

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.launcher import CloudUnavailable, Launched, LaunchFault, Phase
from hybrid_sched.queue.launchers.zun import MICROVERSION, ZunLauncher

URL = "http://container/v1/containers/"
_ONE = re.compile(rf"^{URL}[^?/]+")


@pytest.fixture
def wire() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.fixture
def launcher() -> ZunLauncher:
    return ZunLauncher(zun_service(MICROVERSION))


def row(uuid: str, **fields: Any) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "name": uuid,
        "status": "Running",
        "status_reason": None,
        "status_detail": None,
        "labels": {},
        "host": "h1",
        "created_at": "2026-11-01 10:00:00+00:00",
        **fields,
    }


class Containers:
    """Rows of an emulated Zun; what a listing tells may be old, what is asked for by itself is new."""

    def __init__(self, wire: requests_mock.Mocker, *rows: dict[str, Any]) -> None:
        self.rows = {each["uuid"]: each for each in rows}
        self.fresh: dict[str, dict[str, Any]] = {}
        self.page = 1000
        self.asked: list[str] = []
        wire.get(_ONE, json=self._show)
        wire.get(re.compile(rf"^{URL}(\?|$)"), json=self._list)

    def _list(self, request: Any, _context: Any) -> dict[str, Any]:
        rows = list(self.rows.values())
        marker = request.qs.get("marker")
        begin = 1 + [each["uuid"] for each in rows].index(marker[0]) if marker else 0
        more = begin + self.page < len(rows)
        return {"containers": rows[begin : begin + self.page], "next": URL if more else None}

    def _show(self, request: Any, context: Any) -> dict[str, Any]:
        uuid = request.path.rsplit("/", 1)[1]
        self.asked.append(uuid)
        if uuid not in self.rows:
            context.status_code = 404
            return {"errors": [{"status": 404, "detail": "It is not there."}]}
        return {**self.rows[uuid], **self.fresh.get(uuid, {})}


def task(**spec: Any) -> QueuedTask:
    return QueuedTask("task-1", "one", CONTAINER, Resources(), {"image": "busybox", **spec})


def test_a_container_is_asked_for_with_the_planned_host_as_hint_and_the_key_as_label(
    wire: requests_mock.Mocker, launcher: ZunLauncher
) -> None:
    sent = wire.post(URL, status_code=202, json=row("c1"))
    everything = {
        "command": ["sleep", "60"],
        "cpu": 0.5,
        "memory_mb": 256,
        "disk_gb": 1,
        "environment": {"A": "b"},
        "labels": {"mine": "yes"},
        "networks": ["private"],
        "availability_zone": "az1",
        "image_driver": "glance",
        "image_pull_policy": "never",
    }
    assert launcher.launch(task(**everything), "h7") == "c1"
    assert sent.last_request.qs == {"run": ["true"]}
    assert sent.last_request.headers["OpenStack-API-Version"] == "container 1.40"
    assert sent.last_request.json() == {
        "name": "one",
        "image": "busybox",
        "command": ["sleep", "60"],
        "cpu": 0.5,
        "memory": 256,
        "disk": 1,
        "environment": {"A": "b"},
        "labels": {"mine": "yes", "hybrid:task": "task-1"},
        "nets": [{"network": "private"}],
        "availability_zone": "az1",
        "image_driver": "glance",
        "image_pull_policy": "never",
        "hints": {"hybrid_host": "h7"},
    }


def test_the_demand_is_what_zun_claims(launcher: ZunLauncher) -> None:
    assert launcher.resolve({})[:2] == (1, 512)
    assert launcher.resolve({"cpu": 2.5, "memory_mb": 64})[:2] == (3, 64)
    assert launcher.resolve({"cpu": 2, "memory_mb": 64})[:2] == (2, 64)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "Creating", "host": None}, {"phase": Phase.BUILDING, "host": ""}),
        ({"status": "Created"}, {"phase": Phase.BUILDING}),
        ({"status": "Running"}, {"phase": Phase.RUNNING}),
        ({"status": "Unknown"}, {"phase": Phase.RUNNING}),
        (
            {"status": "Error", "status_reason": "There are not enough hosts available."},
            {
                "phase": Phase.FAILED,
                "no_room": True,
                "text": "There are not enough hosts available.",
            },
        ),
        (
            {"status": "Error", "status_reason": "Image not found."},
            {"phase": Phase.FAILED, "text": "Image not found."},
        ),
        (
            {"status": "Stopped", "status_detail": "Exited(137) 3 seconds ago "},
            {"phase": Phase.ENDED, "exit_code": 137},
        ),
        (
            {"status": "Stopped", "status_detail": "Exited(0) 2 mins ago "},
            {"phase": Phase.ENDED, "exit_code": 0},
        ),
    ],
)
def test_phases_are_told_from_the_status(
    wire: requests_mock.Mocker,
    launcher: ZunLauncher,
    fields: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    Containers(wire, row("a", labels={"hybrid:task": "task-1"}, **fields))
    want = {"host": "h1", "key": "task-1", "created_at_s": 1793527200.0, **expected}
    assert launcher.look(["a"])["a"] == Launched("a", **want)


def test_the_exit_code_is_asked_for_where_the_listing_has_none(
    wire: requests_mock.Mocker, launcher: ZunLauncher
) -> None:
    zun = Containers(wire, row("a", status="Stopped"))
    zun.fresh["a"] = {"status_detail": "Exited(3) 1 hours ago "}
    assert launcher.look(["a"])["a"].exit_code == 3


def test_each_running_container_gets_its_turn_to_be_looked_at_on_its_host(
    wire: requests_mock.Mocker, launcher: ZunLauncher
) -> None:
    uuids = [f"c{number:02}" for number in range(40)]
    zun = Containers(wire, *map(row, uuids))
    zun.fresh["c39"] = {"status": "Stopped", "status_detail": "Exited(0) 1 seconds ago "}
    phases = [launcher.look(uuids)["c39"].phase for _ in range(3)]
    assert phases == [Phase.RUNNING, Phase.RUNNING, Phase.ENDED]
    assert set(zun.asked) == set(uuids)
    assert len(zun.asked) == 3 * 16


def test_a_look_tells_of_all_that_carry_a_key_on_every_page_and_of_what_is_gone(
    wire: requests_mock.Mocker, launcher: ZunLauncher
) -> None:
    zun = Containers(wire, *(row(f"c{number}") for number in range(5)))
    zun.rows["keyed"] = row("keyed", labels={"hybrid:task": "task-9"})
    zun.page = 2
    seen = launcher.look(["c1", "nowhere"])
    assert {uuid: each.phase for uuid, each in seen.items()} == {
        "c1": Phase.RUNNING,
        "keyed": Phase.RUNNING,
        "nowhere": Phase.GONE,
    }


def test_what_carries_a_key_is_found_oldest_first(
    wire: requests_mock.Mocker, launcher: ZunLauncher
) -> None:
    key = {"hybrid:task": "task-1"}
    Containers(
        wire,
        row("young", labels=key, created_at="2026-11-01 10:00:05+00:00"),
        row("old", labels=key),
        row("other", labels={"hybrid:task": "task-2"}),
    )
    assert [each.uuid for each in launcher.find("task-1")] == ["old", "young"]


@pytest.mark.parametrize(
    ("answers", "sent", "fails"),
    [
        ([204], ["stop=true"], False),
        ([404], ["stop=true"], False),
        ([409, 204], ["stop=true", "force=true"], False),
        ([409, 403], ["stop=true", "force=true"], True),
    ],
)
def test_a_container_is_stopped_and_deleted_or_by_force_where_it_cannot_be_stopped(
    wire: requests_mock.Mocker,
    launcher: ZunLauncher,
    answers: list[int],
    sent: list[str],
    fails: bool,
) -> None:
    asked = wire.delete(_ONE, [{"status_code": status, "json": {}} for status in answers])
    if fails:
        with pytest.raises(LaunchFault) as fault:
            launcher.delete("a")
        assert fault.value.again
    else:
        launcher.delete("a")
    assert [each.query for each in asked.request_history] == sent


def test_an_administrator_deletes_by_force_what_a_project_may_not(
    wire: requests_mock.Mocker,
) -> None:
    asked = wire.delete(_ONE, [{"status_code": status, "json": {}} for status in (409, 204)])
    administrator = zun_service(MICROVERSION)
    administrator.additional_headers = {"X-Who": "administrator"}
    ZunLauncher(zun_service(MICROVERSION), administrator).delete("a")
    assert [each.query for each in asked.request_history] == [
        "stop=true",
        "force=true&all_projects=true",
    ]
    assert ["X-Who" in each.headers for each in asked.request_history] == [False, True]


@pytest.mark.parametrize(
    ("status", "detail", "again", "no_room"),
    [
        (400, "Invalid input for field name.", False, False),
        (403, "Quota exceeded for resources: cpu", True, True),
        (409, "A container with that name exists.", True, False),
    ],
)
def test_a_refusal_says_whether_it_is_for_good(
    wire: requests_mock.Mocker,
    launcher: ZunLauncher,
    status: int,
    detail: str,
    again: bool,
    no_room: bool,
) -> None:
    wire.post(
        URL,
        status_code=status,
        json={"errors": [{"status": status, "title": detail, "detail": detail}]},
        headers={"Content-Type": "application/json"},
    )
    with pytest.raises(LaunchFault) as fault:
        launcher.launch(task(), "h1")
    assert detail in str(fault.value)
    assert (fault.value.again, fault.value.no_room) == (again, no_room)


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 500},
        {"status_code": 503},
        {"status_code": 401},
        {"exc": requests.exceptions.ConnectTimeout},
        {"status_code": 202, "text": "not JSON"},
    ],
)
def test_a_request_without_an_answer_is_sent_once_and_may_have_been_carried_out(
    wire: requests_mock.Mocker, launcher: ZunLauncher, answer: dict[str, Any]
) -> None:
    sent = wire.post(URL, **answer)
    with pytest.raises(CloudUnavailable):
        launcher.launch(task(), "h1")
    assert sent.call_count == 1


def test_a_listing_that_cannot_be_read_is_no_word_on_the_containers(
    wire: requests_mock.Mocker, launcher: ZunLauncher
) -> None:
    wire.get(re.compile(rf"^{URL}"), json={"containers": [row("a", labels="none")]})
    with pytest.raises(CloudUnavailable, match=r"container\.labels"):
        launcher.look(["a"])
