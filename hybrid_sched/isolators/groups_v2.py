# SPDX-License-Identifier: Apache-2.0
"""Limits in the files of control groups of version 2."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

from hybrid_sched.control_groups import UNIFIED
from hybrid_sched.core import cpu_list, cpu_time
from hybrid_sched.core.limits import Aspect
from hybrid_sched.isolators import group_values as values

_NONE = "max"
#: What "max" stands for in a sum of protected memory.
_ALL = 2**63
_RATES = {Aspect.DISK_READ: "rbps", Aspect.DISK_WRITE: "wbps"}


class Version2:
    """The limits of one task.

    :param groups: its folder in the one hierarchy, by :data:`~hybrid_sched.control_groups.UNIFIED`.
    :param devices: numbers ``major:minor`` of the disks on which its input and output is limited.
    """

    CONTROLLERS: ClassVar[Mapping[Aspect, str]] = {
        Aspect.CPU_QUOTA: "cpu",
        Aspect.CPUS: "cpuset",
        Aspect.MEMORY: "memory",
        Aspect.MEMORY_LOW: "memory",
        Aspect.DISK_READ: "io",
        Aspect.DISK_WRITE: "io",
    }
    _FILES: ClassVar[Mapping[Aspect, str]] = {
        Aspect.CPU_QUOTA: "cpu.max",
        Aspect.CPUS: "cpuset.cpus",
        Aspect.MEMORY: "memory.max",
        Aspect.MEMORY_LOW: "memory.low",
        Aspect.DISK_READ: "io.max",
        Aspect.DISK_WRITE: "io.max",
    }

    def __init__(self, groups: Mapping[str, Path], devices: Collection[str]) -> None:
        self._group = groups[UNIFIED]
        self._devices = devices

    def get(self, aspect: Aspect) -> Any:
        """Read the field of the limits; None also when the controller is off for the task.

        :raises OSError: when a file cannot be read.
        """
        file = self._group / self._FILES[aspect]
        if not file.exists():
            return None
        match aspect:
            case Aspect.CPU_QUOTA:
                quota, period = file.read_text().split()
                return None if quota == _NONE else cpu_time.cores_of(int(quota), int(period))
            case Aspect.CPUS:
                # What is set may be more than the groups above have.
                return (
                    cpu_list.of_text(file.with_name("cpuset.cpus.effective").read_text())
                    if file.read_text().strip()
                    else None
                )
            case Aspect.MEMORY:
                # A task that may swap is refused nothing before its swap is full too.
                most = _bytes(file), _bytes(file.with_name("memory.swap.max"))
                return None if None in most else values.mib(sum(filter(None, most)))
            case Aspect.MEMORY_LOW:
                return values.mib(_low(self._group)) or None
        found = [_limits(file).get(each, {}).get(_RATES[aspect], _NONE) for each in self._devices]
        return None if _NONE in found else max(map(int, found), default=None)

    def set(self, aspect: Aspect, value: Any) -> None:
        """Write the field of the limits, having switched the controller on for the task; None removes a limit.

        :raises OSError: when the kernel refuses.
        """
        file = self._group / self._FILES[aspect]
        if not file.exists():
            if value is None:
                return
            _switch_on(self._group, self.CONTROLLERS[aspect])
        match aspect:
            case Aspect.CPU_QUOTA:
                quota = cpu_time.bandwidth(value) if value is not None else (_NONE,)
                values.write(file, " ".join(map(str, quota)))
            case Aspect.CPUS:
                # An empty write is none to the kernel; a line end is.
                values.write(file, f"{cpu_list.to_text(value or ())}\n")
            case Aspect.MEMORY:
                values.write(file, _NONE if value is None else str(value * values.MIB))
                swap = file.with_name("memory.swap.max")
                if swap.exists():
                    values.write(swap, _NONE if value is None else "0")
            case Aspect.MEMORY_LOW:
                values.write(file, str((value or 0) * values.MIB))
                _protect_above(self._group)
            case _:
                for device in self._devices:
                    values.write(file, f"{device} {_RATES[aspect]}={value or _NONE}")


def _switch_on(group: Path, controller: str) -> None:
    """Let a group have a controller: each group above must give it."""
    above = []
    for each in group.parents:
        if not (each / "cgroup.subtree_control").exists():
            break
        above.append(each)
    for each in reversed(above):
        given = each / "cgroup.subtree_control"
        if controller not in given.read_text().split():
            values.write(given, f"+{controller}")


def _bytes(file: Path) -> int | None:
    """Read an amount; None for no limit, 0 where the kernel does not have the file, as of swap that it does not count."""
    try:
        text = file.read_text().strip()
    except FileNotFoundError:
        return 0
    return None if text == _NONE else int(text)


def _low(group: Path) -> int:
    """Give the memory that is protected: a group above that protects less than those below want gives each its part."""
    own = _protected(group)
    for above in group.parents:
        if not (above / "memory.low").exists():
            break
        wanted = sum(_protected(each) for each in above.iterdir() if each.is_dir())
        has = _protected(above)
        if has < wanted:
            own = own * has // wanted
    return own


def _protect_above(group: Path) -> None:
    """Let the groups above protect what those below want: the kernel gives no more than they have."""
    for above in group.parents:
        if not (above / "memory.low").exists():
            return
        wanted = sum(_protected(each) for each in above.iterdir() if each.is_dir())
        if _protected(above) < wanted:
            values.write(above / "memory.low", str(min(wanted, _ALL)))


def _protected(group: Path) -> int:
    number = _bytes(group / "memory.low")
    return _ALL if number is None else number


def _limits(file: Path) -> dict[str, dict[str, str]]:
    """Read ``8:0 rbps=1048576 wbps=max ...`` of each device."""
    limits = {}
    for line in file.read_text().splitlines():
        device, *pairs = line.split()
        limits[device] = dict(pair.split("=", 1) for pair in pairs)
    return limits
