# SPDX-License-Identifier: Apache-2.0
"""Which disk is behind a directory of the host, for limits of its rates."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

_SYS = Path("/sys")
_NODES = Path("/dev")


def disk_behind(directory: str, sys: Path = _SYS) -> str | None:
    """Find the whole disk that holds a directory.

    The kernel holds rates of whole disks only: of a partition it is the disk that it lies on. A volume of the device mapper
    (LVM, encryption) is a disk of its own.

    :param directory: that is there; a path of the host.
    :param sys: where sysfs is mounted.
    :returns: path of the disk's device node; None when no block device holds it (tmpfs, NFS, ZFS), or it is not there.
    """
    try:
        number = os.stat(directory).st_dev
    except OSError:
        return None
    block = _block(number, sys)
    if block is None:
        # Btrfs has device numbers of its own: its mount names the disk.
        block = _block_mounted_at(directory, sys)
    if block is None:
        return None
    whole = block.parent if (block / "partition").exists() else block
    # sysfs cannot have a slash in a name.
    return str(_NODES / whole.name.replace("!", "/"))


def _block(number: int, sys: Path) -> Path | None:
    """Give the directory in sysfs of a block device; None when the number is not that of one."""
    link = sys / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    return link.resolve() if link.exists() else None


def _block_mounted_at(directory: str, sys: Path) -> Path | None:
    point = Path(directory).resolve()
    while not point.is_mount():
        point = point.parent
    # Of several mounts at one place the last is what is seen.
    for mount in reversed(psutil.disk_partitions(all=True)):
        if mount.mountpoint == str(point) and Path(mount.device).is_block_device():
            return _block(os.stat(mount.device).st_rdev, sys)
    return None
