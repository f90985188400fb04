# SPDX-License-Identifier: Apache-2.0
"""Tasks are launched in the projects of those who declared them, by trusts."""

from __future__ import annotations

import pytest
from api_site import ADMIN, BIG, MEMBER, Site
from keystone_emulator import TRUSTEE, Keystone

from hybrid_sched.clients.session import session_of
from hybrid_sched.clients.trusts import end_trust

ENTRY = {"name": "db", "container": {"image": "busybox"}}


def test_the_declarer_trusts_the_engine_with_the_roles_that_tasks_take(
    site: Site, keystone: Keystone
) -> None:
    [row] = site.submit("db")
    [(trust_id, trust)] = keystone.trusts.items()
    assert trust == {
        "trustor_user_id": "user-member",
        "trustee_user_id": TRUSTEE,
        "project_id": "one",
        "impersonation": True,
        "allow_redelegation": False,
        "roles": [{"name": "member"}],
    }
    task = site.engine.store.get(row["uuid"])
    assert task is not None
    assert (task.trust_id, task.project_id, task.user_id) == (trust_id, "one", "user-member")
    for path in ("/v1/tasks", f"/v1/tasks/{row['uuid']}"):
        assert trust_id not in str(site.get(path, MEMBER))


def test_one_trust_does_for_a_submission_and_for_one_that_is_sent_again(
    site: Site, keystone: Keystone
) -> None:
    body = {"tasks": [{**ENTRY, "count": 3}], "submission": BIG}
    for _ in range(2):
        site.post("/v1/tasks", body, MEMBER, 201)
    assert len(keystone.trusts) == 1


def test_a_trust_is_taken_back_when_its_tasks_are_refused(site: Site, keystone: Keystone) -> None:
    unknown = {"name": "vm", "server": {"flavor": "gold", "image": "cirros"}}
    site.post("/v1/tasks", {"tasks": [unknown]}, MEMBER, 400)
    assert keystone.trusts == {}


def test_without_a_trustee_nothing_is_declared(
    database_url: str, site: Site, keystone: Keystone
) -> None:
    alone = Site(database_url, site.database, with_trustee=False)
    for token in (MEMBER, ADMIN):
        [error] = alone.post("/v1/tasks", {"tasks": [ENTRY]}, token, 403)["errors"]
        assert "an operator must set [trustee] auth_type" in error["detail"]
    assert alone.get("/v1/tasks?all_projects=true")["tasks"] == []


@pytest.mark.parametrize(("keystones", "status"), [(403, 403), (401, 403), (500, 503), (503, 503)])
def test_a_trust_that_keystone_does_not_make_is_told(
    site: Site, keystone: Keystone, keystones: int, status: int
) -> None:
    keystone.status = keystones
    site.post("/v1/tasks", {"tasks": [ENTRY]}, MEMBER, status)
    assert site.get("/v1/tasks", MEMBER)["tasks"] == []


def test_the_engine_acts_by_the_trust_and_takes_it_back(site: Site, keystone: Keystone) -> None:
    site.submit("db")
    [trust_id] = keystone.trusts
    session = session_of(site.conf, "trustee", trust_id=trust_id)
    assert session is not None
    session.get_token()
    assert keystone.scopes[-1] == {"OS-TRUST:trust": {"id": trust_id}}
    end_trust(site.conf, trust_id)
    assert keystone.trusts == {}
    # One that is gone is no fault.
    end_trust(site.conf, trust_id)
