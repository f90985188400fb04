# SPDX-License-Identifier: Apache-2.0
"""Where the control groups of a task are, of version 1 or 2: their files tell what it uses and what holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

#: The one hierarchy of version 2, among the names of controllers.
UNIFIED = ""
_PROC = Path("/proc")


class NotReachable(Exception):
    """The control groups of the task cannot be seen from here; the message says why."""


def groups_of(pid: int, own: str, proc: Path = _PROC) -> dict[str, Path]:
    """Find a task's folder of each controller that is mounted here; version 2 has one for all, under :data:`UNIFIED`.

    Beside controllers of version 1, version 2 may be mounted with none of its own; its folder is then there too.

    :param pid: of one of its processes, as seen from here.
    :param own: a text that the name of the task's own group contains, and that of no other task's.
    :param proc: where procfs is mounted.
    :raises NotReachable: when the process is not the task's, or none of its control groups is mounted here.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
        mounts = _mounts((proc / "self" / "mountinfo").read_text())
    except OSError as error:
        raise NotReachable(f"process {pid} cannot be looked at: {error}") from None
    groups = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        parts = PurePosixPath(path).parts
        # Down to the task's own group: the process may have moved into one further down.
        # systemd escapes dashes in the names of libvirt's scopes.
        names = (part.replace(r"\x2d", "-") for part in parts)
        depth = next((depth for depth, name in enumerate(names) if own in name), None)
        if depth is None:
            continue
        for controller in controllers.split(","):
            for root, mounted in mounts.get(controller, ()):
                folder = _below(PurePosixPath(*parts[: depth + 1]), root, mounted)
                if folder is not None and folder.is_dir():
                    groups[controller] = folder
                    break
    if not groups:
        raise NotReachable(f"no control group of process {pid} that is mounted here is the task's")
    return groups


def mount_points(proc: Path = _PROC) -> dict[str, Path]:
    """Find where each controller is mounted here; version 2 is under :data:`UNIFIED`.

    :param proc: where procfs is mounted.
    :raises NotReachable: when procfs does not tell.
    """
    try:
        mounts = _mounts((proc / "self" / "mountinfo").read_text())
    except OSError as error:
        raise NotReachable(f"the mounts of this process cannot be read: {error}") from None
    return {controller: Path(points[0][1]) for controller, points in mounts.items()}


def oom_kills(groups: Mapping[str, Path]) -> int:
    """Tell how many processes of a task the kernel has killed for want of memory since its groups were made.

    :param groups: as :func:`groups_of` gives them.
    :raises NotReachable: when no memory controller counts for the task.
    """
    # In version 2 memory.events counts the groups below as well; in version 1 a task's processes are in its own group.
    file = groups["memory"] / "memory.oom_control" if "memory" in groups else None
    if file is None and UNIFIED in groups:
        file = groups[UNIFIED] / "memory.events"
    try:
        if file is not None:
            pairs = (line.split() for line in file.read_text().splitlines())
            return next(int(number) for name, number in pairs if name == "oom_kill")
    except (OSError, StopIteration):
        pass
    raise NotReachable("no memory controller of control groups counts the task's kills")


def controllers(proc: Path = _PROC) -> dict[str, int]:
    """Tell in which version of control groups, 1 or 2, each controller works here; one that works in none is not named.

    :param proc: where procfs is mounted.
    """
    mounts = _mounts((proc / "self" / "mountinfo").read_text())
    versions = {name: 1 for name in mounts if name != UNIFIED}
    for _, mounted in mounts.get(UNIFIED, ()):
        try:
            names = (Path(mounted) / "cgroup.controllers").read_text().split()
        except OSError:
            # Mounted over, or of another namespace.
            continue
        versions.update(dict.fromkeys(names, 2))
    return versions


def _below(path: PurePosixPath, root: str, mounted: str) -> Path | None:
    """Give the folder of a control group under a mount; None when the mount does not show it.

    :param path: of the group, from the root of this process's control group namespace.
    :param root: the group that is mounted.
    :param mounted: where.
    """
    try:
        inside = path.relative_to(root)
    except ValueError:
        return None
    return None if ".." in inside.parts else Path(mounted) / inside


def _mounts(mountinfo: str) -> dict[str, list[tuple[str, str]]]:
    """Find the mounts of control groups: controller to root and mount point of each (proc_pid_mountinfo(5))."""
    mounts: dict[str, list[tuple[str, str]]] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split(maxsplit=2)
        if kind == "cgroup":
            controllers = options.split(",")
        elif kind == "cgroup2":
            controllers = [UNIFIED]
        else:
            continue
        for controller in controllers:
            mounts.setdefault(controller, []).append((fields[3], fields[4]))
    return mounts
