# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid`` with the lab's Keystone: what administrators, members and readers can do, and others cannot."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from moving import start_container

from lab.cloud import NETWORK, Cloud, wait_for
from lab.layout import Lab

pytestmark = pytest.mark.timeout(900)

_PROJECTS = {
    "osc-one": {"osc-member": "member", "osc-reader": "reader"},
    "osc-two": {"osc-other": "member"},
}
_TIMEOUT_S = 240


def container(name: str, seconds: int, memory_mb: int = 128) -> dict[str, Any]:
    return {
        "name": name,
        "container": {
            "image": "lab/busybox:1",
            "image_pull_policy": "never",
            "command": ["sleep", str(seconds)],
            "cpu": 0.5,
            "memory_mb": memory_mb,
            "networks": [NETWORK],
        },
    }


#: It asks for more than any host has, so that it waits.
HUGE = container("osc-huge", 5, memory_mb=2**20)


@dataclass
class User:
    """Somebody who gives commands.

    :param lab: whose cloud it is.
    :param folder: for files of tasks.
    :param name: of the account; the administrator without one.
    :param project: of the account.
    """

    lab: Lab
    folder: Path
    name: str = ""
    project: str = ""

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.lab.client_environment()}
        if self.name:
            environment |= {"OS_USERNAME": self.name, "OS_PROJECT_NAME": self.project}
        return subprocess.run(
            ["openstack", "hybrid", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *words: str) -> Any:
        done = self.run(*words, "-f", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str) -> str:
        """Give a command that is refused; gives why."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (1, ""), done
        assert "Traceback" not in done.stderr
        return done.stderr

    def create(self, *entries: dict[str, Any], options: tuple[str, ...] = ()) -> Any:
        file = self.folder / "tasks.json"
        file.write_text(json.dumps({"tasks": entries}))
        return self.json("task", "create", str(file), *options)

    def seen(self, *words: str, until: Callable[[Any], bool]) -> Any:
        return wait_for(lambda: self.json(*words), until, _TIMEOUT_S)


@pytest.fixture(scope="module")
def users(
    lab: Lab, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, User]]:
    """Give an administrator, a member, a reader, and a member of another project."""
    identity = cloud.sdk.identity
    folder = tmp_path_factory.mktemp("osc")
    made = {"admin": User(lab, folder)}
    for project_name, accounts in _PROJECTS.items():
        project = identity.find_project(project_name) or identity.create_project(
            name=project_name, domain_id="default"
        )
        for name, role_name in accounts.items():
            user = identity.find_user(name) or identity.create_user(
                name=name, password=lab.password, domain_id="default"
            )
            role = identity.find_role(role_name, ignore_missing=False)
            identity.assign_project_role_to_user(project.id, user.id, role.id)
            made[name.removeprefix("osc-")] = User(lab, folder, name, project_name)
    yield made
    for project_name, accounts in _PROJECTS.items():
        for name in accounts:
            identity.delete_user(identity.find_user(name))
        identity.delete_project(identity.find_project(project_name))


def test_an_administrator_sees_and_sets_everything(
    empty_cloud: Cloud, users: dict[str, User]
) -> None:
    admin = users["admin"]
    shares = admin.json("share", "list")
    assert {row["Framework"] for row in shares} == {"container", "hypervisor"}
    assert admin.json("share", "show", "container")[0]["Framework"] == "container"
    assert admin.run("share", "set", "container", "2").returncode == 0
    admin.seen(
        *("share", "list"),
        until=lambda rows: 2 in [row["Weight"] for row in rows if row["Framework"] == "container"],
    )
    assert admin.run("share", "set", "container", "default").returncode == 0
    hosts = admin.json("host", "list", "--fresh")
    assert hosts
    assert admin.json("host", "show", hosts[0]["Host"])["Capacity"]["vcpu"]
    score = {"CPU model": "Osc CPU*", "Memory kind": "*", "Score": "3/4", "Note": ""}
    assert admin.json("score", "set", "Osc CPU*", "0.75") == score
    assert score in admin.json("score", "list")
    assert admin.run("score", "remove", "Osc CPU*").returncode == 0
    assert score not in admin.json("score", "list")
    assert "Mode" in admin.json("watchdog", "show")
    assert admin.json("why-not", "--vcpu", "1", "--memory-mb", "64")["fits"] is True
    assert admin.json("why-not", "--flavor", "lab.medium")["framework"] == "hypervisor"


def test_a_task_is_waited_for_and_explained(empty_cloud: Cloud, users: dict[str, User]) -> None:
    admin = users["admin"]
    [ended] = admin.create(container("osc-short", 15), options=("--wait",))
    assert ended["State"] == "done", ended
    shown = admin.json("task", "show", ended["UUID"])
    assert shown["Server"]
    assert ended["UUID"] in [row["UUID"] for row in admin.json("task", "list", "--all")]
    why = admin.json("why", shown["Server"])
    assert (why["kind"], why["chosen"]) == ("container", shown["Host"])
    admin.seen(
        "receipt", "list", until=lambda rows: shown["Server"] in [row["UUID"] for row in rows]
    )
    assert admin.json("receipt", "show", shown["Server"])["UUID"] == shown["Server"]


def test_a_host_is_drained_by_the_plan_that_was_shown(
    empty_cloud: Cloud, lab: Lab, users: dict[str, User], tmp_path: Path
) -> None:
    admin, file = users["admin"], tmp_path / "plan.json"
    host = lab.hosts[0].name
    moved, _ = start_container(empty_cloud, "demo-moved", 0.1, 64, "sleep 3600", host)
    assert isinstance(admin.json("rebalance", "plan"), list)
    planned = admin.seen("drain", host, "--output", str(file), until=bool)
    assert (moved, host) in [(row["Task"], row["From"]) for row in planned]
    assert admin.json("watchdog", "show")["Drained"] == []
    try:
        applied = admin.json("rebalance", "apply", str(file))
        assert {row["Plan"] for row in applied} == {planned[0]["Plan"]}
        assert admin.json("watchdog", "show")["Drained"] == [host]
        listed = {row["UUID"] for row in admin.json("move", "list")}
        assert {row["UUID"] for row in applied} <= listed
        assert admin.refused("rebalance", "apply", str(file))
    finally:
        undone = admin.run("drain", host, "--undo")
    assert undone.returncode == 0, undone.stderr
    assert admin.json("watchdog", "show")["Drained"] == []
    admin.seen(
        *("move", "list", "--state", "planned", "--state", "running"), until=lambda rows: not rows
    )
    assert "there is no move or plan" in admin.refused("rebalance", "cancel", planned[0]["Plan"])


def test_members_see_their_own_tasks_alone_and_readers_change_nothing(
    empty_cloud: Cloud, users: dict[str, User]
) -> None:
    member, reader, other = users["member"], users["reader"], users["other"]
    [task] = member.create(HUGE)
    uuid = task["UUID"]
    try:
        assert [row["UUID"] for row in member.json("task", "list")] == [uuid]
        assert [row["UUID"] for row in reader.json("task", "list")] == [uuid]
        assert other.json("task", "list", "--all") == []
        assert uuid not in [row["UUID"] for row in users["admin"].json("task", "list")]
        assert uuid in [
            row["UUID"] for row in users["admin"].json("task", "list", "--all-projects")
        ]
        for words in (("show", uuid), ("cancel", uuid)):
            assert "There is no task" in other.refused("task", *words)
        for user in (member, reader, other):
            for words in (
                ("share", "list"),
                ("share", "set", "container", "2"),
                ("host", "list"),
                ("score", "set", "x", "1"),
                ("rebalance", "plan"),
                ("drain", "x", "--undo"),
                ("task", "list", "--all-projects"),
            ):
                assert "HTTP 403" in user.refused(*words)
        file = reader.folder / "tasks.json"
        assert "HTTP 403" in reader.refused("task", "create", str(file))
        assert "HTTP 403" in reader.refused("task", "cancel", uuid)
        assert member.json("task", "show", uuid)["State"] == "waiting"
    finally:
        [cancelled] = member.json("task", "cancel", uuid)
    assert cancelled["State"] == "cancelled"


def test_without_a_token_all_is_refused(lab: Lab, cloud: Cloud) -> None:
    url = cloud.sdk.session.get_endpoint(service_type="hybrid-scheduling", interface="public")
    without = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    done = subprocess.run(
        [
            *("openstack", "--os-auth-type", "none", "--os-endpoint", url),
            *("--os-hybrid-endpoint-override", url, "hybrid", "share", "list"),
        ],
        env={**without, "PATH": lab.client_environment()["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no valid token" in done.stderr
