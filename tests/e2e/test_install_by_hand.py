# SPDX-License-Identifier: Apache-2.0
"""An operator's walk from a cloud without us to one that shares, and back, by the commands of the pages themselves.

It needs a lab without our services: ``make test-install``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from lab.cloud import GUEST_IMAGE, NETWORK, Cloud, wait_for
from lab.images import CONTAINER_IMAGE
from lab.layout import CHECKOUT, Lab
from lab.walk import Walk

INSTALL = CHECKOUT / "doc" / "source" / "install" / "by-hand.rst"
REMOVE = INSTALL.with_name("remove.rst")
#: Nova and Zun write the inventory again once a minute.
_INVENTORY_S = 240


@pytest.fixture(autouse=True)
def _without_us(lab: Lab) -> None:
    if not lab.stock:
        pytest.skip("our services are in this lab: 'make test-install' starts one without them")


def settings(lab: Lab) -> dict[str, str]:
    """Give the configuration of Nova and Zun, on the controller and on all hosts."""
    folders = [lab.folder("etc", *where) for where in ((), *((host.name,) for host in lab.hosts))]
    return {
        str(path.relative_to(lab.folder("etc"))): path.read_text()
        for folder in folders
        for service in ("nova", "zun")
        for path in sorted((folder / service).rglob("*"))
        if path.is_file()
    }


def told_to_placement(lab: Lab, cloud: Cloud) -> dict[str, Any]:
    """Give what Placement has of each host: inventory, traits, claims."""
    told = {}
    for host in lab.hosts:
        provider = cloud.provider(host.name)
        assert provider is not None
        url = f"/resource_providers/{provider['uuid']}"
        told[host.name] = {
            "inventory": cloud.inventory(provider["uuid"]),
            "traits": sorted(cloud.placement.get(f"{url}/traits").json()["traits"]),
            "claims": cloud.placement.get(f"{url}/allocations").json()["allocations"],
        }
    return told


def place_both(openstack: Callable[..., Any], cloud: Cloud) -> tuple[str, str]:
    """Have a user make a guest and a container; gives their uuids once they run."""
    options = ("--flavor", "lab.small", "--image", GUEST_IMAGE, "--network", NETWORK)
    guest = openstack("server", "create", "-f", "json", *options, "walk-guest")["id"]
    options = (
        "--name",
        "walk-web",
        "--cpu",
        "1",
        "--memory",
        "128",
        "--image-pull-policy",
        "never",
    )
    container = openstack(
        *("appcontainer", "run", "-f", "json", *options),
        *("--net", f"network={NETWORK}", CONTAINER_IMAGE, "sleep", "3600"),
    )["uuid"]
    seen = wait_for(
        lambda: cloud.server(guest), lambda it: it["status"] in {"ACTIVE", "ERROR"}, 120
    )
    assert seen["status"] == "ACTIVE", seen.get("fault")
    seen = wait_for(
        lambda: cloud.container(container), lambda it: it["status"] in {"Running", "Error"}, 120
    )
    assert seen["status"] == "Running", seen.get("status_reason")
    return guest, container


def remove_both(cloud: Cloud, lab: Lab, guest: str, container: str) -> None:
    cloud.sdk.compute.delete_server(guest)
    cloud.delete_container(container)
    wait_for(
        lambda: [told["claims"] for told in told_to_placement(lab, cloud).values()],
        lambda claims: not any(claims),
        120,
    )


def test_the_pages_lead_to_working_sharing_and_back(
    lab: Lab, cloud: Cloud, openstack: Callable[..., Any], tell: Callable[[str], None]
) -> None:
    settings_before, placement_before = settings(lab), told_to_placement(lab, cloud)
    walk = Walk(lab)
    walk.begin()

    started = time.monotonic()
    walk.follow(INSTALL)
    tell(f"installed in {time.monotonic() - started:.0f} s")

    def manage(*words: str) -> Any:
        done = walk.controller.run(f"hybrid-sched-manage {' '.join(words)} -f json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    names = {host.name for host in lab.hosts}
    wait_for(
        lambda: {row["Host"] for row in manage("hosts", "list") if row["Fresh"]},
        lambda fresh: fresh == names,
        60,
    )
    guest, container = place_both(openstack, cloud)
    decided = wait_for(
        lambda: {row["Request"] for row in manage("decision", "list")},
        lambda seen: {guest, container} <= seen,
        60,
    )
    assert {guest, container} <= decided
    used = wait_for(
        lambda: {
            row["Framework"]: Fraction(row["Used"]["exact"]) for row in manage("shares", "list")
        },
        lambda seen: all(share > 0 for share in seen.values()),
        60,
    )
    assert used.keys() == {"hypervisor", "container"}
    remove_both(cloud, lab, guest, container)

    started = time.monotonic()
    walk.follow(REMOVE)
    tell(f"removed in {time.monotonic() - started:.0f} s")

    assert settings(lab) == settings_before
    wait_for(
        lambda: told_to_placement(lab, cloud), lambda now: now == placement_before, _INVENTORY_S
    )
    for machine in (walk.controller, *walk.hosts):
        left = [path for path in machine.path("/").rglob("*hybrid*") if "share" not in path.parts]
        assert left == [], f"left on {machine.name}"
    guest, container = place_both(openstack, cloud)
    remove_both(cloud, lab, guest, container)
