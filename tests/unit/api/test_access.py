# SPDX-License-Identifier: Apache-2.0
"""Who may do what: tokens, roles, scopes, and other projects' tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from api_site import (
    ADMIN,
    BIG,
    MANAGER,
    MEMBER,
    OTHER,
    READER,
    STRANGER,
    SYSTEM_READER,
    Site,
)

from hybrid_sched.api.policies import list_rules
from hybrid_sched.api.route import Route
from hybrid_sched.api.routes import ROUTES
from hybrid_sched.db import Database

_PROTECTED = [route for route in ROUTES if route.policy]
_NAMES = {
    "/v1/frameworks/{name}": "/v1/frameworks/container",
    "/v1/frameworks/{name}/weight": "/v1/frameworks/container/weight",
}
# What is sent so that nothing but the rights of the caller can be wrong.
_BODIES = {
    "set_weight": {"weight": 1},
    "create_tasks": {"tasks": [{"name": "db", "container": {"image": "busybox"}}]},
    "why_not": {"demand": {"vcpu": 1}},
    "cancel_moves": {"uuids": [BIG]},
    "apply_plan": {"plan": BIG},
    "set_score": {"cpu_model": "x", "score": 1},
}


def path_of(route: Route) -> str:
    path = _NAMES.get(route.path, route.path)
    path = path.replace("{name}", "a").replace("{uuid}", BIG)
    return f"{path}?cpu_model=x" if route.operation == "remove_score" else path


def status(site: Site, route: Route, token: str | None) -> int:
    body = _BODIES.get(route.operation, {} if route.body else None)
    answer = site.send(route.method, path_of(route), token, body)
    site._documented(route.method, path_of(route), answer)
    return int(answer.status_int)


def statuses(site: Site, token: str | None) -> dict[str, int]:
    """Ask everything that takes a token; gives the status of each operation."""
    return {route.operation: status(site, route, token) for route in _PROTECTED}


@pytest.mark.parametrize("token", [None, "forged"])
def test_nothing_is_told_or_done_without_a_token(site: Site, token: str | None) -> None:
    assert set(statuses(site, token).values()) == {401}
    assert site.engine.asked == []


def test_a_token_without_a_role_opens_nothing(site: Site) -> None:
    assert set(statuses(site, STRANGER).values()) == {403}
    assert site.engine.asked == []


def test_an_administrator_may_do_everything(site: Site) -> None:
    assert set(statuses(site, ADMIN).values()) == {200, 201, 202, 204, 404, 409}


def test_a_reader_changes_nothing(site: Site) -> None:
    reads = {
        route.operation
        for route in _PROTECTED
        if route.method == "GET" or route.operation == "why_not"
    }
    of_system, of_project = statuses(site, SYSTEM_READER), statuses(site, READER)
    assert {name for name, each in of_system.items() if each == 403} == of_system.keys() - reads
    assert {name for name, each in of_project.items() if each != 403} == {
        *("list_tasks", "show_task", "show_decision", "explain", "show_receipt"),
    }


def test_those_of_a_project_see_their_tasks_and_not_how_the_cloud_is_shared(site: Site) -> None:
    found = statuses(site, MEMBER)
    assert {name for name, each in found.items() if each != 403} == {
        *("list_tasks", "create_tasks", "show_task", "cancel_task"),
        *("show_decision", "explain", "show_receipt"),
    }


def test_headers_of_the_middleware_cannot_be_forged(site: Site) -> None:
    forged = {"X-Identity-Status": "Confirmed", "X-Roles": "admin", "X-Project-Id": "one"}
    for token in (None, STRANGER):
        answer = site.send("GET", "/v1/hosts", token, headers=forged)
        assert answer.status_int == (401 if token is None else 403)
    assert site.send("GET", "/v1", None, headers=forged).status_int == 200


def test_tasks_of_another_project_look_as_if_they_were_not_there(site: Site) -> None:
    [mine] = site.submit("mine")
    [theirs] = site.submit("theirs", token=OTHER)
    assert [row["name"] for row in site.get("/v1/tasks", MEMBER)["tasks"]] == ["mine"]
    assert [row["name"] for row in site.get("/v1/tasks", OTHER)["tasks"]] == ["theirs"]
    path = f"/v1/tasks/{theirs['uuid']}"
    absent = site.get(f"/v1/tasks/{BIG}", MEMBER, 404)["errors"][0]["detail"]
    said = site.get(path, MEMBER, 404)["errors"][0]["detail"]
    assert said == absent.replace(BIG, theirs["uuid"])
    site.delete(path, MEMBER, 404)
    assert site.get(path, OTHER)["task"]["state"] == "waiting"
    # Nor may they be waited for, or found out by a marker.
    entry = {"name": "web", "container": {"image": "busybox"}, "after": [theirs["uuid"]]}
    [error] = site.post("/v1/tasks", {"tasks": [entry]}, MEMBER, 400)["errors"]
    assert "there is no task" in error["detail"]
    entry["after"] = [mine["uuid"]]
    site.post("/v1/tasks", {"tasks": [entry]}, MEMBER, 201)
    site.get(f"/v1/tasks?marker={theirs['uuid']}", MEMBER, 400)


def test_a_submission_of_another_project_is_not_taken_for_ones_own(site: Site) -> None:
    body = {"tasks": [{"name": "db", "container": {"image": "busybox"}}], "submission": BIG}
    [mine] = site.post("/v1/tasks", body, MEMBER, 201)["tasks"]
    [theirs] = site.post("/v1/tasks", body, OTHER, 201)["tasks"]
    assert mine["uuid"] != theirs["uuid"]
    assert (mine["project_id"], theirs["project_id"]) == ("one", "two")


def test_all_projects_are_for_those_who_may_see_them(site: Site) -> None:
    site.submit("mine")
    site.submit("theirs", token=OTHER)
    for path in ("/v1/tasks?all_projects=true", "/v1/tasks?project_id=two"):
        site.get(path, MEMBER, 403)
    for token in (ADMIN, SYSTEM_READER):
        rows = site.get("/v1/tasks?all_projects=true", token)["tasks"]
        assert [row["project_id"] for row in rows] == ["one", "two"]
        [only] = site.get("/v1/tasks?project_id=two", token)["tasks"]
        assert only["name"] == "theirs"
    # The administrator's own project has none; a reader of the system has no project.
    assert site.get("/v1/tasks", ADMIN)["tasks"] == []
    assert len(site.get("/v1/tasks", SYSTEM_READER)["tasks"]) == 2
    assert [row["name"] for row in site.get("/v1/tasks?project_id=one", MEMBER)["tasks"]] == [
        "mine"
    ]


def test_what_operators_declare_is_nobodys_else(site: Site) -> None:
    [row] = site.submit("db")
    task = site.engine.store.get(row["uuid"])
    of_operator = replace(task, uuid=BIG, name="ops", project_id="", user_id="")
    site.engine.store.add([of_operator], site.engine.world.term)
    for token in (MEMBER, READER, MANAGER, OTHER):
        site.get(f"/v1/tasks/{BIG}", token, 404)
    assert site.get(f"/v1/tasks/{BIG}", ADMIN)["task"]["name"] == "ops"
    rows = site.get("/v1/tasks?project_id=", ADMIN)["tasks"]
    assert [each["name"] for each in rows] == ["ops"]


def test_a_priority_above_zero_takes_a_manager(site: Site) -> None:
    body = {"tasks": [{"name": "db", "container": {"image": "busybox"}, "priority": 1}]}
    [error] = site.post("/v1/tasks", body, MEMBER, 403)["errors"]
    assert "hybrid_scheduling:tasks:raise_priority" in error["detail"]
    assert site.post("/v1/tasks", body, MANAGER, 201)["tasks"][0]["priority"] == 1


@pytest.mark.parametrize("path", ["/v1/decisions/{}", "/v1/why/{}"])
def test_a_project_sees_decisions_on_its_tasks_alone(site: Site, path: str) -> None:
    [row] = site.submit("db")
    server = "0dd3c4a2-5f0c-4c51-a0e5-2d7d57b1a001"
    site.engine.launched(row["uuid"], server)
    for uuid in (server, BIG):
        site.engine.decided(uuid)
    for token in (MEMBER, READER, ADMIN):
        for uuid in (server, row["uuid"]):
            assert server in str(site.get(path.format(uuid), token))
    site.get(path.format(server), OTHER, 404)
    # Nobody can tell whose this one is.
    site.get(path.format(BIG), MEMBER, 404)
    site.get(path.format(BIG), SYSTEM_READER)


def test_a_receipt_of_which_nobody_knows_whose_it_is_is_for_those_who_see_all(site: Site) -> None:
    site.get("/v1/receipts/big", MEMBER, 404)
    site.get("/v1/receipts/big", SYSTEM_READER)


@pytest.mark.usefixtures("known_tokens")
def test_a_file_of_policies_changes_who_may(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    path, options = tmp_path / "policy.yaml", tmp_path / "more.conf"
    path.write_text('"hybrid_scheduling:hosts:list": "role:reader"\n')
    options.write_text(f"[oslo_policy]\npolicy_file = {path}\n")
    site = Site(database_url, database, options)
    site.get("/v1/hosts", READER)
    site.get("/v1/hosts", STRANGER, 403)


def test_each_rule_is_documented_and_each_route_has_one() -> None:
    rules = {rule.name: rule for rule in list_rules()}
    assert {route.policy for route in _PROTECTED} <= rules.keys()
    for rule in rules.values():
        assert rule.description
        if rule.name.startswith("hybrid_scheduling:"):
            assert rule.operations, rule.name
