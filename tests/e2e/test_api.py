# SPDX-License-Identifier: Apache-2.0
"""The REST API with the lab's Keystone: who may do what, and tasks that run in the projects of their owners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from keystoneauth1 import adapter, session
from keystoneauth1.identity import v3

from hybrid_sched.api.route import SERVICE_TYPE
from hybrid_sched.core.steering import TASK_KEY
from lab.cloud import GUEST_IMAGE, NETWORK, Cloud, wait_for
from lab.layout import CONTROL_IP, REGION, Lab
from lab.services.api import URL

pytestmark = pytest.mark.timeout(600)

_TIMEOUT_S = 240
_ENDED = {"done", "failed", "cancelled"}
_GUEST = {
    "name": "api-guest",
    "stop_after": "5s",
    "server": {"flavor": "api-disk", "image": GUEST_IMAGE, "networks": [NETWORK]},
}
_CONTAINER = {
    "name": "api-container",
    "stop_after": "5s",
    "container": {
        "image": "lab/busybox:1",
        "image_pull_policy": "never",
        "command": ["sleep", "600"],
        "cpu": 1,
        "memory_mb": 128,
        "networks": [NETWORK],
    },
}


@dataclass
class Tenant:
    """A project with a member and a reader.

    :param project_id: of the project.
    :param member: asks the API as the member.
    :param reader: asks it as the reader.
    """

    project_id: str
    member: adapter.Adapter
    reader: adapter.Adapter


def asking(**account: str) -> adapter.Adapter:
    """Make what asks the API with an account; refusals are answers."""
    auth = v3.Password(
        auth_url=f"http://{CONTROL_IP}:5000/v3",
        user_domain_id="default",
        **({} if "system_scope" in account else {"project_domain_id": "default"}),
        **account,
    )
    return adapter.Adapter(
        session.Session(auth=auth),
        service_type=SERVICE_TYPE,
        region_name=REGION,
        default_microversion="1.0",
        raise_exc=False,
    )


@pytest.fixture(scope="module")
def admin(lab: Lab) -> adapter.Adapter:
    return asking(username="admin", password=lab.password, project_name="admin")


@pytest.fixture(scope="module")
def make_tenant(cloud: Cloud) -> Iterator[Callable[[], Tenant]]:
    identity = cloud.sdk.identity
    made: list[tuple[Callable[[str], Any], str]] = []

    def account(project: Any, role: str) -> adapter.Adapter:
        name, password = f"api-{role}-{uuid4().hex[:8]}", uuid4().hex
        user = identity.create_user(name=name, password=password, domain_id="default")
        made.append((identity.delete_user, user.id))
        identity.assign_project_role_to_user(project.id, user.id, identity.find_role(role).id)
        return asking(username=name, password=password, project_name=project.name)

    def make() -> Tenant:
        project = identity.create_project(name=f"api-{uuid4().hex[:8]}", domain_id="default")
        made.append((identity.delete_project, project.id))
        return Tenant(project.id, account(project, "member"), account(project, "reader"))

    yield make
    for delete, uuid in made:
        delete(uuid)


@pytest.fixture
def flavor(cloud: Cloud) -> Iterator[None]:
    """Make one with a disk: Nova lets members boot from no other image."""
    made = cloud.sdk.compute.create_flavor(name="api-disk", vcpus=1, ram=128, disk=1)
    yield
    cloud.sdk.compute.delete_flavor(made)


def rows(asks: adapter.Adapter, path: str, name: str) -> list[dict[str, Any]]:
    answer = asks.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()[name]
    return found


def test_it_is_in_the_catalog_and_tells_its_versions(admin: adapter.Adapter) -> None:
    assert admin.get_endpoint().rstrip("/") == URL
    [version] = admin.get("/", authenticated=False).json()["versions"]
    assert (version["id"], version["status"]) == ("v1.0", "CURRENT")
    assert admin.get("/healthcheck", authenticated=False).status_code == 200
    document = admin.get("/v1/openapi.json", authenticated=False).json()
    assert document["openapi"] == "3.1.0"


def test_nobody_is_told_anything_without_a_token(admin: adapter.Adapter) -> None:
    for headers in ({}, {"X-Auth-Token": "forged"}):
        answer = admin.get("/v1/hosts", authenticated=False, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["errors"][0]["title"] == "Unauthorized"


def test_an_administrator_sees_hosts_frameworks_and_sets_a_weight(
    admin: adapter.Adapter, lab: Lab
) -> None:
    hosts = rows(admin, "/v1/hosts", "hosts")
    assert {row["host"] for row in hosts} == {host.name for host in lab.hosts}
    assert all(row["fresh"] for row in hosts)
    frameworks = {row["framework"] for row in rows(admin, "/v1/frameworks", "frameworks")}
    assert frameworks == {"hypervisor", "container"}
    path = "/v1/frameworks/container/weight"
    assert admin.put(path, json={"weight": "3/2"}).json()["weight"]["weight"] == "3/2"
    assert admin.delete(path).status_code == 204
    answer = admin.post("/v1/why-not", json={"flavor": "lab.tiny"})
    assert answer.json()["why_not"]["framework"] == "hypervisor"
    assert admin.get("/v1/watchdog").status_code == 200
    assert admin.post("/v1/plans", json={}).status_code == 200
    assert rows(admin, "/v1/receipts", "receipts") is not None


def test_a_member_of_a_project_does_not_see_how_the_cloud_is_shared(
    make_tenant: Callable[[], Tenant],
) -> None:
    tenant = make_tenant()
    for path in ("/v1/hosts", "/v1/frameworks", "/v1/decisions", "/v1/moves", "/v1/scores"):
        assert tenant.member.get(path).status_code == 403, path
    assert (
        tenant.member.put("/v1/frameworks/container/weight", json={"weight": 2}).status_code == 403
    )


@pytest.mark.usefixtures("flavor")
def test_tasks_of_a_member_run_in_its_project_and_are_seen_by_it_alone(
    admin: adapter.Adapter, cloud: Cloud, make_tenant: Callable[[], Tenant]
) -> None:
    one, two = make_tenant(), make_tenant()
    refused = one.reader.post("/v1/tasks", json={"tasks": [_GUEST]})
    assert refused.status_code == 403
    created = one.member.post("/v1/tasks", json={"tasks": [_GUEST, _CONTAINER]})
    assert created.status_code == 201, created.text
    uuids = {row["uuid"]: row["framework"] for row in created.json()["tasks"]}
    [trust] = [each for each in trusts(cloud) if each["project_id"] == one.project_id]
    assert trust["impersonation"] is True
    owners: dict[str, str] = {}

    def ended_now() -> dict[str, dict[str, Any]]:
        """Note whose the tasks' server and container are, which are gone in the end."""
        for server in cloud.sdk.compute.servers(all_projects=True):
            if server.metadata.get(TASK_KEY) in uuids:
                owners["hypervisor"] = server.project_id
        for container in cloud.containers.get("/containers/?all_projects=true").json()[
            "containers"
        ]:
            if (container.get("labels") or {}).get(TASK_KEY) in uuids:
                owners["container"] = container["project_id"]
        seen = rows(one.reader, "/v1/tasks", "tasks")
        return {row["uuid"]: row for row in seen if row["state"] in _ENDED}

    ended = wait_for(ended_now, lambda found: found.keys() == uuids.keys(), _TIMEOUT_S)
    assert {row["state"] for row in ended.values()} == {"done"}, ended
    assert owners == {"hypervisor": one.project_id, "container": one.project_id}
    assert rows(two.member, "/v1/tasks", "tasks") == []
    for uuid, row in ended.items():
        assert two.member.get(f"/v1/tasks/{uuid}").status_code == 404
        assert two.member.delete(f"/v1/tasks/{uuid}").status_code == 404
        assert two.member.get(f"/v1/why/{uuid}").status_code == 404
        why = one.reader.get(f"/v1/why/{row['server']}")
        assert why.status_code == 200, why.text
    everything = rows(admin, "/v1/tasks?all_projects=true", "tasks")
    assert set(uuids) <= {row["uuid"] for row in everything}
    # The trust goes when nothing can turn up any more: two minutes after the last task.
    wait_for(
        lambda: [each for each in trusts(cloud) if each["project_id"] == one.project_id],
        lambda left: not left,
        _TIMEOUT_S,
    )


def test_a_task_of_a_member_is_cancelled(make_tenant: Callable[[], Tenant]) -> None:
    tenant = make_tenant()
    waits = {**_CONTAINER, "container": {**_CONTAINER["container"], "memory_mb": 10**6}}
    [row] = tenant.member.post("/v1/tasks", json={"tasks": [waits]}).json()["tasks"]
    path = f"/v1/tasks/{row['uuid']}"
    assert tenant.reader.delete(path).status_code == 403
    assert tenant.member.delete(path).json()["task"]["state"] == "cancelled"


def trusts(cloud: Cloud) -> list[dict[str, Any]]:
    """List all trusts, as the administrator."""
    url = f"http://{CONTROL_IP}:5000/v3/OS-TRUST/trusts"
    found: list[dict[str, Any]] = cloud.sdk.session.get(url).json()["trusts"]
    return found
