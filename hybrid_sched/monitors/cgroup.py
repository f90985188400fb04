# SPDX-License-Identifier: Apache-2.0
"""What one container uses, from its control groups (version 1 or 2) and its network namespace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from hybrid_sched.control_groups import UNIFIED, NotReachable, groups_of
from hybrid_sched.core import measures

_PROC = Path("/proc")


def usage(
    pid: int, container_id: str, disks: Collection[str], proc: Path = _PROC
) -> tuple[dict[str, float], dict[str, float]]:
    """Read the gauges and the counters of a container.

    Reading a few files takes well under a millisecond, and Docker is not asked. A figure whose controller is off is left out.

    :param pid: of the container's first process, as seen from here.
    :param container_id: Docker's.
    :param disks: numbers ``major:minor`` of the disks that count; what is stacked on them would count again.
    :param proc: where procfs is mounted.
    :raises NotReachable: when the process is not the container's, or its control groups are not mounted here.
    """
    # Read before the check that the process is the container's: its number may be given to another when it ends.
    try:
        network = network_bytes(_text(proc / str(pid) / "net" / "dev"))
    except OSError:
        network = {}
    groups = groups_of(pid, container_id, proc)
    if not groups.keys() & {"cpuacct", UNIFIED}:
        raise NotReachable(f"process {pid} has no control group that counts its CPU time")
    read = _version_1 if "cpuacct" in groups else _version_2
    gauges, counters = read(groups, disks)
    return _figures(gauges), {**_figures(counters), **network}


_Readers = Mapping[str, Callable[[], float]]


def _version_1(groups: Mapping[str, Path], disks: Collection[str]) -> tuple[_Readers, _Readers]:
    def memory_mb() -> float:
        used = int(_text(groups["memory"] / "memory.usage_in_bytes"))
        cache = _fields(_text(groups["memory"] / "memory.stat"))["total_inactive_file"]
        return max(0, used - cache) / 2**20

    def transferred(operation: str) -> float:
        # "8:0 Read 4096" of each disk that counts, and a line "Total 8192".
        text = _text(groups["blkio"] / "blkio.throttle.io_service_bytes_recursive")
        lines = (line.split() for line in text.splitlines())
        amounts = [int(line[2]) for line in lines if line[0] in disks and line[1] == operation]
        if not amounts:
            # Linux 6.10 and later count nothing until a limit has been set on the disk: no line is not the same as 0.
            raise LookupError(operation)
        return sum(amounts)

    return (
        {measures.MEMORY_USED_MB: memory_mb},
        {
            "cpu_s": lambda: int(_text(groups["cpuacct"] / "cpuacct.usage")) / 1e9,
            "cpu_throttled_s": lambda: throttled_s(groups["cpu"]),
            "disk_read_bytes": lambda: transferred("Read"),
            "disk_write_bytes": lambda: transferred("Write"),
        },
    )


def _version_2(groups: Mapping[str, Path], disks: Collection[str]) -> tuple[_Readers, _Readers]:
    group = groups[UNIFIED]

    def throttled_s() -> float:
        return _fields(_text(group / "cpu.stat"))["throttled_usec"] / 1e6

    def wait_s() -> float:
        # "some avg10=0.00 avg60=0.00 avg300=0.00 total=94193256": time for which at least one process of it waited.
        some = _text(group / "cpu.pressure").splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6

    def memory_mb() -> float:
        used = int(_text(group / "memory.current"))
        return max(0, used - _fields(_text(group / "memory.stat"))["inactive_file"]) / 2**20

    def transferred(field: str) -> float:
        # "8:0 rbytes=4096 wbytes=0 rios=1 ..."
        lines = (line.split() for line in _text(group / "io.stat").splitlines())
        return sum(
            int(amount)
            for number, *pairs in lines
            if number in disks
            for name, _, amount in (pair.partition("=") for pair in pairs)
            if name == field
        )

    return (
        {measures.MEMORY_USED_MB: memory_mb},
        {
            "cpu_s": lambda: _fields(_text(group / "cpu.stat"))["usage_usec"] / 1e6,
            "cpu_throttled_s": throttled_s,
            "cpu_wait_s": wait_s,
            "disk_read_bytes": lambda: transferred("rbytes"),
            "disk_write_bytes": lambda: transferred("wbytes"),
        },
    )


def network_bytes(text: str) -> dict[str, float]:
    """Add up what all interfaces but loopback received and sent.

    :param text: of ``/proc/<pid>/net/dev``.
    """
    counters = {"net_in_bytes": 0.0, "net_out_bytes": 0.0}
    for line in text.splitlines()[2:]:
        name, _, figures = line.partition(":")
        if name.strip() != "lo":
            fields = figures.split()
            counters["net_in_bytes"] += int(fields[0])
            counters["net_out_bytes"] += int(fields[8])
    return counters


def _figures(readers: _Readers) -> dict[str, float]:
    """Read those that can be: a file is missing when its controller is off."""
    figures = {}
    for name, read in readers.items():
        try:
            figures[name] = read()
        except (OSError, LookupError, ValueError):
            continue
    return figures


def _fields(text: str) -> dict[str, int]:
    """Read lines of a name and a number."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _text(path: Path) -> str:
    return path.read_text()
