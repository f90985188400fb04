# SPDX-License-Identifier: Apache-2.0
"""Limits in the files of control groups of version 1."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from hybrid_sched.core import cpu_list, cpu_time
from hybrid_sched.core.limits import Aspect
from hybrid_sched.isolators import group_values as values

_NONE = "-1"


class Version1:
    """The limits of one task.

    :param groups: its folder of each controller.
    :param devices: numbers ``major:minor`` of the disks on which its input and output is limited.
    """

    CONTROLLERS: ClassVar[Mapping[Aspect, str]] = {
        Aspect.CPU_QUOTA: "cpu",
        Aspect.CPUS: "cpuset",
        Aspect.MEMORY: "memory",
        Aspect.MEMORY_LOW: "memory",
        Aspect.DISK_READ: "blkio",
        Aspect.DISK_WRITE: "blkio",
    }
    #: Of each aspect the file that the kernel lacks where it cannot hold it.
    FILES: ClassVar[Mapping[Aspect, str]] = {
        Aspect.CPU_QUOTA: "cpu.cfs_quota_us",
        Aspect.CPUS: "cpuset.cpus",
        Aspect.MEMORY: "memory.limit_in_bytes",
        Aspect.MEMORY_LOW: "memory.soft_limit_in_bytes",
        Aspect.DISK_READ: "blkio.throttle.read_bps_device",
        Aspect.DISK_WRITE: "blkio.throttle.write_bps_device",
    }

    def __init__(self, groups: Mapping[str, Path], devices: Collection[str]) -> None:
        self._groups = groups
        self._devices = devices

    def get(self, aspect: Aspect) -> Any:
        """Read the field of the limits.

        :raises OSError: when a file cannot be read.
        """
        file = self._groups[self.CONTROLLERS[aspect]] / self.FILES[aspect]
        match aspect:
            case Aspect.CPU_QUOTA:
                quota = _number(file)
                period = _number(file.with_name("cpu.cfs_period_us"))
                return None if quota < 0 else cpu_time.cores_of(quota, period)
            case Aspect.CPUS:
                # Where the processes are: libvirt has a group below for each vCPU.
                return frozenset().union(*(_cpus(each) for each in _lowest(file.parent)))
            case Aspect.MEMORY:
                # A task that may swap is refused nothing before its swap is full too.
                swapping = file.with_name("memory.memsw.limit_in_bytes")
                return values.mib(_number(swapping if swapping.exists() else file))
            case Aspect.MEMORY_LOW:
                return values.mib(_number(file))
        rates = {line.split()[0]: int(line.split()[1]) for line in file.read_text().splitlines()}
        found = [rates.get(each) for each in self._devices]
        return None if None in found else max((rate for rate in found if rate), default=None)

    def set(self, aspect: Aspect, value: Any) -> None:
        """Write the field of the limits; None removes a limit, and gives a cpuset all CPUs of the group above.

        :raises OSError: when the kernel refuses.
        """
        file = self._groups[self.CONTROLLERS[aspect]] / self.FILES[aspect]
        match aspect:
            case Aspect.CPU_QUOTA:
                _set_quota(file, value)
            case Aspect.CPUS:
                group = file.parent
                wanted = _cpus(group.parent) if value is None else value
                # A group has all CPUs of those below at any moment, so first each grows and then each shrinks.
                for each in (group, *_below(group)):
                    _set_cpus(each, _cpus(each) | wanted)
                for each in (*reversed([*_below(group)]), group):
                    _set_cpus(each, wanted)
            case Aspect.MEMORY:
                _set_memory(file, value)
            case Aspect.MEMORY_LOW:
                values.write(file, _NONE if value is None else str(value * values.MIB))
            case _:
                for device in self._devices:
                    values.write(file, f"{device} {value or 0}")


def _set_quota(file: Path, value: Any) -> None:
    if value is None:
        values.write(file, _NONE)
        return
    quota, period = cpu_time.bandwidth(value)
    periods = file.with_name("cpu.cfs_period_us")
    if _number(periods) != period:
        # The old quota in the new period may be more than the group above has.
        values.write(file, _NONE)
        values.write(periods, str(period))
    values.write(file, str(quota))


def _set_memory(file: Path, value: Any) -> None:
    text = _NONE if value is None else str(value * values.MIB)
    swapping = file.with_name("memory.memsw.limit_in_bytes")
    if not swapping.exists():
        values.write(file, text)
        return
    # Memory and swap together are never less than memory.
    shrinks = value is not None and value * values.MIB < _number(file)
    for each in (file, swapping) if shrinks else (swapping, file):
        values.write(each, text)


def _below(group: Path) -> Iterator[Path]:
    """Give the groups below that have CPUs, each before those below itself."""
    for each in sorted(path for path in group.iterdir() if path.is_dir()):
        if _cpus(each):
            yield each
            yield from _below(each)


def _lowest(group: Path) -> list[Path]:
    below = list(_below(group))
    parents = {each.parent for each in below}
    return [each for each in below if each not in parents] or [group]


def _cpus(group: Path) -> frozenset[int]:
    return cpu_list.of_text((group / "cpuset.cpus").read_text())


def _set_cpus(group: Path, cpus: frozenset[int]) -> None:
    values.write(group / "cpuset.cpus", cpu_list.to_text(cpus))


def _number(file: Path) -> int:
    return int(file.read_text())
