# SPDX-License-Identifier: Apache-2.0
"""The way of a request through every layer, by the users' own clients."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import demo, hosts, status
from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.services import hybrid

_KINDS = ("servers", "containers")


@pytest.fixture(scope="module")
def shown(lab: Lab) -> dict[str, Any]:
    """Run the demonstration once; gives what it recorded."""
    assert demo.run(lab, time.monotonic()) == 0
    return dict(json.loads((lab.state / "demo.json").read_text()))


def test_guests_and_containers_run_on_shared_hosts(shown: dict[str, Any]) -> None:
    assert [row["status"] for row in shown["servers"]] == ["ACTIVE"] * 3
    assert [row["status"] for row in shown["containers"]] == ["Running"] * 4
    kinds_by_host: dict[str, set[str]] = {}
    for kind in _KINDS:
        for row in shown[kind]:
            kinds_by_host.setdefault(row["host"], set()).add(kind)
    assert set(kinds_by_host) == {"node1", "node2"}
    assert set(_KINDS) in kinds_by_host.values()


def test_placement_holds_each_on_the_provider_of_its_host(
    shown: dict[str, Any], cloud: Cloud
) -> None:
    for kind in _KINDS:
        for row in shown[kind]:
            answer = cloud.placement.get(f"/allocations/{row['uuid']}").json()
            assert set(answer["allocations"]) == {row["provider"]}
            assert cloud.provider(row["host"])["uuid"] == row["provider"]


def test_novas_inventory_is_as_nova_told_it(shown: dict[str, Any], lab: Lab) -> None:
    for provider in shown["providers"]:
        memory = provider["inventory"]["MEMORY_MB"]
        assert (memory["total"], memory["reserved"]) == (lab.host(provider["host"]).memory_mb, 512)


def test_each_placement_has_a_reason(shown: dict[str, Any]) -> None:
    reasons = {row["name"]: row["reason"] for kind in _KINDS for row in shown[kind]}
    assert reasons["demo-guest-1"].startswith("head (")
    assert reasons["demo-web-3"].startswith("filler (")
    assert all(reasons.values())


def test_the_small_containers_fill_up_behind_the_large_one(shown: dict[str, Any]) -> None:
    host_of = {row["name"]: row["host"] for row in shown["containers"]}
    assert host_of["demo-web-2"] == host_of["demo-web-3"] == host_of["demo-web-1"]


def test_what_was_over_the_share_was_refused_and_then_placed(shown: dict[str, Any]) -> None:
    (refused,) = shown["refused"]
    assert refused["name"] == demo.TOO_MUCH.name
    assert all("framework_share: " in reason for reason in refused["reasons"].values())
    assert demo.TOO_MUCH.name in {row["name"] for row in shown["containers"]}
    assert shown["shares"]["container"]["weight"] == 3


def test_the_agents_see_what_libvirt_and_docker_run(shown: dict[str, Any], lab: Lab) -> None:
    rows = {row["Host"]: row for row in hybrid.manage(lab, "hosts", "list")}
    for host, row in rows.items():
        assert row["Guests"] == sum(each["host"] == host for each in shown["servers"])
        assert row["Containers"] == sum(each["host"] == host for each in shown["containers"])
        assert (row["Fresh"], row["Faults"]) == (True, [])


def test_users_clients_place_and_an_operator_sees_why(
    empty_cloud: Cloud, lab: Lab, openstack: Callable[..., Any]
) -> None:
    options = ("--flavor", "lab.tiny", "--image", "lab-guest", "--network", "lab")
    server = openstack("server", "create", "-f", "json", *options, "demo-one")["id"]
    wait_for(lambda: empty_cloud.server(server)["status"], lambda now: now != "BUILD", 90)
    assert empty_cloud.server(server)["status"] == "ACTIVE"
    (gate, order) = hybrid.manage(lab, "decision", "show", server)
    assert (gate["Step"], order["Step"]) == ("share_gate", "order")
    assert sorted(gate["Hosts"]) == sorted(order["Hosts"]) == ["node1", "node2"]
    assert empty_cloud.server(server)["OS-EXT-SRV-ATTR:host"] == order["Hosts"][0]


def test_every_service_of_every_host_runs_and_in_namespaces_of_its_own(lab: Lab) -> None:
    rows = status.rows(lab)
    assert [row["service"] for row in rows if not row["healthy"]] == []
    inits = [Path("/proc", str(hosts.init_pid(lab, host)), "ns") for host in lab.hosts]
    for kind in ("pid", "net", "mnt", "uts", "cgroup"):
        assert len({(init / kind).readlink() for init in inits}) == len(lab.hosts)
