# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re
from typing import Any

import pytest
import requests
import requests_mock

from hybrid_sched.clients.nova import STATUSES, Migration, NovaClient
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.pools import Aggregate

AGGREGATES = "http://compute/os-aggregates"
MIGRATIONS = re.compile(r"^http://compute/os-migrations\b")


def row(uuid: str, status: str, **changes: Any) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "instance_uuid": f"guest of {uuid}",
        "source_compute": "one",
        "dest_compute": None,
        "status": status,
        **changes,
    }


class Rows:
    """Migrations of an emulated Nova, given out in pages; each may go on between two calls."""

    def __init__(self, page: int = 1000) -> None:
        self.rows: list[dict[str, Any]] = []
        self.page = page
        self.progress: dict[str, list[str]] = {}

    def answer(self, request: requests.Request, _context: Any) -> dict[str, Any]:
        asked = request.qs
        found = [each for each in self.rows if each["status"] == asked["status"][0]]
        uuids = [each["uuid"] for each in found]
        start = uuids.index(asked["marker"][0]) + 1 if "marker" in asked else 0
        page = found[start : start + self.page]
        answer: dict[str, Any] = {"migrations": [dict(each) for each in page]}
        if start + self.page < len(found):
            answer["migrations_links"] = [{"rel": "next", "href": "http://elsewhere"}]
        for each in self.rows:
            if later := self.progress.get(each["uuid"]):
                each["status"] = later.pop(0)
        return answer


def test_aggregates_are_read(wire: requests_mock.Mocker, nova_client: NovaClient) -> None:
    wire.get(
        AGGREGATES,
        json={
            "aggregates": [
                {
                    "name": "fast",
                    "availability_zone": "az1",
                    "hosts": ["one", "two"],
                    "metadata": {"availability_zone": "az1", "note": "two\nlines", "empty": ""},
                },
                {"name": "slow", "availability_zone": None, "hosts": [], "metadata": {}},
            ]
        },
    )
    assert nova_client.aggregates() == (
        Aggregate(
            "fast",
            "az1",
            ("one", "two"),
            {"availability_zone": "az1", "note": "two\nlines", "empty": ""},
        ),
        Aggregate("slow"),
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": None}, "aggregates[0].name: None is not a string"),
        ({"availability_zone": 1}, "aggregates[0].availability_zone: 1 is not a string"),
        ({"hosts": "one"}, "aggregates[0].hosts: 'one' is not an array"),
        ({"hosts": [1]}, "aggregates[0].hosts: 1 is not a string"),
        ({"metadata": None}, "aggregates[0].metadata: None is not an object"),
        ({"metadata": {"a": 1}}, "aggregates[0].metadata.a: is not a string"),
    ],
)
def test_an_aggregate_that_cannot_be_used_is_refused(
    wire: requests_mock.Mocker, nova_client: NovaClient, change: dict[str, Any], said: str
) -> None:
    entry = {"name": "fast", "availability_zone": None, "hosts": [], "metadata": {}, **change}
    wire.get(AGGREGATES, json={"aggregates": [entry]})
    with pytest.raises(ServiceFault) as fault:
        nova_client.aggregates()
    assert f"the answer cannot be used: {said}" in str(fault.value)


def test_migrations_that_are_not_over_are_listed(
    wire: requests_mock.Mocker, nova_client: NovaClient
) -> None:
    nova = Rows()
    over = ("completed", "confirmed", "reverted", "failed", "error", "cancelled", "done")
    nova.rows = [row(f"m{index}", status) for index, status in enumerate((*over, *STATUSES))]
    wire.get(MIGRATIONS, json=nova.answer)
    found = nova_client.migrations_in_progress()
    assert [each.status for each in found] == list(STATUSES)
    assert found[0] == Migration("m7", "guest of m7", "one", None, "accepted")


def test_all_pages_are_read(wire: requests_mock.Mocker, nova_client: NovaClient) -> None:
    nova = Rows(page=2)
    nova.rows = [row(f"m{index}", "running") for index in range(5)]
    wire.get(MIGRATIONS, json=nova.answer)
    assert len(nova_client.migrations_in_progress()) == 5


def test_pages_without_end_are_an_error(
    wire: requests_mock.Mocker, nova_client: NovaClient
) -> None:
    answer = {"migrations": [row("m", "accepted")], "migrations_links": [{"rel": "next"}]}
    wire.get(MIGRATIONS, json=answer)
    with pytest.raises(ServiceFault, match="more than 100 pages are accepted"):
        nova_client.migrations_in_progress()


@pytest.mark.parametrize("pause", range(8))
def test_a_migration_that_goes_on_meanwhile_is_seen(
    wire: requests_mock.Mocker, nova_client: NovaClient, pause: int
) -> None:
    nova = Rows()
    nova.rows = [row("m", "accepted")]
    way = ["queued", "preparing", "running"]
    nova.progress["m"] = ["accepted"] * pause + way
    wire.get(MIGRATIONS, json=nova.answer)
    assert [each.uuid for each in nova_client.migrations_in_progress()] == ["m"]
    nova.rows = [row("m", "preparing")]
    nova.progress["m"] = ["preparing"] * pause + ["running", "post-migrating"]
    assert [each.uuid for each in nova_client.migrations_in_progress()] == ["m"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"uuid": None}, "migrations[0].uuid: None is not a string"),
        ({"instance_uuid": 1}, "migrations[0].instance_uuid: 1 is not a string"),
        ({"source_compute": []}, "migrations[0].source_compute: [] is not a string"),
    ],
)
def test_a_migration_that_cannot_be_used_is_refused(
    wire: requests_mock.Mocker, nova_client: NovaClient, change: dict[str, Any], said: str
) -> None:
    wire.get(MIGRATIONS, json={"migrations": [{**row("m", "running"), **change}]})
    with pytest.raises(ServiceFault) as fault:
        nova_client.migrations_in_progress()
    assert f"the answer cannot be used: {said}" in str(fault.value)
