# SPDX-License-Identifier: Apache-2.0
"""A monitor source: machines of systemd-machined, as their control groups tell."""

from __future__ import annotations

from pathlib import Path

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import CONTAINER, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SeenTask, SourceError

_MIB = 1024 * 1024


class MachinesSource(MonitorSource):
    """Lists the scopes below ``machine.slice`` (control groups of version 2)."""

    framework = CONTAINER
    slice = Path("/sys/fs/cgroup/machine.slice")

    def collect(self) -> Observation:
        """Look now."""
        try:
            scopes = sorted(self.slice.glob("machine-*.scope"))
            return Observation(tasks=tuple(self._seen(scope) for scope in scopes))
        except (OSError, ValueError) as error:
            raise SourceError(
                f"The machines cannot be read: {error}. See that version 2 of control groups is mounted."
            ) from None

    def _seen(self, scope: Path) -> SeenTask:
        uuid = scope.stem.removeprefix("machine-")
        limit = (scope / "memory.max").read_text().strip()
        usec = dict(line.split() for line in (scope / "cpu.stat").read_text().splitlines())
        return SeenTask(
            Task(
                uuid,
                CONTAINER,
                Resources(memory_mb=0 if limit == "max" else int(limit) // _MIB),
            ),
            gauges={
                measures.MEMORY_USED_MB: int((scope / "memory.current").read_text()) / _MIB,
            },
            # Counters as they are: the agent makes rates of them. The group is made anew with the machine.
            counters={"cpu_s": int(usec["usage_usec"]) / 1e6},
            life=str(scope.stat().st_ino),
        )
