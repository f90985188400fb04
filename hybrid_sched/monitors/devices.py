# SPDX-License-Identifier: Apache-2.0
"""Which disks and network interfaces make up the host's traffic, so that every source counts each byte once."""

from __future__ import annotations

from pathlib import Path

_SYS = Path("/sys")
_ETHERNET = "1"
#: Names of the host's ends of guests' and containers' links (Docker, kuryr, libvirt, Neutron), and of shapers and dummies.
_NAMES_OF_INNER_LINKS = ("veth", "tap", "vnet", "qvb", "qvo", "ifb", "dummy")


def physical_disks(sys: Path = _SYS) -> dict[str, str]:
    """Find the whole disks of hardware.

    Partitions, loop, RAM, device-mapper and RAID devices lie on them and would count their bytes again. Paths of an NVMe
    disk with several are hidden behind the disk and left out too.

    :param sys: where sysfs is mounted.
    :returns: name as in ``/proc/diskstats`` to device number ``major:minor``.
    """
    disks = {}
    for block in sorted((sys / "block").glob("*")):
        number = _text(block / "dev")
        if number and (block / "device").exists() and _text(block / "hidden") != "1":
            # sysfs cannot have a slash in a name.
            disks[block.name.replace("!", "/")] = number
    return disks


def uplinks(sys: Path = _SYS) -> tuple[str, ...]:
    """Find the network interfaces over which the host's traffic comes and goes.

    They are the interfaces with hardware behind them. Where there are none, as in a network namespace, they are the Ethernet
    interfaces that could be the end of a link to outside: no bridge, bond, VLAN or tunnel, which lie on others; no tap; no
    shaper; and none whose name is that of the host's end of a guest's or container's link.

    :param sys: where sysfs is mounted.
    """
    interfaces = sorted((sys / "class" / "net").glob("*"))
    physical = tuple(each.name for each in interfaces if (each / "device").exists())
    return physical or tuple(each.name for each in interfaces if _may_lead_outside(each))


def _may_lead_outside(interface: Path) -> bool:
    kind = next(
        (
            line.removeprefix("DEVTYPE=")
            for line in _text(interface / "uevent").splitlines()
            if line.startswith("DEVTYPE=")
        ),
        "",
    )
    return (
        _text(interface / "type") == _ETHERNET
        and kind in {"", "macvlan"}
        and not (interface / "tun_flags").exists()
        and not interface.name.startswith(_NAMES_OF_INNER_LINKS)
    )


def _text(path: Path) -> str:
    """Read an attribute; empty when the device lacks it or has just gone."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
