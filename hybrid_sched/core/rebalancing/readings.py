# SPDX-License-Identifier: Apache-2.0
"""What was measured of hosts and tasks, as the watchdog takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import Task
from hybrid_sched.core.resources import Resources

#: Measured amounts in the order and the units of :class:`~hybrid_sched.core.resources.Resources`: cores, MiB, bytes/s.
Use = tuple[float, ...]

LENGTH = len(Resources._fields)
NO_USE: Use = (0.0,) * LENGTH

_FIGURES = (
    measures.CPU_CORES,
    measures.MEMORY_USED_MB,
    measures.DISK_READ_BPS,
    measures.DISK_WRITE_BPS,
    measures.NET_IN_BPS,
    measures.NET_OUT_BPS,
)
#: The figure that tells how long tasks waited for each resource; nothing tells it of a network interface.
_STALLS = (
    measures.CPU_STALL_FRACTION,
    measures.MEMORY_STALL_FRACTION,
    measures.IO_STALL_FRACTION,
    measures.IO_STALL_FRACTION,
    "",
    "",
)


@dataclass(frozen=True, slots=True)
class TaskReading:
    """One task on a host.

    :param task: what it is and what it declared.
    :param use: what it uses, memory as working set; None when it is not measured.
    """

    task: Task
    use: Use | None = None


@dataclass(frozen=True, slots=True)
class HostReading:
    """The last report of one host.

    :param host: its name.
    :param at_s: Unix time at which it was measured, by the clock of the caller's ``now_s``.
    :param capacity: what the host has; 0 where that is unknown, which is then not watched by its use.
    :param reserve: part of ``capacity`` that is kept for the host itself.
    :param use: of the whole host.
    :param stalls: part of the time, 0 to 1, in which tasks waited for each resource (PSI); 0 where nothing tells it.
    :param tasks: guests and containers on it.
    """

    host: str
    at_s: float
    capacity: Use
    use: Use
    reserve: Use = NO_USE
    stalls: Use = NO_USE
    tasks: tuple[TaskReading, ...] = ()

    @property
    def usable(self) -> Use:
        """Give the capacity after the reserve: what limits are parts of."""
        return tuple(
            [max(0.0, has - kept) for has, kept in zip(self.capacity, self.reserve, strict=True)]
        )


def use_of(figures: Mapping[str, float]) -> Use:
    """Read the use of a host or task from figures by their names in :mod:`hybrid_sched.core.measures`."""
    return tuple([figures.get(name, 0.0) for name in _FIGURES])


def stalls_of(figures: Mapping[str, float]) -> Use:
    """Read a host's stalls from figures by their names."""
    return tuple([figures.get(name, 0.0) for name in _STALLS])


def as_use(demand: Resources) -> Use:
    """Take what a task declared for what it uses."""
    return tuple([float(amount) for amount in demand])
