# SPDX-License-Identifier: Apache-2.0
"""An isolator: the memory of machines of systemd-machined, in their control groups."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator

_MIB = 1024 * 1024


class MachinesIsolator(Isolator):
    """Holds ``memory.max`` of the scopes below ``machine.slice`` (control groups of version 2)."""

    frameworks = frozenset({CONTAINER})
    slice = Path("/sys/fs/cgroup/machine.slice")

    def ability(self) -> Ability:
        """Say that memory can be held where the kernel has its controller."""
        if (self.slice.parent / "cgroup.controllers").exists():
            return Ability(frozenset({Aspect.MEMORY}), {})
        missing = "Memory of machines is not held: boot with version 2 of control groups."
        return Ability(frozenset(), {Aspect.MEMORY: missing})

    def read(self) -> Mapping[str, Limits]:
        """Read back what the kernel holds."""
        found = {}
        for path in self.slice.glob("machine-*.scope/memory.max"):
            text = path.read_text().strip()
            memory_mb = None if text == "max" else int(text) // _MIB
            found[path.parent.stem.removeprefix("machine-")] = Limits(memory_mb=memory_mb)
        return found

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        """Set the limit, or take it away."""
        if Aspect.MEMORY not in aspects:
            return
        text = "max" if limits.memory_mb is None else str(limits.memory_mb * _MIB)
        try:
            (self.slice / f"machine-{uuid}.scope" / "memory.max").write_text(text)
        except FileNotFoundError:
            return  # gone by now
        except OSError as error:
            raise IsolationError(
                f"The kernel refuses a memory limit of machine {uuid}: {error}."
            ) from None
