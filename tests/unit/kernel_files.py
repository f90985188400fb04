# SPDX-License-Identifier: Apache-2.0
"""Files like those in which the kernel tells of processes, mounts and control groups."""

from __future__ import annotations

from pathlib import Path

PID = 4711


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class KernelFiles:
    """One process, whose control groups are told with :meth:`process`, and the mounts made with :meth:`mount`."""

    def __init__(self, root: Path) -> None:
        self.proc = root / "proc"
        self.groups = root / "cgroup"
        self._mounts: list[str] = []
        self.mount("ext4", root, "/", "rw")

    def process(self, *lines: str) -> None:
        write(self.proc / str(PID) / "cgroup", "".join(f"{line}\n" for line in lines))

    def mount(self, kind: str, point: Path, root: str, options: str) -> None:
        number = 30 + len(self._mounts)
        self._mounts.append(
            f"{number} 23 0:{number} {root} {point} rw,relatime shared:9 - {kind} {kind} {options}"
        )
        write(self.proc / "self" / "mountinfo", "".join(f"{line}\n" for line in self._mounts))
