# SPDX-License-Identifier: Apache-2.0
"""Moments that can be compared over a restart of the agent, whatever becomes of the wall clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment on one host.

    :param kernel_boot_id: the boot of the kernel that it belongs to.
    :param boottime_s: ``CLOCK_BOOTTIME`` of that boot, which goes on while the host is suspended and is never set.
    """

    kernel_boot_id: str
    boottime_s: float

    def seconds_since(self, earlier: Instant) -> float | None:
        """Tell the time from another moment to this one; None when the host was booted between them."""
        if self.kernel_boot_id != earlier.kernel_boot_id:
            return None
        return self.boottime_s - earlier.boottime_s


def now() -> Instant:
    """Give the present moment."""
    return Instant(_KERNEL_BOOT_ID.read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME))
