# SPDX-License-Identifier: Apache-2.0
"""The rule of what counts, on trees like sysfs makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from hybrid_sched.monitors.devices import physical_disks, uplinks


class Sysfs:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "block").mkdir()
        (root / "class" / "net").mkdir(parents=True)

    def block(self, name: str, number: str, *, device: bool = True, hidden: str = "0") -> None:
        folder = self.root / "block" / name
        folder.mkdir()
        (folder / "dev").write_text(f"{number}\n")
        (folder / "hidden").write_text(f"{hidden}\n")
        if device:
            (folder / "device").mkdir()

    def link(
        self, name: str, *, device: bool = False, kind: str = "", type_: int = 1, tun: bool = False
    ) -> None:
        folder = self.root / "class" / "net" / name
        folder.mkdir()
        (folder / "type").write_text(f"{type_}\n")
        (folder / "uevent").write_text(
            (f"DEVTYPE={kind}\n" if kind else "") + f"INTERFACE={name}\n"
        )
        if device:
            (folder / "device").mkdir()
        if tun:
            (folder / "tun_flags").write_text("0x1002\n")


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def test_only_whole_disks_of_hardware_count(sysfs: Sysfs) -> None:
    sysfs.block("sda", "8:0")
    sysfs.block("cciss!c0d0", "104:0")
    sysfs.block("nvme0n1", "259:0")
    sysfs.block("nvme0c0n1", "259:1", hidden="1")
    for stacked, number in (("dm-0", "253:0"), ("md127", "9:127"), ("loop0", "7:0")):
        sysfs.block(stacked, number, device=False)
    assert physical_disks(sysfs.root) == {
        "sda": "8:0",
        "cciss/c0d0": "104:0",
        "nvme0n1": "259:0",
    }


def test_where_there_is_hardware_only_its_interfaces_count(sysfs: Sysfs) -> None:
    sysfs.link("enp1s0", device=True)
    sysfs.link("enp2s0", device=True)
    sysfs.link("bond0", kind="bond")
    sysfs.link("enp1s0.7", kind="vlan")
    sysfs.link("br-ex", kind="bridge")
    sysfs.link("eth0")
    sysfs.link("lo", type_=772)
    assert uplinks(sysfs.root) == ("enp1s0", "enp2s0")


def test_in_a_namespace_links_that_may_lead_outside_count(sysfs: Sysfs) -> None:
    sysfs.link("eth0")
    sysfs.link("data0")
    sysfs.link("mac0", kind="macvlan")
    sysfs.link("lo", type_=772)
    sysfs.link("tunl0", type_=768)
    sysfs.link("brq1234", kind="bridge")
    sysfs.link("vxlan7", kind="vxlan")
    sysfs.link("guest0", tun=True)
    for inner in ("veth12ab", "tap34cd", "vnet0", "qvo1", "qvb1", "ifb0", "dummy0"):
        sysfs.link(inner)
    assert uplinks(sysfs.root) == ("data0", "eth0", "mac0")


def test_a_machine_without_devices_has_none(tmp_path: Path) -> None:
    assert physical_disks(tmp_path) == {}
    assert uplinks(tmp_path) == ()
