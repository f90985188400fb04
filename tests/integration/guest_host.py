# SPDX-License-Identifier: Apache-2.0
"""A compute host with a real libvirt for one test, and guests under emulation, which have no system on their disks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libvirt_host import NAMESPACES, remove_groups, why_not

_PROGRAM = Path(__file__).with_name("libvirt_host.py")
_GUEST = """
<domain type="qemu">
  <name>{name}</name>
  {metadata}
  <memory unit="MiB">64</memory>
  <vcpu>{vcpus}</vcpu>
  <iothreads>{iothreads}</iothreads>
  <features><acpi/></features>
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
    """What a test asks of the program in :mod:`libvirt_host`."""

    def __init__(self, process: subprocess.Popen[str], directory: Path) -> None:
        self._process = process
        self._directory = directory

    def ask(self, *command: Any) -> Any:
        """Give a command and get the answer; a failure fails the test."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"the host has ended: {(self._directory / 'host.log').read_text()[-2000:]}"
        answer = json.loads(line)
        assert not isinstance(answer, dict) or "failed" not in answer, answer
        return answer

    def disk(self, name: str) -> str:
        """Make a disk of 1 MiB and give its path."""
        path = self._directory / f"{name}.raw"
        path.write_bytes(bytes(2**20))
        return str(path)

    def start(self, name: str, vcpus: int = 1, iothreads: int = 0, metadata: str = "") -> str:
        """Define and start a guest, and give its uuid."""
        values = {"disk": self.disk(name), "vcpus": vcpus, "iothreads": iothreads}
        self.ask("define", _GUEST.format(name=name, metadata=metadata, **values))
        self.ask("virsh", "start", name)
        return str(self.ask("virsh", "domuuid", name)).strip()


@contextlib.contextmanager
def running(directory: Path, group: str | None = None, program: Path = _PROGRAM) -> Iterator[Host]:
    """Start a host, and end it.

    :param directory: for its files.
    :param group: name of a control group for all its guests, which is made; None for none.
    :param program: that is the host, with at least the commands of :mod:`libvirt_host`.
    """
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with (directory / "host.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *NAMESPACES,
                sys.executable,
                str(program),
                str(directory),
                *([] if group is None else [group]),
            ],
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        yield Host(process, directory)
    finally:
        process.kill()
        process.wait()
        if group is not None:
            remove_groups(group)
