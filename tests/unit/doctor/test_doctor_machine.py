# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from hybrid_sched.doctor import machine

RELEASE = "6.1.0"
CONFIG = "CONFIG_NET_SCH_HTB=y\nCONFIG_IFB=m\n# CONFIG_NET_ACT_POLICE is not set\n"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("mounts", "unified", "expected"),
    [
        ("", "", ("none", set())),
        ("cgroup2 /cg cgroup2 rw 0 0", "cpu io memory", ("v2", {"cpu", "io", "memory"})),
        ("cgroup /c cgroup rw,cpu,cpuacct 0 0", "", ("v1", {"cpu"})),
        ("cgroup /c cgroup rw,blkio 0 0\ncgroup2 /cg cgroup2 rw 0 0", "", ("hybrid", {"io"})),
        (
            "cgroup /s cgroup rw,name=systemd 0 0\ncgroup2 /cg cgroup2 rw 0 0",
            "cpu",
            ("v2", {"cpu"}),
        ),
    ],
)
def test_control_groups_of_each_version_are_told_apart(
    tmp_path: Path, mounts: str, unified: str, expected: tuple[str, set[str]]
) -> None:
    put(tmp_path / "proc/self/mounts", f"proc /proc proc rw 0 0\n{mounts}".strip())
    put(tmp_path / "cg/cgroup.controllers", unified)
    assert machine.control_groups(tmp_path) == expected


def test_this_machine_has_control_groups() -> None:
    mode, controllers = machine.control_groups()
    assert mode in {"v1", "v2", "hybrid"}
    assert "memory" in controllers


def test_parts_are_read_from_the_configuration_of_the_kernel(tmp_path: Path) -> None:
    put(tmp_path / f"boot/config-{RELEASE}", CONFIG)
    found = machine.kernel_parts(tmp_path, RELEASE)
    # A module that is not on disk cannot be loaded.
    assert found.pop("sch_htb") is True
    assert found == dict.fromkeys(
        ("ifb", "act_mirred", "act_police", "cls_u32", "cls_flower"), False
    )
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_NET_ACT_POLICE=y\n"))
    assert machine.kernel_parts(tmp_path, RELEASE)["act_police"] is True


def test_modules_on_disk_and_loaded_ones_count(tmp_path: Path) -> None:
    assert machine.kernel_parts(tmp_path, RELEASE) == {}
    put(tmp_path / f"boot/config-{RELEASE}", CONFIG)
    put(
        tmp_path / f"lib/modules/{RELEASE}/modules.dep",
        "kernel/drivers/net/ifb.ko.xz:\nkernel/net/sched/cls_u32.ko: kernel/x.ko\n",
    )
    (tmp_path / "sys/module/act_mirred").mkdir(parents=True)
    found = machine.kernel_parts(tmp_path, RELEASE)
    assert {name for name, there in found.items() if there} == {
        *("sch_htb", "ifb", "cls_u32", "act_mirred")
    }


def test_without_a_configuration_the_list_of_modules_is_the_whole(tmp_path: Path) -> None:
    put(tmp_path / f"lib/modules/{RELEASE}/modules.dep", "kernel/net/sched/sch_htb.ko:\n")
    put(tmp_path / f"lib/modules/{RELEASE}/modules.builtin", "kernel/net/sched/cls_u32.ko\n")
    found = machine.kernel_parts(tmp_path, RELEASE)
    assert {name for name, there in found.items() if there} == {"sch_htb", "cls_u32"}
    assert found["act_police"] is False


def test_pressure_that_cannot_be_read_is_not_there(tmp_path: Path) -> None:
    assert not machine.has_pressure(tmp_path)
    put(tmp_path / "proc/pressure/cpu", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    assert machine.has_pressure(tmp_path)


def test_the_kernel_tells_of_its_clock() -> None:
    assert machine.clock_synchronised() in {True, False}
