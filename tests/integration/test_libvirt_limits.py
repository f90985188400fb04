# SPDX-License-Identifier: Apache-2.0
"""Limits of guests by a real agent with a real libvirt: they hold whatever is restarted or changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guest_host import Host, running
from waiting import wait_until

pytestmark = pytest.mark.timeout(240)

#: So long that what happens must be told by libvirt to be found.
_NEVER_S = 3600
_METADATA = """
<metadata>
  <nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1">
    <nova:flavor name="half">
      <nova:memory>64</nova:memory>
      <nova:vcpus>1</nova:vcpus>
      <nova:extraSpecs>
        <nova:extraSpec name="hybrid:cpu_percent">50</nova:extraSpec>
        <nova:extraSpec name="hybrid:disk_read_bps">5000000</nova:extraSpec>
      </nova:extraSpecs>
    </nova:flavor>
  </nova:instance>
</metadata>"""
HALF = {"cpu_quota": "1/2", "cpu_weight": 1024, "disk_read_bps": 5_000_000}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running(tmp_path, f"hybrid-test-limits-{os.getpid()}") as made:
        yield made
        assert "Traceback" not in made.ask("agent_log")


def wait_for(host: Host, uuid: str, limits: dict[str, Any]) -> None:
    def read() -> dict[str, Any]:
        told = host.ask("read").get(uuid, {})
        return {name: told.get(name) for name in limits}

    wait_until(lambda: read() == limits, f"the limits are {limits}, not {read()}")


def wait_for_repairs(host: Host, **repaired: int) -> None:
    wait_until(
        lambda: (host.ask("counted") or {}).get("repaired") == repaired,
        f"{repaired} are counted, not {host.ask('counted')}",
    )


def test_limits_outlast_restarts_of_everything_and_what_somebody_changes_is_repaired(
    host: Host,
) -> None:
    host.ask("start_agent", {"isolation_period_s": _NEVER_S, "period_s": _NEVER_S})
    wait_until(lambda: host.ask("counted"), "the agent has made its first round")
    uuid = host.start("one", metadata=_METADATA)
    wait_for(host, uuid, HALF)
    before = {"disk_read_bps": None, "cpu_quota": "1"}

    host.ask("virsh", "schedinfo", "one", "--live", "vcpu_quota=90000")
    wait_for_repairs(host, cpu_quota=1)
    wait_for(host, uuid, HALF)

    host.ask("restart_libvirtd")
    wait_for(host, uuid, HALF)
    wait_until(lambda: "Watcher libvirt listens again" in host.ask("agent_log"), "it listens again")
    wait_for_repairs(host, cpu_quota=1)
    host.ask("virsh", "blkdeviotune", "one", "vda", "--read-bytes-sec", "9000000", "--live")
    wait_for_repairs(host, cpu_quota=1, disk_read_bps=1)

    host.ask("kill_agent")
    wait_for(host, uuid, HALF)
    host.ask("virsh", "schedinfo", "one", "--live", "cpu_shares=300")
    host.ask("start_agent", {})
    wait_for_repairs(host, cpu_quota=1, disk_read_bps=1, cpu_weight=1)
    wait_for(host, uuid, HALF)

    # A guest that is started anew has what its definition says, and is held anew: nobody has changed anything.
    host.ask("virsh", "destroy", "one")
    host.ask("virsh", "start", "one")
    wait_for(host, uuid, HALF)
    wait_for_repairs(host, cpu_quota=1, disk_read_bps=1, cpu_weight=1)

    host.ask("stop_agent")
    released = {row["Limit"]: row["Before"] for row in host.ask("release")}
    assert released["disk_read_bps"] is None
    wait_for(host, uuid, before)
