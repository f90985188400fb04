# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import requests_mock

from hybrid_sched.clients.placement import PlacementClient, Provider
from hybrid_sched.clients.session import ServiceFault

HOST: dict[str, Any] = {
    "uuid": "h",
    "name": "one",
    "generation": 3,
    "root_provider_uuid": "h",
    "parent_provider_uuid": None,
    "links": [],
}
CELL = {**HOST, "uuid": "c", "name": "one_numa0", "parent_provider_uuid": "h"}


def test_providers_are_listed_with_the_host_that_they_are_a_part_of(
    wire: requests_mock.Mocker, placement_client: PlacementClient
) -> None:
    wire.get("http://placement/resource_providers", json={"resource_providers": [HOST, CELL]})
    assert placement_client.providers() == (
        Provider("h", "one", 3, "h"),
        Provider("c", "one_numa0", 3, "h"),
    )


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        (None, "resource_providers: None is not an array"),
        (["h"], "resource_providers[0]: 'h' is not an object with names"),
        ([{**HOST, "uuid": 1}], "resource_providers[0].uuid: 1 is not a string"),
        ([{**HOST, "name": ""}], "resource_providers[0].name: is empty"),
        ([{**HOST, "generation": -1}], "resource_providers[0].generation: -1 is not between 0"),
        ([{**HOST, "generation": True}], "resource_providers[0].generation: True is not an int"),
        ([{**HOST, "root_provider_uuid": None}], "resource_providers[0].root_provider_uuid: None"),
        ([CELL], "resource_providers: the root of one_numa0 is none of the roots"),
        (
            [{**HOST, "root_provider_uuid": "c"}, CELL],
            "resource_providers: the root of one is none of the roots",
        ),
    ],
)
def test_a_listing_that_cannot_be_used_is_refused(
    wire: requests_mock.Mocker, placement_client: PlacementClient, providers: Any, said: str
) -> None:
    wire.get("http://placement/resource_providers", json={"resource_providers": providers})
    with pytest.raises(ServiceFault) as fault:
        placement_client.providers()
    assert f"the answer cannot be used: {said}" in str(fault.value)


def test_allocations_are_told_by_consumer(
    wire: requests_mock.Mocker, placement_client: PlacementClient
) -> None:
    wire.get(
        "http://placement/resource_providers/h/allocations",
        json={
            "allocations": {"g": {"resources": {"VCPU": 2, "CUSTOM_X": 1}}},
            "resource_provider_generation": 3,
        },
    )
    assert placement_client.allocations("h") == {"g": {"VCPU": 2, "CUSTOM_X": 1}}


def test_a_provider_that_has_gone_has_no_allocations(
    wire: requests_mock.Mocker, placement_client: PlacementClient
) -> None:
    wire.get("http://placement/resource_providers/h/allocations", status_code=404)
    assert placement_client.allocations("h") is None


@pytest.mark.parametrize(
    ("allocations", "said"),
    [
        ([], "allocations: [] is not an object with names"),
        ({"g": 1}, "allocations.g: 1 is not an object"),
        ({"g": {}}, "allocations.g.resources: None is not an object"),
        ({"g": {"resources": {"VCPU": -1}}}, "allocations.g.resources.VCPU: -1 is not between 0"),
        ({"g": {"resources": {"VCPU": 1.5}}}, "allocations.g.resources.VCPU: 1.5 is not an int"),
        ({"g": {"resources": {"VCPU": "1"}}}, "allocations.g.resources.VCPU: '1' is not an int"),
    ],
)
def test_allocations_that_cannot_be_used_are_refused(
    wire: requests_mock.Mocker, placement_client: PlacementClient, allocations: Any, said: str
) -> None:
    wire.get("http://placement/resource_providers/h/allocations", json={"allocations": allocations})
    with pytest.raises(ServiceFault) as fault:
        placement_client.allocations("h")
    assert f"the answer cannot be used: {said}" in str(fault.value)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"allocations": {}}, None),
        ({"allocations": {}, "consumer_type": "unknown"}, None),
        ({"allocations": {}, "consumer_type": "INSTANCE"}, "INSTANCE"),
    ],
)
def test_a_type_is_told_where_one_was_written(
    wire: requests_mock.Mocker,
    placement_client: PlacementClient,
    answer: dict[str, Any],
    told: str | None,
) -> None:
    wire.get("http://placement/allocations/g", json=answer)
    assert placement_client.consumer_type("g") == told


def test_a_type_that_is_no_string_is_refused(
    wire: requests_mock.Mocker, placement_client: PlacementClient
) -> None:
    wire.get("http://placement/allocations/g", json={"consumer_type": 7})
    with pytest.raises(ServiceFault, match="consumer_type: 7 is not a string"):
        placement_client.consumer_type("g")
