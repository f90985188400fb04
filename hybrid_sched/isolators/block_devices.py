# SPDX-License-Identifier: Apache-2.0
"""The block devices on which a task's input and output is limited."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from hybrid_sched.monitors.devices import physical_disks

_PROC, _SYS = Path("/proc"), Path("/sys")


def of_container(pid: int, proc: Path = _PROC, sys: Path = _SYS) -> frozenset[str]:
    """Find the disks that can hold a container's data, as ``major:minor`` of whole devices.

    They are the host's physical disks, and what is mounted for it or given to it and lies on none of them, such as a loop
    device or a network block device. What is stacked, such as LVM, is followed down to what it lies on.

    :param pid: of its first process, as seen from here.
    :param proc: where procfs is mounted.
    :param sys: where sysfs is mounted.
    """
    process = proc / str(pid)
    return _whole([*_mounted(process), *_given(process / "root" / "dev")], sys)


def of_guest(pid: int, proc: Path = _PROC, sys: Path = _SYS) -> frozenset[str]:
    """Find the disks that can hold a guest's data: the physical ones, and those of the files that its emulator has open.

    The emulator sees the host's mounts, which tell nothing.

    :param pid: of its emulator, as seen from here.
    :param proc: where procfs is mounted.
    :param sys: where sysfs is mounted.
    """
    return _whole(_opened(proc / str(pid) / "fd"), sys)


def _whole(numbers: Iterable[str], sys: Path) -> frozenset[str]:
    beneath = (leaf for number in set(numbers) for leaf in _beneath(sys / "dev/block" / number))
    return frozenset([*physical_disks(sys).values(), *beneath])


def _mounted(process: Path) -> Iterator[str]:
    """Give the devices of the file systems that the task sees (proc_pid_mountinfo(5)).

    Docker mounts files such as ``/etc/hosts`` from the folder of its data, so that the device of a container's layers is here.
    """
    try:
        lines = (process / "mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        source = after.split()[1]
        yield before.split()[2]
        # btrfs has device numbers of its own.
        if source.startswith("/dev/"):
            yield from _number(Path(source))


def _given(folder: Path) -> Iterator[str]:
    """Give the block devices among device files."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            yield from _number(path)


def _opened(folder: Path) -> Iterator[str]:
    """Give the devices that a process has opened, and those on which its open files lie."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            yield from _number(path)
            with contextlib.suppress(OSError):
                device = path.stat().st_dev
                yield f"{os.major(device)}:{os.minor(device)}"


def _number(path: Path) -> Iterator[str]:
    """Give the number of a block device; nothing for another file."""
    with contextlib.suppress(OSError):
        found = path.stat()
        if stat.S_ISBLK(found.st_mode):
            yield f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"


def _beneath(device: Path) -> Iterator[str]:
    """Follow a device to the whole devices that it lies on; nothing when it is none, as that of a file system in memory."""
    try:
        device = device.resolve(strict=True)
    except OSError:
        return
    # The kernel limits whole devices alone.
    whole = device.parent if (device / "partition").exists() else device
    below = list((whole / "slaves").glob("*"))
    for each in below:
        yield from _beneath(each)
    if not below:
        with contextlib.suppress(OSError):
            yield (whole / "dev").read_text().strip()
