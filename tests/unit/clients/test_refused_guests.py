# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import requests_mock

from hybrid_sched.clients.nova import NovaClient
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request

SERVERS = "http://compute/servers/detail"
#: 2026-10-19 12:00:00 UTC, and a part of a second.
SINCE_S = 1792411200.7


def server(uuid: str = "g", **changes: Any) -> dict[str, Any]:
    return {
        "id": uuid,
        "status": "ERROR",
        "OS-EXT-SRV-ATTR:host": None,
        "flavor": {"original_name": "small", "vcpus": 2, "ram": 512, "disk": 0},
        "fault": fault(),
        **changes,
    }


def fault(**changes: Any) -> dict[str, Any]:
    return {
        "code": 500,
        "created": "2026-10-19T12:00:00Z",
        "message": "No valid host was found. There are not enough hosts available.",
        **changes,
    }


def test_guests_that_found_no_host_are_read(
    wire: requests_mock.Mocker, nova_client: NovaClient
) -> None:
    hidden = server("another")
    del hidden["OS-EXT-SRV-ATTR:host"]
    wire.get(SERVERS, json={"servers": [server(), hidden]})
    demand = Resources(vcpu=2, memory_mb=512)
    assert nova_client.refused_guests(SINCE_S) == (
        Request("g", HYPERVISOR, demand),
        Request("another", HYPERVISOR, demand),
    )
    (asked,) = wire.request_history
    assert asked.qs == {
        "all_tenants": ["true"],
        "status": ["error"],
        "changes-since": ["2026-10-19t12:00:00z"],
        "limit": ["1000"],
    }
    assert asked.headers["OpenStack-API-Version"] == "compute 2.61"


@pytest.mark.parametrize(
    "change",
    [
        {"fault": fault(message="Exceeded maximum number of retries.\n")},
        {"fault": None},
        {"OS-EXT-SRV-ATTR:host": "one"},
        {"fault": fault(created="2026-10-19T11:59:59Z")},
    ],
    ids=["another fault", "no fault", "with a host", "refused before, changed since"],
)
def test_other_guests_are_left_out(
    wire: requests_mock.Mocker, nova_client: NovaClient, change: dict[str, Any]
) -> None:
    wire.get(SERVERS, json={"servers": [server(**change, flavor=None)]})
    assert nova_client.refused_guests(SINCE_S) == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": None}, "servers[0].id: None is not a string"),
        ({"OS-EXT-SRV-ATTR:host": 1}, "servers[0].OS-EXT-SRV-ATTR:host: 1 is not a string"),
        ({"flavor": None}, "servers[0].flavor: None is not an object"),
        (
            {"flavor": {"vcpus": "2", "ram": 512}},
            "servers[0].flavor.vcpus: '2' is not an integer",
        ),
        ({"flavor": {"vcpus": 2}}, "servers[0].flavor.ram: None is not an integer"),
        ({"fault": []}, "servers[0].fault: [] is not an object"),
        ({"fault": {}}, "servers[0].fault.message: is not a string"),
        (
            {"fault": fault(created="noon")},
            "servers[0].fault.created: 'noon' is no date and time of ISO 8601",
        ),
    ],
)
def test_a_guest_that_cannot_be_used_is_refused(
    wire: requests_mock.Mocker, nova_client: NovaClient, change: dict[str, Any], said: str
) -> None:
    wire.get(SERVERS, json={"servers": [server(**change)]})
    with pytest.raises(ServiceFault) as raised:
        nova_client.refused_guests(SINCE_S)
    assert f"the answer cannot be used: {said}" in str(raised.value)


def test_what_a_flavor_declares_besides_is_wanted_too_and_nothing_of_one_that_cannot_be_read(
    wire: requests_mock.Mocker, nova_client: NovaClient
) -> None:
    flavor = server()["flavor"]
    declared = {"quota:disk_read_bytes_sec": "1000", "hybrid:net_in_bps": "1kB/s"}
    good = server("good", flavor={**flavor, "extra_specs": declared})
    bad = server("bad", flavor={**flavor, "extra_specs": {"hybrid:net_in_bps": "x"}})
    wire.get(SERVERS, json={"servers": [good, bad]})
    (request,) = nova_client.refused_guests(SINCE_S)
    assert (request.uuid, request.demand) == (
        "good",
        Resources(2, 512, disk_read_bps=1000, net_in_bps=1000),
    )
