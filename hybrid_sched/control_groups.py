# SPDX-License-Identifier: Apache-2.0
"""Where the control groups of a task are, of version 1 or 2: their files tell what it uses and what holds it."""

from __future__ import annotations

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
        depth = next((depth for depth, part in enumerate(parts) if own in part), None)
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
