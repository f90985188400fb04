# SPDX-License-Identifier: Apache-2.0
"""What one container uses, from its control groups (version 1 or 2) and its network namespace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from hybrid_sched.control_groups import UNIFIED, NotReachable, groups_of
from hybrid_sched.core import measures
from hybrid_sched.monitors.waits import ThreadWaits

_PROC = Path("/proc")
#: libvirt's name of the group of a guest's emulator.
_EMULATOR = "emulator"


def usage(
    pid: int,
    container_id: str,
    disks: Collection[str],
    proc: Path = _PROC,
    waits: ThreadWaits | None = None,
) -> tuple[dict[str, float], dict[str, float]]:
    """Read the gauges and the counters of a container.

    Reading a few files takes well under a millisecond, and Docker is not asked. A figure whose controller is off is left out.

    :param pid: of the container's first process, as seen from here.
    :param container_id: Docker's.
    :param disks: numbers ``major:minor`` of the disks that count; what is stacked on them would count again.
    :param proc: where procfs is mounted.
    :param waits: counts how long threads waited for a CPU, where version 1 does not; None to leave it out there.
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
    if waits is not None and "cpuacct" in groups:
        counters = {
            **counters,
            "cpu_wait_s": lambda: waits.wait_s(container_id, groups["cpuacct"]),
        }
    return _figures(gauges), {**_figures(counters), **network}


def throttled_s_of_guest(pid: int, proc: Path = _PROC) -> float | None:
    """Read for how long the CPU limits of a guest held it back; None where that cannot be told.

    libvirt puts the emulator and each virtual CPU into a group of its own inside that of the guest; each may have a limit.

    :param pid: of the guest's process, as seen from here.
    """
    try:
        groups = groups_of(pid, _EMULATOR, proc)
    except NotReachable:
        return None
    emulator = groups.get("cpu") or groups.get(UNIFIED)
    if emulator is None or emulator.name != _EMULATOR:
        return None
    total_s = 0.0
    for group in (emulator.parent, *emulator.parent.glob("vcpu*"), emulator):
        try:
            total_s += _throttled_s(group)
        except (OSError, LookupError):
            # The controller is off there, so that nothing limits it.
            continue
    return total_s


def _throttled_s(group: Path) -> float:
    """Read for how long a CPU limit of a group held it back, summed over CPUs; the unit differs between the versions."""
    fields = _fields(_text(group / "cpu.stat"))
    if "throttled_time" in fields:
        return fields["throttled_time"] / 1e9
    return fields["throttled_usec"] / 1e6


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
            "cpu_throttled_s": lambda: _throttled_s(groups["cpu"]),
            "disk_read_bytes": lambda: transferred("Read"),
            "disk_write_bytes": lambda: transferred("Write"),
            measures.OOM_KILLS: lambda: _fields(_text(groups["memory"] / "memory.oom_control"))[
                "oom_kill"
            ],
        },
    )


def _version_2(groups: Mapping[str, Path], disks: Collection[str]) -> tuple[_Readers, _Readers]:
    group = groups[UNIFIED]

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
            "cpu_throttled_s": lambda: _throttled_s(group),
            "cpu_wait_s": wait_s,
            "disk_read_bytes": lambda: transferred("rbytes"),
            "disk_write_bytes": lambda: transferred("wbytes"),
            measures.OOM_KILLS: lambda: _fields(_text(group / "memory.events"))["oom_kill"],
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
