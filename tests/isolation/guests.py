# SPDX-License-Identifier: Apache-2.0
"""Guests under full load: machines of libvirt whose whole program is the first sector of their disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any

import psutil
from guest_host import Host
from kernel import LoopDisk

from hybrid_sched.control_groups import groups_of
from hybrid_sched.core.limits import Aspect

_SECTOR = 512
_SIGNATURE = b"\x55\xaa"
#: What a guest reads or writes at once: 120 sectors.
REQUEST_BYTES = 120 * _SECTOR
# After the code of 16 bytes: 120 sectors from the 2048th on, to or from 1000:0000 (INT 13h extensions, address packet).
_PACKET = bytes.fromhex("1000 7800 0000 0010") + (2048).to_bytes(8, "little")
_GUEST = """
<domain type="qemu">
  <name>{name}</name>
  <memory unit="MiB">32</memory>
  <vcpu>1</vcpu>
  <os><type arch="x86_64">hvm</type><boot dev="hd"/></os>
  <devices>
    <disk type="block" device="disk">
      <driver name="qemu" type="raw" cache="none" io="threads"/>
      <source dev="{node}"/><target dev="vda" bus="virtio"/>
    </disk>
  </devices>
</domain>"""


def _with_disk(function: str) -> bytes:
    """Call the BIOS to read (42) or write (43) the disk, for ever."""
    # xor ax,ax; mov ds,ax; next: mov si,7c10h; mov ax,<function>00h; mov dl,80h; int 13h; jmp next
    return bytes.fromhex(f"31c0 8ed8 be107c b800{function} b280 cd13 ebf4") + _PACKET


class Load(Enum):
    """What a guest does all the time."""

    # jmp to itself
    SPIN = bytes.fromhex("ebfe")
    READ = _with_disk("42")
    WRITE = _with_disk("43")


@dataclass
class Guest:
    """A running guest.

    :param host: on which it runs.
    :param uuid: of libvirt.
    :param pid: of its process, as seen from here.
    :param groups: its folder of each controller.
    """

    host: Host
    uuid: str
    pid: int
    groups: Mapping[str, Path]

    def hold(self, **limits: Any) -> None:
        """Set limits by the host's isolator; what is read back is what was set."""
        told = {
            name: str(value) if isinstance(value, Fraction) else value
            for name, value in limits.items()
        }
        assert self.host.ask("hold", self.uuid, told, *(Aspect(name) for name in limits)) == ""
        read = self.host.ask("read")[self.uuid]
        assert {name: read[name] for name in limits} == told


def start(host: Host, disk: LoopDisk, load: Load) -> Guest:
    """Start a guest that has a disk to itself."""
    name = load.name.lower()
    with Path(disk.node).open("r+b") as device:
        device.write(load.value.ljust(_SECTOR - len(_SIGNATURE), b"\0") + _SIGNATURE)
    host.ask("define", _GUEST.format(name=name, node=disk.node))
    host.ask("virsh", "start", name)
    (process,) = (
        each
        for each in psutil.process_iter(["name", "cmdline"])
        if each.info["name"].startswith("qemu-system") and disk.node in str(each.info["cmdline"])
    )
    uuid = str(host.ask("virsh", "domuuid", name)).strip()
    return Guest(host, uuid, process.pid, groups_of(process.pid, f"-{name}"))
