# SPDX-License-Identifier: Apache-2.0
"""The limits of a container: what its control groups hold, and what Docker has stored of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from hybrid_sched.control_groups import UNIFIED, NotReachable
from hybrid_sched.core import cpu_list, cpu_time
from hybrid_sched.core.limits import SHARES_A_CORE, Limits
from hybrid_sched.core.resources import Number, simplest

#: Bytes that stand for no limit of memory; the kernel has no greater ones.
UNLIMITED_BYTES = 2**63 - 4096
#: What is above is no limit: the kernel's own greatest is less than the above with larger pages.
_NO_LIMIT_BYTES = 2**62
_NANO = 10**9


def held(groups: Mapping[str, Path], record: Mapping[str, Any]) -> Limits:
    """Read what holds a running container.

    Its memory includes what it may swap out: without swap both limits are the same.

    :param groups: its folder of each controller.
    :param record: what Docker has stored of it, ``HostConfig``.
    :raises NotReachable: when it has just ended, and nothing can be read.
    """
    limits = (_version_1 if "cpu" in groups else _version_2)(groups, record.get("CpuShares") or 0)
    if limits == Limits():
        raise NotReachable("its control groups are gone")
    return limits


def stored(record: Mapping[str, Any]) -> Limits:
    """Read what Docker gives a container at its next start.

    :param record: what Docker has stored of it, ``HostConfig``.
    """
    quota_us, nano_cpus = record.get("CpuQuota") or 0, record.get("NanoCpus") or 0
    cores: Number | None = None
    if quota_us > 0:
        period_us = record.get("CpuPeriod") or cpu_time.DEFAULT_PERIOD_US
        cores = cpu_time.cores_of(quota_us, period_us)
    elif nano_cpus > 0:
        cores = simplest(Fraction(nano_cpus, _NANO))
    return Limits(
        cpu_quota=cores,
        cpu_weight=record.get("CpuShares") or None,
        cpus=cpu_list.of_text(record.get("CpusetCpus") or "") or None,
        memory_mb=_mb(record.get("Memory") or 0),
        memory_low_mb=_mb(record.get("MemoryReservation") or 0),
    )


def _version_1(groups: Mapping[str, Path], told_shares: int) -> Limits:
    def text(controller: str, file: str) -> str:
        return (groups[controller] / file).read_text()

    def quota() -> Number | None:
        quota_us = int(text("cpu", "cpu.cfs_quota_us"))
        period_us = int(text("cpu", "cpu.cfs_period_us"))
        return cpu_time.cores_of(quota_us, period_us) if quota_us > 0 else None

    def weight() -> int | None:
        shares = int(text("cpu", "cpu.shares"))
        return None if not told_shares and shares == SHARES_A_CORE else shares

    def memory() -> int | None:
        try:
            return _mb(int(text("memory", "memory.memsw.limit_in_bytes")))
        except FileNotFoundError:
            # Swap is not accounted.
            return _mb(int(text("memory", "memory.limit_in_bytes")))

    return Limits(
        cpu_quota=_known(quota),
        cpu_weight=_known(weight),
        cpus=_known(lambda: cpu_list.of_text(text("cpuset", "cpuset.cpus"))),
        memory_mb=_known(memory),
        memory_low_mb=_known(lambda: _mb(int(text("memory", "memory.soft_limit_in_bytes")))),
    )


def _version_2(groups: Mapping[str, Path], told_shares: int) -> Limits:
    def text(file: str) -> str:
        return (groups[UNIFIED] / file).read_text().strip()

    def quota() -> Number | None:
        quota_us, period_us = text("cpu.max").split()
        return None if quota_us == "max" else cpu_time.cores_of(int(quota_us), int(period_us))

    def weight() -> int | None:
        weight = int(text("cpu.weight"))
        if not told_shares and weight == cpu_time.DEFAULT_WEIGHT:
            return None
        # Many shares have one weight: those that were asked for are told where they have this one.
        of_told = {
            cpu_time.oci_weight_of(max(2, told_shares)),
            cpu_time.newer_oci_weight_of(max(2, told_shares)),
        }
        return told_shares if told_shares and weight in of_told else cpu_time.oci_shares_of(weight)

    def memory() -> int | None:
        most = text("memory.max")
        if most == "max":
            return None
        try:
            swap = text("memory.swap.max")
        except FileNotFoundError:
            # Swap is not accounted.
            swap = "0"
        return None if swap == "max" else _mb(int(most) + int(swap))

    def memory_low() -> int | None:
        low = text("memory.low")
        return None if low == "max" else _mb(int(low))

    return Limits(
        cpu_quota=_known(quota),
        cpu_weight=_known(weight),
        cpus=_known(lambda: cpu_list.of_text(text("cpuset.cpus.effective"))),
        memory_mb=_known(memory),
        memory_low_mb=_known(memory_low),
    )


def _known(read: Callable[[], Any]) -> Any:
    """Read one limit; None where its controller is off."""
    try:
        return read()
    except (OSError, LookupError):
        return None


def _mb(amount_bytes: int) -> int | None:
    return amount_bytes // 2**20 if 0 < amount_bytes < _NO_LIMIT_BYTES else None
