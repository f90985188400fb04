# SPDX-License-Identifier: Apache-2.0
"""Tasks by their UUIDs."""

from __future__ import annotations

from api_site import BIG, MEMBER, OTHER, Site

from hybrid_sched.api.routes import MOST_UUIDS


def test_tasks_are_listed_by_uuid(site: Site) -> None:
    first, _, third = site.submit("aa", "bb", "cc")
    query = "&".join(f"uuid={each}" for each in (third["uuid"], BIG, first["uuid"]))
    assert site.get(f"/v1/tasks?{query}", MEMBER)["tasks"] == [first, third]
    assert site.get(f"/v1/tasks?{query}&limit=1", MEMBER)["tasks"] == [first]
    # They are still the project's.
    assert site.get(f"/v1/tasks?{query}", OTHER)["tasks"] == []
    site.get("/v1/tasks?uuid=x", MEMBER, status=400)
    site.get("/v1/tasks?" + "&".join([f"uuid={BIG}"] * (MOST_UUIDS + 1)), MEMBER, status=400)
