# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import psutil
import pytest
from agents import conf

from hybrid_sched.agent.host_shape import look
from hybrid_sched.core.limits import Aspect


def kernel(directory: Path, online: str, *nodes: str) -> Path:
    (directory / "cpu").mkdir()
    (directory / "cpu" / "online").write_text(f"{online}\n")
    for number, cpus in enumerate(nodes):
        folder = directory / "node" / f"node{number}"
        folder.mkdir(parents=True)
        (folder / "cpulist").write_text(f"{cpus}\n")
    return directory


def test_the_nodes_are_those_of_the_kernel_without_cpus_that_are_off(tmp_path: Path) -> None:
    sys = kernel(tmp_path, "0-2,4-11", "0-3,8-9", "4-7,10-11", "")
    ground = look(conf(), sys)
    assert ground.shape.nodes == ({0, 1, 2, 8, 9}, {4, 5, 6, 7, 10, 11})
    assert ground.cpus == set(range(12)) - {3}
    assert ground.faults == ()


def test_the_first_cpus_are_kept_for_the_host(tmp_path: Path) -> None:
    ground = look(conf(reserved_cpus=3), kernel(tmp_path, "0-5", "0,2,4", "1,3,5"))
    assert ground.shape.nodes == ({4}, {3, 5})
    assert ground.cpus == set(range(6))


@pytest.mark.parametrize("reserved", [2, 9])
def test_keeping_all_cpus_for_the_host_keeps_none_and_is_said(
    tmp_path: Path, reserved: int
) -> None:
    ground = look(conf(reserved_cpus=reserved), kernel(tmp_path, "0-1", "0-1"))
    assert ground.shape.cpus == {0, 1}
    (fault,) = ground.faults
    assert fault.startswith(f"[agent] reserved_cpus is {reserved} and the host has 2 CPUs")


@pytest.mark.parametrize("nodes", [[], ["0"], ["0", "what"]])
def test_where_nodes_are_not_told_all_cpus_are_one(tmp_path: Path, nodes: list[str]) -> None:
    assert look(conf(), kernel(tmp_path, "0-3", *nodes)).shape.nodes == ({0, 1, 2, 3},)


def test_without_the_kernels_files_the_count_of_cpus_does(tmp_path: Path) -> None:
    assert len(look(conf(), tmp_path).cpus) == psutil.cpu_count()


def test_rated_speeds_are_those_of_the_options_and_0_is_not_known(tmp_path: Path) -> None:
    options = {"disk_read_rated_bps": 1000, "net_out_rated_bps": 500, "io_reserve_percent": 20}
    shape = look(conf(**options), kernel(tmp_path, "0")).shape
    assert shape.rated == {Aspect.DISK_READ: 1000, Aspect.NET_OUT: 500}
    assert shape.reserve == Fraction(1, 5)
    assert [shape.available(each) for each in (Aspect.DISK_READ, Aspect.NET_IN)] == [800, None]
