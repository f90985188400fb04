# SPDX-License-Identifier: Apache-2.0
"""A control group for each host, on cgroup v1 and v2."""

from __future__ import annotations

import os
from pathlib import Path

from lab.processes import wait_until

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "hybrid-lab"
V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
_V1_HIERARCHIES = (*V1_CONTROLLERS, "systemd")


def is_v2(root: Path = ROOT) -> bool:
    """Say whether the machine has the one hierarchy of cgroup v2."""
    return (root / "cgroup.controllers").exists()


def join(host: str, pid: int, root: Path = ROOT) -> None:
    """Put a process into the group of a host, made on first use."""
    if is_v2(root):
        group = root / _PREFIX / host
        group.mkdir(parents=True, exist_ok=True)
        for parent in (root, root / _PREFIX):
            _delegate(parent)
        (group / "cgroup.procs").write_text(str(pid))
        return
    for hierarchy in _V1_HIERARCHIES:
        base = root / hierarchy
        if not base.exists():
            continue
        group = base / f"{_PREFIX}-{host}"
        group.mkdir(exist_ok=True)
        if hierarchy == "cpuset":
            for setting in ("cpuset.cpus", "cpuset.mems"):
                (group / setting).write_text((base / setting).read_text())
        (group / "cgroup.procs").write_text(str(pid))


def open_v2_leaf(root: Path = ROOT) -> None:
    """Let groups be made below the group that this process is the first in, inside its cgroup namespace.

    On v2 a group with processes may not give controllers to groups below it, so the processes move to a leaf.
    """
    leaf = root / "init"
    leaf.mkdir(exist_ok=True)
    for pid in (root / "cgroup.procs").read_text().split():
        (leaf / "cgroup.procs").write_text(pid)
    _delegate(root)


def memory_used_bytes(root: Path = ROOT) -> int:
    """Tell the memory that the host's processes use, page cache left out, as seen inside its namespaces."""
    if is_v2(root):
        return _sum_of(root / "memory.stat", ("anon", "kernel", "shmem"))
    return _sum_of(root / "memory" / "memory.stat", ("total_rss", "total_shmem"))


def cpu_used_s(root: Path = ROOT) -> float:
    """Tell the CPU seconds that the host's processes have worked, as seen inside its namespaces."""
    if is_v2(root):
        return _sum_of(root / "cpu.stat", ("usage_usec",)) / 1e6
    return int((root / "cpuacct" / "cpuacct.usage").read_text()) / 1e9


def cpu_used_by_s(host: str, root: Path = ROOT) -> float:
    """Tell the CPU seconds that a host's processes have worked, as seen from outside."""
    if is_v2(root):
        return _sum_of(root / _PREFIX / host / "cpu.stat", ("usage_usec",)) / 1e6
    return int((root / "cpuacct" / f"{_PREFIX}-{host}" / "cpuacct.usage").read_text()) / 1e9


def remove_all(root: Path = ROOT) -> list[Path]:
    """Remove the groups of the lab; gives those that could not be."""
    groups = [root / _PREFIX] if is_v2(root) else list(root.glob(f"*/{_PREFIX}-*"))

    def left() -> list[Path]:
        for group in groups:
            for folder, _, _ in os.walk(group, topdown=False):
                try:
                    Path(folder).rmdir()
                except OSError:
                    continue
        return [group for group in groups if group.exists()]

    wait_until(lambda: not left(), 10)
    return left()


def _delegate(group: Path) -> None:
    controllers = (group / "cgroup.controllers").read_text().split()
    for controller in controllers:
        (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _sum_of(file: Path, names: tuple[str, ...]) -> int:
    lines = (line.split() for line in file.read_text().splitlines())
    amounts = {fields[0]: int(fields[1]) for fields in lines}
    return sum(amounts.get(name, 0) for name in names)
