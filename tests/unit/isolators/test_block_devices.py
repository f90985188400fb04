# SPDX-License-Identifier: Apache-2.0
"""Which disks a task's limits are set on, on trees like procfs and sysfs make them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hybrid_sched.isolators import block_devices

_PID = 4711


class Tree:
    """A physical disk 8:0, a partition 8:1 of it, and what a test adds."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        self.process = self.proc / str(_PID)
        for folder in (self.process / "fd", self.process / "root" / "dev"):
            folder.mkdir(parents=True)
        self.mounted()
        disk = self.device("8:0", "sda")
        (disk / "device").mkdir()
        partition = disk / "sda1"
        partition.mkdir()
        (partition / "partition").write_text("1\n")
        (partition / "dev").write_text("8:1\n")
        (self.sys / "dev" / "block" / "8:1").symlink_to(partition)

    def device(self, number: str, name: str, *slaves: str) -> Path:
        folder = self.sys / "block" / name
        (folder / "slaves").mkdir(parents=True)
        (folder / "dev").write_text(f"{number}\n")
        for slave in slaves:
            (folder / "slaves" / slave).symlink_to(self.sys / "block" / slave)
        links = self.sys / "dev" / "block"
        links.mkdir(parents=True, exist_ok=True)
        (links / number).symlink_to(folder)
        return folder

    def mounted(self, *lines: str) -> None:
        (self.process / "mountinfo").write_text("".join(f"{line}\n" for line in lines))

    def of_container(self) -> frozenset[str]:
        return block_devices.of_container(_PID, self.proc, self.sys)

    def of_guest(self) -> frozenset[str]:
        return block_devices.of_guest(_PID, self.proc, self.sys)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_hosts_disks_are_always_there_even_for_a_process_that_has_ended(tree: Tree) -> None:
    (tree.process / "mountinfo").unlink()
    assert tree.of_container() == {"8:0"}
    assert block_devices.of_guest(1, tree.proc, tree.sys) == {"8:0"}


def test_a_loop_device_is_there_when_it_is_mounted_for_the_container(tree: Tree) -> None:
    tree.device("7:3", "loop3")
    tree.device("7:4", "loop4")
    tree.mounted(
        "100 99 0:50 / / rw - overlay overlay rw,lowerdir=/a",
        "101 100 8:1 /data/hosts /etc/hosts rw - ext4 /dev/sda1 rw",
        "102 100 7:3 / /volume rw shared:3 - ext4 /dev/loop3 rw",
        "103 100 0:51 / /proc rw - proc proc rw",
    )
    # The partition is limited as a part of its disk; the kernel takes no partition.
    assert tree.of_container() == {"8:0", "7:3"}


def test_what_is_stacked_is_followed_to_what_it_lies_on(tree: Tree) -> None:
    tree.device("7:3", "loop3")
    tree.device("253:0", "dm-0", "loop3")
    tree.device("253:1", "dm-1", "dm-0", "sda")
    tree.mounted("101 100 253:1 / /volume rw - ext4 /dev/mapper/volume rw")
    assert tree.of_container() == {"8:0", "7:3"}


def a_block_device_of_this_machine() -> tuple[str, str]:
    for block in Path("/sys/block").glob("*"):
        node = Path("/dev", block.name)
        if node.is_block_device():
            device = node.stat().st_rdev
            return str(node), f"{os.major(device)}:{os.minor(device)}"
    pytest.skip("this machine has no block device")


def test_a_device_that_is_given_to_a_container_or_opened_by_an_emulator_is_there(
    tree: Tree,
) -> None:
    node, number = a_block_device_of_this_machine()
    tree.device(number, "its")
    assert tree.of_container() == tree.of_guest() == {"8:0"}
    (tree.process / "root" / "dev" / "xvda").symlink_to(node)
    (tree.process / "root" / "dev" / "null").symlink_to("/dev/null")
    assert tree.of_container() == {"8:0", number}
    (tree.process / "fd" / "9").symlink_to(node)
    assert tree.of_guest() == {"8:0", number}


def test_the_disk_of_an_image_file_that_the_emulator_has_open_is_there(tree: Tree) -> None:
    image = tree.proc / "image.raw"
    image.touch()
    device = image.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    tree.device(number, "its")
    (tree.process / "fd" / "9").symlink_to(image)
    assert tree.of_guest() == {"8:0", number}


def test_a_file_system_with_a_number_of_its_own_is_known_by_its_source(tree: Tree) -> None:
    node, number = a_block_device_of_this_machine()
    tree.device(number, "its")
    tree.mounted(f"101 100 0:60 /sub /volume rw - btrfs {node} rw")
    assert tree.of_container() == {"8:0", number}
