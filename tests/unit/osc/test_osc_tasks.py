# SPDX-License-Identifier: Apache-2.0
"""Declared tasks by ``openstack hybrid task``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_site import Site
from keystone import Keystone
from osc_shell import OpenStack, Said

from hybrid_sched.cli import task_progress
from hybrid_sched.core.queued import TaskState

FILE = """
tasks:
  - name: seed
    duration: 90s
    deadline: 1h
    server: {flavor: m1.small, image: cirros}
  - name: worker
    count: 2
    after: [seed]
    container: {image: busybox, command: [sleep, "60"], cpu: 0.5}
"""
ONE = "tasks: [{name: one, container: {image: busybox}}]"


@pytest.fixture
def create(openstack: OpenStack, tmp_path: Path) -> Any:
    def run(*options: str, text: str = FILE, user: str = "member") -> Said:
        file = tmp_path / "tasks.yaml"
        file.write_text(text)
        return openstack.hybrid("task", "create", str(file), *options, "-f", "json", user=user)

    return run


def set_state(site: Site, name: str, **changes: Any) -> None:
    [task] = [each for each in site.engine.store.list() if each.name == name]
    assert site.engine.store.update(replace(task, **changes), task.state, site.engine.world.term)


def test_tasks_of_a_file_are_created_and_listed(
    site: Site, openstack: OpenStack, create: Any
) -> None:
    created = create().json
    assert [row["Name"] for row in created] == ["seed", "worker-1", "worker-2"]
    assert created[0] == {
        "Name": "seed",
        "UUID": created[0]["UUID"],
        "Framework": "hypervisor",
        "State": "waiting",
        "Priority": 0,
        "Host": "",
        "Waits/Reason": "It has arrived and waits to be planned.",
        "Duration": 90.0,
    }
    assert openstack.json("task", "list", user="reader") == created
    set_state(site, "seed", state=TaskState.DONE)

    def names(*options: str) -> list[str]:
        rows = openstack.json("task", "list", *options, user="reader")
        return [row["Name"] for row in rows]

    assert names() == ["worker-1", "worker-2"]
    assert names("--all") == ["seed", "worker-1", "worker-2"]
    assert names("--state", "done") == ["seed"]


def test_what_the_file_says_arrives(site: Site, openstack: OpenStack, create: Any) -> None:
    seed, worker, _ = create().json
    shown = openstack.json("task", "show", "worker-1", user="member")
    assert shown["UUID"] == worker["UUID"]
    assert shown["Specification"] == {"image": "busybox", "command": ["sleep", "60"], "cpu": 0.5}
    assert shown["After"] == [seed["UUID"]]
    assert shown["Estimate"].startswith("about 40 s")
    first = openstack.json("task", "show", seed["UUID"].upper(), user="member")
    assert first["Deadline"] == pytest.approx(first["Submitted"] + 3600)


def test_the_engine_is_trusted_with_it(site: Site, keystone: Keystone, create: Any) -> None:
    create()
    [trust] = keystone.trusts.values()
    assert (trust["trustor_user_id"], trust["project_id"]) == ("id-member", "one")
    assert create(text="tasks: [{name: a, server: {flavor: gone, image: i}}]").code == 1
    # What was given for tasks that were refused is taken back.
    assert list(keystone.trusts.values()) == [trust]


def test_faults_are_told_before_anything_is_sent(
    site: Site, openstack: OpenStack, create: Any
) -> None:
    said = create(text="tasks: [{name: a, server: {flavor: f}}, 5]")
    assert (said.code, said.out) == (1, "")
    lines = said.err.splitlines()
    assert lines[0].endswith("tasks.yaml cannot be used:")
    assert lines[1] == "  tasks[0].server.image: it is missing: add it"
    assert lines[-1] == "Nothing was put into the queue."
    assert site.engine.asked == []


def test_what_the_service_refuses_is_told(site: Site, create: Any) -> None:
    said = create(text="tasks: [{name: a, server: {flavor: gone, image: i}}]")
    assert (said.code, said.out) == (1, "")
    assert "there is no flavor 'gone'" in said.err


def test_a_submission_that_is_repeated_doubles_nothing(
    site: Site, openstack: OpenStack, create: Any
) -> None:
    options = ("--submission", "7e3bd3d2-4c6b-4fd7-8b3a-5f3e3ec0c0de")
    first, second = create(*options).json, create(*options).json
    assert first == second
    assert len(openstack.json("task", "list", user="member")) == 3


def test_without_an_answer_it_is_said_how_to_repeat(site: Site, create: Any) -> None:
    site.engine.down = True
    said = create(text=ONE)
    assert (said.code, said.out) == (1, "")
    assert "repeat the command with --submission" in said.err
    # It was sent twice.
    assert len(site.engine.asked) == 2
    assert "secret" not in said.err


def test_tasks_of_another_project_are_as_if_they_were_not(
    site: Site, openstack: OpenStack, create: Any
) -> None:
    [task] = create(text=ONE).json
    assert openstack.json("task", "list", "--all", user="other") == []
    for words in (("show", task["UUID"]), ("show", "one"), ("cancel", task["UUID"])):
        said = openstack.hybrid("task", *words, user="other")
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("There is no task")
        assert said.err.endswith("give a name or UUID of `openstack hybrid task list --all`.\n")
    said = openstack.hybrid("task", "list", "--all-projects", user="other")
    assert (said.code, "HTTP 403" in said.err) == (1, True)
    # Administrators see all.
    assert openstack.json("task", "list") == []
    assert openstack.json("task", "list", "--all-projects") == [task]
    assert openstack.json("task", "list", "--project", "one") == [task]
    assert openstack.json("task", "list", "--project", "two") == []


def test_a_reader_changes_nothing(site: Site, openstack: OpenStack, create: Any) -> None:
    [task] = create(text=ONE).json
    said = create(text=ONE, user="reader")
    assert (said.code, "HTTP 403" in said.err) == (1, True)
    said = openstack.hybrid("task", "cancel", task["UUID"], user="reader")
    assert (said.code, "HTTP 403" in said.err) == (1, True)
    [row] = openstack.json("task", "list", user="reader")
    assert row["State"] == "waiting"


def test_tasks_are_cancelled_all_or_none(site: Site, openstack: OpenStack, create: Any) -> None:
    created = create().json
    said = openstack.hybrid("task", "cancel", "seed", "gone", user="member")
    assert (said.code, said.out) == (1, "")
    assert "There is no task that has not ended named 'gone'" in said.err
    assert {row["State"] for row in openstack.json("task", "list", user="member")} == {"waiting"}
    uuids = [created[1]["UUID"], "seed", created[1]["UUID"]]
    cancelled = openstack.json("task", "cancel", *uuids, user="member")
    assert [row["Name"] for row in cancelled] == ["worker-1", "seed"]
    assert {row["State"] for row in cancelled} == {"cancelled"}


def test_of_several_with_a_name_a_uuid_is_asked_for(
    site: Site, openstack: OpenStack, create: Any
) -> None:
    first, second = (create(text=ONE).json[0]["UUID"] for _ in range(2))
    said = openstack.hybrid("task", "show", "one", user="member")
    assert said.code == 1
    assert first in said.err
    assert second in said.err
    openstack.json("task", "cancel", first, user="member")
    assert openstack.json("task", "show", "one", user="member")["UUID"] == second


@pytest.mark.parametrize(("state", "code"), [(TaskState.DONE, 0), (TaskState.FAILED, 1)])
def test_with_wait_changes_are_told_and_the_exit_code_says_whether_all_are_done(
    site: Site, create: Any, monkeypatch: pytest.MonkeyPatch, state: TaskState, code: int
) -> None:
    ask = site.engine.ask

    def change(method: str, timeout_s: float, arguments: dict[str, Any]) -> Any:
        # Of the looks after the submission the first one is that of its answer, the second one the first of the wait.
        since = site.engine.asked[site.engine.asked.index("submit_tasks") :] if submitted() else []
        if method == "tasks" and since.count("tasks") == 2:
            set_state(site, "one", state=state, host="a", text="It has ended.")
        return ask(method, timeout_s, arguments)

    def submitted() -> bool:
        return "submit_tasks" in site.engine.asked

    monkeypatch.setattr(site.engine, "ask", change)
    monkeypatch.setattr(task_progress, "_PERIOD_S", 0.0)
    said = create("--wait", text=ONE)
    assert said.code == code
    assert [row["State"] for row in json.loads(said.out)] == [state.value]
    lines = said.err.splitlines()
    assert lines[0].startswith("one ")
    assert lines[0].endswith("waiting: It has arrived and waits to be planned.")
    assert lines[1].endswith(f"{state.value} on a: It has ended.")
