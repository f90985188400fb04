# SPDX-License-Identifier: Apache-2.0
"""The libvirt source on a real libvirt with guests under emulation, which have no system on their disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libvirt_host import NAMESPACES, why_not
from waiting import wait_until

pytestmark = pytest.mark.timeout(90)

_GUEST = """
<domain type="qemu">
  <name>{name}</name>
  <memory unit="MiB">64</memory>
  <vcpu>1</vcpu>
  <os><type arch="x86_64">hvm</type><boot dev="hd"/></os>
  <devices>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw"/><source file="{disk}"/><target dev="vda" bus="virtio"/>
    </disk>
    <interface type="ethernet">
      <target dev="tap-{name}"/><model type="virtio"/>
    </interface>
  </devices>
</domain>"""


class Host:
    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self._process = process
        self._directory = directory

    def ask(self, *command: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        assert not isinstance(answer, dict) or "failed" not in answer, answer
        return answer

    def start(self, name: str) -> None:
        disk = self._directory / f"{name}.raw"
        disk.write_bytes(bytes(2**20))
        self.ask("define", _GUEST.format(name=name, disk=disk))
        self.ask("virsh", "start", name)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with (tmp_path / "host.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *NAMESPACES,
                sys.executable,
                str(Path(__file__).with_name("libvirt_host.py")),
                str(tmp_path),
            ],
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Host(process, tmp_path)
    finally:
        process.kill()
        process.wait()


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
