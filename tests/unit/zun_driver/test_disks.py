# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from hybrid_sched.zun_driver.disks import disk_behind


class Sysfs:
    """As much of sysfs as names a disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, number: str, device: str, *, is_partition: bool = False) -> None:
        """Add a device: its path below the devices, and the number by which it is found."""
        path = self.root / "devices" / device
        path.mkdir(parents=True)
        if is_partition:
            (path / "partition").write_text("1\n")
        link = self.root / "dev" / "block" / number
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path / "sys")


def number_of(path: Path) -> str:
    device = path.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


@pytest.mark.parametrize(
    ("device", "is_partition", "disk"),
    [
        ("vda", False, "/dev/vda"),
        ("nvme0n1/nvme0n1p2", True, "/dev/nvme0n1"),
        ("dm-3", False, "/dev/dm-3"),
        ("cciss!c0d0/cciss!c0d0p1", True, "/dev/cciss/c0d0"),
    ],
)
def test_it_is_the_whole_disk(
    tmp_path: Path, sysfs: Sysfs, device: str, is_partition: bool, disk: str
) -> None:
    sysfs.add(number_of(tmp_path), device, is_partition=is_partition)
    assert disk_behind(str(tmp_path), sysfs.root) == disk


def test_without_a_block_device_there_is_none(tmp_path: Path, sysfs: Sysfs) -> None:
    assert disk_behind(str(tmp_path), sysfs.root) is None
    assert disk_behind("/proc") is None
    assert disk_behind(str(tmp_path / "gone")) is None


def test_of_a_filesystem_with_numbers_of_its_own_it_is_what_was_mounted(
    tmp_path: Path, sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Any block device that is there: its node must be one.
    node = next((each for each in Path("/dev").iterdir() if each.is_block_device()), None)
    if node is None:
        pytest.skip("no block device is here")
    number = node.stat().st_rdev
    sysfs.add(f"{os.major(number)}:{os.minor(number)}", "sdx/sdx1", is_partition=True)
    point = tmp_path
    while not point.is_mount():
        point = point.parent
    mounts = [
        SimpleNamespace(mountpoint=str(point), device=str(node)),
        SimpleNamespace(mountpoint=str(point / "other"), device="/dev/null"),
    ]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    assert disk_behind(str(tmp_path), sysfs.root) == "/dev/sdx"
