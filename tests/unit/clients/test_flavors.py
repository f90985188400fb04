# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
import requests_mock

from hybrid_sched.clients.nova import Flavor, NovaClient
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.declaration import of_flavor

FLAVORS = "http://compute/flavors/detail"


def flavor(name: str, uuid: str, **changes: Any) -> dict[str, Any]:
    return {"id": uuid, "name": name, "vcpus": 2, "ram": 512, "disk": 0, **changes}


def test_all_pages_of_flavors_are_read_private_ones_included(
    wire: requests_mock.Mocker, nova_client: NovaClient
) -> None:
    rate = {"hybrid:net_in_bps": "1MB/s"}
    more = [{"rel": "next", "href": "http://compute/flavors/detail?marker=1"}]
    wire.get(
        FLAVORS,
        [
            {"json": {"flavors": [flavor("m1.small", "1")], "flavors_links": more}},
            {"json": {"flavors": [flavor("Größe 2", "two", vcpus=4, extra_specs=rate)]}},
        ],
    )
    assert nova_client.flavors() == (
        Flavor("m1.small", "1", of_flavor(2, 512, {})),
        Flavor("Größe 2", "two", of_flavor(4, 512, {"hybrid:net_in_bps": "1MB/s"})),
    )
    first, second = wire.request_history
    assert first.qs == {"is_public": ["none"]}
    assert second.qs == {"is_public": ["none"], "marker": ["1"]}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "flavors: None is not an array"),
        ({"flavors": [flavor("a", "1", ram="much")]}, r"flavors\[0\]\.ram: 'much' is not an int"),
        ({"flavors": [flavor("a", None)]}, r"flavors\[0\]\.id: is not a string"),
    ],
)
def test_an_answer_that_cannot_be_used_is_named(
    wire: requests_mock.Mocker, nova_client: NovaClient, answer: dict[str, Any], said: str
) -> None:
    wire.get(FLAVORS, json=answer)
    with pytest.raises(ServiceFault, match=f"flavors/detail of compute: .*{said}"):
        nova_client.flavors()
