# SPDX-License-Identifier: Apache-2.0
"""Steady load, as a program: ``burn``, ``write FILE BYTES_A_SECOND`` or ``send ADDRESS BYTES_A_SECOND``."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable

_STEP_S = 0.1
_PACKET = bytes(1000)


def burn() -> None:
    """Keep one CPU busy."""
    while True:
        pass


def write(file: str, bytes_a_second: str) -> None:
    """Write to disk."""
    block = os.urandom(int(int(bytes_a_second) * _STEP_S))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)

    def step() -> None:
        os.pwrite(descriptor, block, 0)
        os.fsync(descriptor)

    _each_step(step)


def send(address: str, bytes_a_second: str) -> None:
    """Send packets that nobody takes to the broadcast address of a network."""
    packets = int(int(bytes_a_second) * _STEP_S / len(_PACKET))
    link = socket.socket(type=socket.SOCK_DGRAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

    def step() -> None:
        for _ in range(packets):
            link.sendto(_PACKET, (address, 9))

    _each_step(step)


def _each_step(step: Callable[[], None]) -> None:
    next_s = time.monotonic()
    while True:
        step()
        next_s += _STEP_S
        time.sleep(max(0, next_s - time.monotonic()))


if __name__ == "__main__":
    {"burn": burn, "write": write, "send": send}[sys.argv[1]](*sys.argv[2:])
