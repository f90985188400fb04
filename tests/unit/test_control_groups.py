# SPDX-License-Identifier: Apache-2.0
"""Where the control groups of a task are, on trees like the kernel makes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kernel_files import PID, KernelFiles, write

from hybrid_sched.control_groups import (
    UNIFIED,
    NotReachable,
    controllers,
    groups_of,
    mount_points,
    oom_kills,
)

_ID = "c0ffee" * 10
_CONTROLLERS = ("cpu,cpuacct", "memory")


@pytest.fixture
def kernel(tmp_path: Path) -> KernelFiles:
    return KernelFiles(tmp_path)


def version_1(kernel: KernelFiles, path: str, root: str, *below_the_mount: str) -> None:
    """Make a process in a group of version 1, and folders in what is mounted of it."""
    kernel.process(*(f"{number}:{names}:{path}" for number, names in enumerate(_CONTROLLERS, 1)))
    for names in _CONTROLLERS:
        kernel.mount("cgroup", kernel.groups / names, root, f"rw,{names}")
        for folder in below_the_mount:
            (kernel.groups / names / folder).mkdir(parents=True)


def test_each_controller_of_version_1_has_a_folder_and_an_empty_version_2_too(
    kernel: KernelFiles,
) -> None:
    version_1(kernel, f"/docker/{_ID}", "/", f"docker/{_ID}")
    kernel.process(*(f"9:{names}:/docker/{_ID}" for names in _CONTROLLERS), f"0::/docker/{_ID}")
    kernel.mount("cgroup2", kernel.groups / "unified", "/", "rw")
    (kernel.groups / "unified" / "docker" / _ID).mkdir(parents=True)
    assert groups_of(PID, _ID, kernel.proc) == {
        "cpu": kernel.groups / "cpu,cpuacct" / "docker" / _ID,
        "cpuacct": kernel.groups / "cpu,cpuacct" / "docker" / _ID,
        "memory": kernel.groups / "memory" / "docker" / _ID,
        UNIFIED: kernel.groups / "unified" / "docker" / _ID,
    }


@pytest.mark.parametrize("below", ["", "/init.scope", "/libvirt/emulator"])
def test_the_group_of_the_whole_task_is_found_where_the_process_moved_further_down(
    below: str, kernel: KernelFiles
) -> None:
    kernel.process(f"0::/system.slice/docker-{_ID}.scope{below}")
    kernel.mount("cgroup2", kernel.groups, "/", "rw,nsdelegate")
    folder = kernel.groups / "system.slice" / f"docker-{_ID}.scope"
    (folder / below.lstrip("/")).mkdir(parents=True)
    assert groups_of(PID, _ID, kernel.proc) == {UNIFIED: folder}


def test_a_mount_of_a_lower_group_is_read_from_there(kernel: KernelFiles) -> None:
    version_1(kernel, f"/host1/docker/{_ID}", "/host1", f"docker/{_ID}")
    assert groups_of(PID, _ID, kernel.proc)["memory"] == kernel.groups / "memory/docker" / _ID


def test_a_controller_that_is_not_mounted_here_is_left_out(kernel: KernelFiles) -> None:
    version_1(kernel, f"/docker/{_ID}", "/", f"docker/{_ID}")
    kernel.process(f"1:memory:/docker/{_ID}", f"2:blkio:/docker/{_ID}")
    assert groups_of(PID, _ID, kernel.proc).keys() == {"memory"}


@pytest.mark.parametrize(
    ("path", "root"),
    [
        # Another host's, as seen from this one's namespace.
        (f"/../host2/docker/{_ID}", "/"),
        # The mount was made outside of this namespace.
        (f"/docker/{_ID}", "/../.."),
        # Another part is mounted.
        (f"/docker/{_ID}", "/machine"),
        # The process is another container's: the number was given anew, or is one of another namespace.
        ("/docker/" + "bad" * 20, "/"),
    ],
)
def test_groups_that_are_not_the_tasks_or_not_mounted_are_not_reachable(
    path: str, root: str, kernel: KernelFiles
) -> None:
    version_1(kernel, path, root, f"docker/{_ID}", f"host2/docker/{_ID}", "docker/" + "bad" * 20)
    with pytest.raises(NotReachable, match="no control group of process 4711"):
        groups_of(PID, _ID, kernel.proc)


def test_a_process_that_has_ended_is_not_reachable(kernel: KernelFiles) -> None:
    kernel.mount("cgroup2", kernel.groups, "/", "rw")
    with pytest.raises(NotReachable, match="process 4711 cannot be looked at"):
        groups_of(PID, _ID, kernel.proc)


def test_a_scope_whose_dashes_systemd_has_escaped_is_found(kernel: KernelFiles) -> None:
    name = r"machine-qemu\x2d1\x2dinstance\x2d00000001.scope"
    kernel.process(f"0::/machine.slice/{name}/libvirt/emulator")
    kernel.mount("cgroup2", kernel.groups, "/", "rw")
    folder = kernel.groups / "machine.slice" / name
    folder.mkdir(parents=True)
    assert groups_of(PID, "qemu-1-", kernel.proc) == {UNIFIED: folder}
    with pytest.raises(NotReachable):
        groups_of(PID, "qemu-11-", kernel.proc)


def test_the_mounts_of_controllers_are_told(kernel: KernelFiles) -> None:
    kernel.mount("cgroup", kernel.groups / "cpu,cpuacct", "/", "rw,cpu,cpuacct")
    kernel.mount("cgroup2", kernel.groups / "unified", "/", "rw")
    points = mount_points(kernel.proc)
    assert points["cpu"] == points["cpuacct"] == kernel.groups / "cpu,cpuacct"
    assert points[UNIFIED] == kernel.groups / "unified"
    with pytest.raises(NotReachable):
        mount_points(kernel.proc / "nothing")


def test_kills_for_want_of_memory_are_counted_by_either_version(tmp_path: Path) -> None:
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    (tmp_path / "memory.events").write_text("low 0\nmax 9\noom 2\noom_kill 1\n")
    assert oom_kills({"memory": tmp_path, UNIFIED: tmp_path / "unified"}) == 3
    assert oom_kills({UNIFIED: tmp_path}) == 1
    for nothing in ({}, {UNIFIED: tmp_path / "off"}):
        with pytest.raises(NotReachable, match="no memory controller"):
            oom_kills(nothing)


def test_controllers_are_in_the_version_that_has_them(kernel: KernelFiles) -> None:
    kernel.mount("cgroup", kernel.groups / "cpu,cpuacct", "/", "rw,cpu,cpuacct")
    kernel.mount("cgroup2", kernel.groups / "hidden", "/", "rw")
    assert controllers(kernel.proc) | {"rw": 1} == {"cpu": 1, "cpuacct": 1, "rw": 1}
    kernel.mount("cgroup2", kernel.groups / "unified", "/", "rw")
    write(kernel.groups / "unified" / "cgroup.controllers", "memory io\n")
    found = controllers(kernel.proc)
    assert (found["cpu"], found["memory"], found["io"]) == (1, 2, 2)
    assert "cpuset" not in found
