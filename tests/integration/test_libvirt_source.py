# SPDX-License-Identifier: Apache-2.0
"""The libvirt source on a real libvirt with guests under emulation, which have no system on their disks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from guest_host import Host, running
from waiting import wait_until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with running(tmp_path) as made:
        yield made


def test_use_of_a_guest_is_seen_from_the_guest_and_its_next_life_differs(host: Host) -> None:
    host.start("one")
    # Switching the tap on makes the kernel send a report of its own into the guest, which answers nothing.
    host.ask("ip", "link", "set", "tap-one", "up")

    def sent_to_the_guest() -> int:
        return int(host.ask("ip", "-stats", "link", "show", "tap-one")[0]["stats64"]["tx"]["bytes"])

    wait_until(sent_to_the_guest, "the kernel sends something into the tap")
    seen = wait_until(
        lambda: (one := host.ask("look")["one"])["counters"].get("disk_read_bytes") and one,
        "the firmware looks for a system on the disk",
    )
    assert seen["task"]["state"] == "running"
    assert seen["counters"]["cpu_s"] > 0
    assert seen["counters"]["cpu_wait_s"] > 0
    # This libvirt may make no control groups.
    assert "cpu_throttled_s" not in seen["counters"]
    assert 0 < seen["counters"]["net_in_bytes"] <= sent_to_the_guest()
    assert seen["counters"]["net_out_bytes"] == 0
    assert seen["counters"]["disk_write_bytes"] == 0
    # No balloon driver answers, so it is what the guest's process holds.
    assert 10 < seen["gauges"]["memory_used_mb"] < 500

    host.ask("virsh", "destroy", "one")
    stopped = host.ask("look")["one"]
    assert (stopped["task"]["state"], stopped["counters"], stopped["gauges"]) == ("closed", {}, {})
    host.ask("virsh", "start", "one")
    again = host.ask("look")["one"]
    assert again["life"] not in {seen["life"], stopped["life"]}


def test_a_guest_whose_process_hangs_does_not_hide_the_others_for_long(host: Host) -> None:
    for name in ("one", "two"):
        host.start(name)
    before = host.ask("look")
    assert before.keys() == {"one", "two"}
    host.ask("signal", "one", "SIGSTOP")
    try:
        first = host.ask("look")
        assert "has not answered for 5 s" in first["error"]
        second = host.ask("look")
        assert second["two"]["counters"].keys() == before["two"]["counters"].keys()
        # What the kernel tells of the guest that hangs is still there, and what it would have to tell itself is not.
        assert "cpu_s" in second["one"]["counters"]
        assert "disk_read_bytes" not in second["one"]["counters"]
    finally:
        host.ask("signal", "one", "SIGCONT")
    wait_until(
        lambda: "disk_read_bytes" in host.ask("look")["one"]["counters"], "the guest goes on"
    )


def test_starts_ends_and_changes_of_guests_are_told_also_after_a_restart_of_libvirt(
    host: Host,
) -> None:
    told: list[list[str]] = []

    def tells(kind: str, uuid: str = "") -> bool:
        told.extend(host.ask("watched"))
        return [kind, uuid] in told

    host.ask("watch")
    wait_until(lambda: tells("listening"), "it listens")
    uuid = host.start("one")
    spare = host.disk("spare")
    for happens in ((), ("restart_libvirtd",)):
        told.clear()
        if happens:
            host.ask(*happens)
            wait_until(lambda: tells("listening"), "it listens again")
        for command in (
            ("blkdeviotune", "one", "vda", "--read-bytes-sec", "1000000", "--live"),
            ("attach-disk", "one", spare, "sdb", "--targetbus", "usb", "--live"),
            ("destroy", "one"),
            ("start", "one"),
        ):
            told.clear()
            host.ask("virsh", *command)
            wait_until(lambda: tells("changed", uuid), f"{command} is told")
