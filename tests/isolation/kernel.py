# SPDX-License-Identifier: Apache-2.0
"""The kernel's own figures, beside those that hold a task: what is measured with does not depend on what is measured."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from hybrid_sched.control_groups import UNIFIED

_SECTOR = 512
_GROUPS = Path("/sys/fs/cgroup")
#: Of version 1: that of eight cores. Enough for a quota of a third beside a busy machine, which goes on.
_SHARES = "8192"


def version() -> int:
    """Tell the version of control groups that this machine has."""
    return 2 if (_GROUPS / "cgroup.controllers").exists() else 1


def prefer(group: str) -> None:
    """Let a group have the CPUs before others, so that a quota is measured and not what else runs on the machine.

    In the guest, which has version 2, nothing else runs.
    """
    if version() == 1:
        (_GROUPS / "cpu" / group / "cpu.shares").write_text(_SHARES)


def cpu_s(groups: Mapping[str, Path]) -> float:
    """Tell the CPU time that a task has used."""
    if "cpuacct" in groups:
        return int((groups["cpuacct"] / "cpuacct.usage").read_text()) / 1e9
    lines = (line.split() for line in (groups[UNIFIED] / "cpu.stat").read_text().splitlines())
    return next(int(amount) / 1e6 for name, amount in lines if name == "usage_usec")


def peak_memory_mb(groups: Mapping[str, Path]) -> float:
    """Tell the most memory that a task has had."""
    if "memory" in groups:
        return int((groups["memory"] / "memory.max_usage_in_bytes").read_text()) / 2**20
    return int((groups[UNIFIED] / "memory.peak").read_text()) / 2**20


def processes(groups: Mapping[str, Path]) -> list[int]:
    """Tell the processes of a task."""
    group = groups.get("cpuset", groups.get(UNIFIED))
    assert group is not None
    return [int(pid) for file in group.rglob("cgroup.procs") for pid in _lines(file)]


def cpus_seen(pids: Callable[[], list[int]], duration_s: float) -> set[int]:
    """Tell on which CPUs the busy threads of processes are seen to run."""
    seen: set[int] = set()
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s:
        for pid in pids():
            for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
                with contextlib.suppress(OSError):
                    # After the name in brackets; the state is the third field, the CPU the 39th (proc_pid_stat(5)).
                    fields = stat.read_text().rpartition(")")[2].split()
                    if fields[0] == "R":
                        seen.add(int(fields[36]))
        time.sleep(0.02)
    return seen


def rate(counter: Callable[[], float], duration_s: float) -> float:
    """Tell how fast a counter grows."""
    began_s, before = time.monotonic(), counter()
    time.sleep(duration_s)
    after = counter()
    return (after - before) / (time.monotonic() - began_s)


class LoopDisk:
    """A block device of its own, in memory: the speed of this machine's disk and of its flushes is not what is measured.

    :param size_mb: of the device.
    """

    def __init__(self, size_mb: int) -> None:
        with tempfile.NamedTemporaryFile(prefix="hs-disk-", dir="/dev/shm") as image:
            image.truncate(size_mb * 2**20)
            # The device keeps the file when it has lost its name.
            self.node = _run("losetup", "--find", "--show", image.name).strip()

    def read_bytes(self) -> int:
        """Tell what was read from it."""
        return self._stat(2) * _SECTOR

    def written_bytes(self) -> int:
        """Tell what was written to it."""
        return self._stat(6) * _SECTOR

    def _stat(self, field: int) -> int:
        return int(Path("/sys/block", Path(self.node).name, "stat").read_text().split()[field])

    def detach(self) -> None:
        """Take the device away."""
        _run("losetup", "--detach", self.node)


@contextlib.contextmanager
def mounted(disk: LoopDisk, folder: Path) -> Iterator[Path]:
    """Format a disk and mount it."""
    # Without a journal nobody else writes to it.
    _run("mkfs.ext4", "-q", "-O", "^has_journal", disk.node)
    folder.mkdir()
    _run("mount", disk.node, str(folder))
    try:
        yield folder
    finally:
        _run("umount", str(folder))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        # The group is gone, or is one of threads.
        return []


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout
