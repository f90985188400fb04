# SPDX-License-Identifier: Apache-2.0
"""What differs between the limits that hold a task and those that should: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hybrid_sched.agent.records import Record
from hybrid_sched.core.limits import Aspect, Limits

#: By how much the kernel may round what it is given, in the unit of the aspect: one step of a CPU weight in version 2 of
#: control groups is 26 shares, a CPU quota is whole microseconds of a period, memory whole pages.
_ROUNDING: dict[Aspect, Fraction | int] = {
    Aspect.CPU_QUOTA: Fraction(1, 100),
    Aspect.CPU_WEIGHT: 27,
    Aspect.MEMORY: 1,
    Aspect.MEMORY_LOW: 1,
    Aspect.DISK_READ: 4096,
    Aspect.DISK_WRITE: 4096,
    Aspect.NET_IN: 1000,
    Aspect.NET_OUT: 1000,
}
#: ... or by this part of it: traffic shapers work in steps of time.
_ROUNDING_PART = Fraction(1, 50)


def is_near(wanted: Any, actual: Any, aspect: Aspect) -> bool:
    """Say whether a limit that was read back is the one that was set, but for what the kernel rounds.

    :param wanted: what was set; None for no limit.
    :param actual: what was read back.
    """
    if wanted == actual:
        return True
    rounding = _ROUNDING.get(aspect)
    if rounding is None or wanted is None or actual is None:
        return False
    return bool(abs(actual - wanted) <= max(rounding, abs(wanted) * _ROUNDING_PART))


def differing(
    wanted: Limits, actual: Limits, aspects: Iterable[Aspect], record: Record | None
) -> frozenset[Aspect]:
    """Give those of some aspects that are not held as they should be.

    :param record: of the task; what was read back when its limit was confirmed is as good as the limit.
    """
    confirmed = record.confirmed if record is not None else frozenset()
    return frozenset(
        each
        for each in wanted.differing(actual, aspects)
        if not (
            record is not None
            and each in confirmed
            and not record.held.differing(wanted, [each])
            and not record.settled.differing(actual, [each])
        )
    )


def everywhere(limits: Limits, cpus: frozenset[int]) -> Limits:
    """Write the CPUs of a task that may run on all of the host's as such, so that no limit and all of them are the same.

    :param cpus: all CPUs of the host.
    """
    if limits.cpus is None or limits.cpus >= cpus:
        return replace(limits, cpus=cpus)
    return limits


def merged(onto: Limits, limits: Limits, aspects: Iterable[Aspect]) -> Limits:
    """Take some aspects of one from another."""
    values: dict[str, Any] = {str(each): getattr(limits, each) for each in aspects}
    return replace(onto, **values)
