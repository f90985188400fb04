# SPDX-License-Identifier: Apache-2.0
"""What follows from a rate, and from a task, for the kernel's traffic control: sizes and names."""

from __future__ import annotations

import re
from enum import StrEnum

#: A packet before it is cut for the wire (TSO, GSO): the kernel passes it on in one piece.
LARGEST_PACKET_BYTES = 65_536
_LEAST_QUEUE_BYTES = 4 * LARGEST_PACKET_BYTES
_MOST_QUEUE_BYTES = 16 * 2**20
# Two ticks of the slowest clock that a kernel has, 100 a second; a program cannot ask how often its own ticks.
_BURSTS_A_SECOND = 50
_QUEUES_A_SECOND = 20
#: htb forgets what a class owes beyond 60 s: one largest packet is to pass in that time.
LEAST_RATE_BPS = -(-LARGEST_PACKET_BYTES // 60)
_METER = re.compile(r"hs[io][0-9a-f]{12}")


class Direction(StrEnum):
    """Which way, as the task sees it."""

    IN = "receives"
    OUT = "sends"


def burst_bytes(rate_bps: int) -> int:
    """Give what may pass at once after a pause.

    At least what the rate brings in 20 ms: when the timer of the queue is late by that, as with a busy CPU, the time that
    passed is not lost. At least one largest packet: htb lets one pass as soon as it owes nothing, and a task that sends seldom
    need not wait for it.

    :param rate_bps: bytes/s, above 0.
    :returns: bytes.
    """
    return max(LARGEST_PACKET_BYTES, -(-rate_bps // _BURSTS_A_SECOND))


def queue_bytes(rate_bps: int) -> int:
    """Give what may wait: 50 ms of the rate, so that a stream fills it and yet nobody waits long.

    At least four largest packets, below which TCP would stall, and at most 16 MiB: it is memory of the kernel. In bytes, since
    a packet has anything from 60 to 65536.

    :param rate_bps: bytes/s, above 0.
    :returns: bytes.
    """
    return min(max(_LEAST_QUEUE_BYTES, rate_bps // _QUEUES_A_SECOND), _MOST_QUEUE_BYTES)


def meter_name(uuid: str, direction: Direction) -> str:
    """Name the device through which all traffic of a task in one direction goes: 15 characters, the most a name can have.

    :param uuid: of the task; its first 12 digits, 48 bits, tell it from the others of a host.
    """
    return f"hs{'i' if direction is Direction.IN else 'o'}{uuid.replace('-', '')[:12].lower()}"


def is_meter_name(name: str) -> bool:
    """Tell whether :func:`meter_name` gives such names."""
    return _METER.fullmatch(name) is not None
