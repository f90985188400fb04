# SPDX-License-Identifier: Apache-2.0
"""Values of limits as control groups of both versions write them."""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from pathlib import Path

from hybrid_sched.core.resources import Number, simplest

MIB = 2**20
#: The kernel's bounds of a quota and its period, and the period that Docker and libvirt take.
LEAST_QUOTA_US, MOST_PERIOD_US, USUAL_PERIOD_US = 1_000, 1_000_000, 100_000
# Version 1 rounds "no limit" down to a page.
_NO_LIMIT_FROM = 2**62


def quota_and_period(cores: Number) -> tuple[int, int]:
    """Give the quota and the period, both in µs, whose quotient is a number of cores.

    It is exact for denominators up to 1000 and wherever else the kernel has such a quota; otherwise within a millionth. Below
    1/1000 core it is that, the kernel's least.

    :param cores: above 0.
    """
    wanted = max(Fraction(cores), Fraction(LEAST_QUOTA_US, MOST_PERIOD_US))
    step = wanted.denominator
    for most in (USUAL_PERIOD_US, MOST_PERIOD_US):
        period = step * max(1, most // step)
        if period <= MOST_PERIOD_US and wanted * period >= LEAST_QUOTA_US:
            return int(wanted * period), period
    return round(wanted * MOST_PERIOD_US), MOST_PERIOD_US


def cores(quota_us: int, period_us: int) -> Number:
    """Give the number of cores of a quota."""
    return simplest(Fraction(quota_us, period_us))


def mib(number: int) -> int | None:
    """Give bytes in MiB, rounded up; None for what stands for no limit."""
    return None if number >= _NO_LIMIT_FROM else -(-number // MIB)


def cpus_from_text(text: str) -> frozenset[int]:
    """Read a list such as ``0-3,8`` (cpuset(7), list format)."""
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def cpus_to_text(cpus: Collection[int]) -> str:
    """Write a list that the kernel takes."""
    return ",".join(str(cpu) for cpu in sorted(cpus))


def write(file: Path, text: str) -> None:
    """Write a value in one call, as the kernel takes it.

    :raises OSError: when the kernel refuses; it has the name of the file.
    """
    try:
        file.write_text(text)
    except OSError as error:
        # What the kernel says of a value comes without the name.
        raise OSError(error.errno, error.strerror, str(file)) from None
