# SPDX-License-Identifier: Apache-2.0
"""The host itself, through psutil and the kernel's pressure files."""

from __future__ import annotations

from pathlib import Path

import psutil

from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError

_PRESSURE = Path("/proc/pressure")


class HostSource(MonitorSource):
    """Totals, and use of CPU and memory of the whole host."""

    def collect(self) -> Observation:
        """Look now; CPU use is the mean since the last look."""
        try:
            memory = psutil.virtual_memory()
            cpus = psutil.cpu_count() or 0
            cpu_percent = psutil.cpu_percent(interval=None)
        except (OSError, RuntimeError) as error:
            raise SourceError(f"The host's figures cannot be read from /proc: {error}.") from None
        measured = {
            "cpu_fraction": cpu_percent / 100,
            # Page cache is given back under pressure, so it is not counted as used.
            "memory_used_mb": (memory.total - memory.available) / 2**20,
            **_pressure(),
        }
        return Observation(cpus=cpus, memory_mb=memory.total // 2**20, measured=measured)


def _pressure() -> dict[str, float]:
    """Read the share of the last 10 s in which tasks waited for a resource; empty on kernels without PSI."""
    stalls = {}
    for resource in ("cpu", "memory", "io"):
        try:
            some = (_PRESSURE / resource).read_text().splitlines()[0]
        except OSError:
            continue
        fields = dict(field.split("=") for field in some.split()[1:])
        stalls[f"{resource}_stall_fraction"] = float(fields["avg10"]) / 100
    return stalls
