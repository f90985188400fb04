# SPDX-License-Identifier: Apache-2.0
"""A request that fits nowhere is told the smallest change, and the change lets it in."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from filling import SMALL_MB, Filling

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.services import hybrid

_TOO_LARGE_MB = 4000
_SMALLER = "demo-smaller"


@pytest.fixture
def filling(lab: Lab, empty_cloud: Cloud) -> Filling:
    return Filling(lab, empty_cloud)


@pytest.fixture
def smaller_flavor(cloud: Cloud) -> Iterator[str]:
    yield _SMALLER
    flavor = cloud.sdk.compute.find_flavor(_SMALLER)
    if flavor is not None:
        cloud.sdk.compute.delete_flavor(flavor)


def why_not(lab: Lab, framework: str, memory_mb: int) -> dict[str, Any]:
    return dict(
        hybrid.manage(
            *(lab, "why-not", "--framework", framework),
            *("--vcpu", "1", "--memory-mb", str(memory_mb)),
        )
    )


def change(answer: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = [each for each in answer["changes"] if each["kind"] == kind]
    return dict(found)


def test_a_guest_that_is_too_large_fits_with_the_flavor_that_is_named(
    lab: Lab, cloud: Cloud, filling: Filling, smaller_flavor: str
) -> None:
    # So that the hosts differ.
    assert filling.guest(SMALL_MB)
    refused = why_not(lab, HYPERVISOR, _TOO_LARGE_MB)
    assert not refused["fits"]
    assert {row["rule"] for row in refused["hosts"]} == {"host_room"}
    smaller = change(refused, "flavor")
    uuid = cloud.create_server("demo-large", _flavor(cloud, "demo-too-large", _TOO_LARGE_MB))
    try:
        wait_for(lambda: cloud.server(uuid)["status"], lambda seen: seen == "ERROR", 60)
    finally:
        cloud.sdk.compute.delete_flavor(cloud.sdk.compute.find_flavor("demo-too-large"))
    cloud.sdk.compute.delete_server(uuid)

    memory_mb = smaller["demand"]["memory_mb"]
    uuid = cloud.create_server("demo-fits", _flavor(cloud, smaller_flavor, memory_mb))
    server = wait_for(
        lambda: cloud.server(uuid), lambda seen: seen["status"] in {"ACTIVE", "ERROR"}, 120
    )
    assert server["status"] == "ACTIVE"
    assert server["OS-EXT-SRV-ATTR:host"] == smaller["host"]
    assert not why_not(lab, HYPERVISOR, memory_mb + 1)["fits"]


def test_a_container_above_its_share_fits_with_the_weight_that_is_named(
    lab: Lab, filling: Filling
) -> None:
    assert filling.container(SMALL_MB)
    wanted_mb = 3584
    refused = why_not(lab, CONTAINER, wanted_mb)
    assert "framework_share" in {row["rule"] for row in refused["hosts"]}
    weight = change(refused, "weight")
    assert not filling.container(wanted_mb)
    hybrid.command(lab, "framework", "set-weight", CONTAINER, str(weight["weight"]))
    wait_for(
        lambda: {row["Framework"]: row["Weight"] for row in filling.shares()}[CONTAINER],
        lambda seen: Fraction(seen) == Fraction(str(weight["weight"])),
        20,
    )
    assert filling.container(wanted_mb)


def _flavor(cloud: Cloud, name: str, memory_mb: int) -> str:
    cloud.sdk.compute.create_flavor(name=name, vcpus=1, ram=memory_mb, disk=0)
    return name
