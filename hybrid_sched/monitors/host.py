# SPDX-License-Identifier: Apache-2.0
"""The host itself, through psutil, sysfs and the kernel's pressure files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
from oslo_config import cfg

from hybrid_sched.core import measures
from hybrid_sched.core.hardware import Hardware
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError
from hybrid_sched.monitors.devices import physical_disks, uplinks
from hybrid_sched.monitors.hardware import read_hardware

_PRESSURE = Path("/proc/pressure")
_STALLS = {
    "cpu": measures.CPU_STALL_FRACTION,
    "memory": measures.MEMORY_STALL_FRACTION,
    "io": measures.IO_STALL_FRACTION,
}


class HostSource(MonitorSource):
    """Totals, hardware, and use of CPU, memory, disks and network of the whole host."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self._hardware: Hardware | None = None

    def collect(self) -> Observation:
        """Look now."""
        if self._hardware is None:
            # It does not change while the host is up.
            self._hardware = read_hardware()
        try:
            memory = psutil.virtual_memory()
            return Observation(
                cpus=psutil.cpu_count(),
                memory_mb=memory.total // 2**20,
                hardware=self._hardware,
                gauges={
                    # Page cache is given back under pressure, so it is not counted as used.
                    measures.MEMORY_USED_MB: (memory.total - memory.available) / 2**20,
                    **stall_fractions(),
                },
                counters={
                    "cpu_s": busy_s(psutil.cpu_times()),
                    **_disk_bytes(),
                    **_network_bytes(),
                },
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise SourceError(
                f"The host's figures cannot be read: {error}. See that /proc and /sys are mounted and readable."
            ) from None


def busy_s(times: Any) -> float:
    """Add up the time in which CPUs worked.

    Idle, waiting for I/O and stolen by a hypervisor is not work. The kernel counts guests' time in ``user`` and ``nice``
    already.

    :param times: of all CPUs, in seconds, with the fields of ``psutil.cpu_times``.
    """
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def stall_fractions(pressure: Path = _PRESSURE) -> dict[str, float]:
    """Read the part of the last 10 s in which some task waited for a resource; empty on kernels without PSI.

    :param pressure: folder with the files ``cpu``, ``memory`` and ``io``.
    """
    stalls = {}
    for resource, name in _STALLS.items():
        try:
            some = (pressure / resource).read_text().splitlines()[0]
        except OSError:
            continue
        fields = dict(field.split("=") for field in some.split()[1:])
        stalls[name] = float(fields["avg10"]) / 100
    return stalls


def _disk_bytes() -> dict[str, float]:
    """Add up what all whole disks read and wrote; empty where there are none."""
    # psutil would mend counters that begin anew; the agent does that itself.
    seen = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    disks = [seen[name] for name in physical_disks() if name in seen]
    if not disks:
        return {}
    return {
        "disk_read_bytes": sum(disk.read_bytes for disk in disks),
        "disk_write_bytes": sum(disk.write_bytes for disk in disks),
    }


def _network_bytes() -> dict[str, float]:
    """Add up what all uplinks received and sent; empty where there are none."""
    seen = psutil.net_io_counters(pernic=True, nowrap=False) or {}
    links = [seen[name] for name in uplinks() if name in seen]
    if not links:
        return {}
    return {
        "net_in_bytes": sum(link.bytes_recv for link in links),
        "net_out_bytes": sum(link.bytes_sent for link in links),
    }
