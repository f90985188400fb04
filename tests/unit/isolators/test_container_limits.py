# SPDX-License-Identifier: Apache-2.0
"""What the control groups of a container hold, on files like the kernel's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from kernel_files import write

from hybrid_sched.control_groups import UNIFIED, NotReachable
from hybrid_sched.core import cpu_time
from hybrid_sched.core.limits import Limits
from hybrid_sched.isolators.container_limits import UNLIMITED_BYTES, held, stored

_MIB = 2**20


@pytest.fixture
def version_1(tmp_path: Path) -> dict[str, Path]:
    groups = {name: tmp_path / name for name in ("cpu", "cpuset", "memory")}
    write(groups["cpu"] / "cpu.cfs_quota_us", "33333\n")
    write(groups["cpu"] / "cpu.cfs_period_us", "99999\n")
    write(groups["cpu"] / "cpu.shares", "1536\n")
    write(groups["cpuset"] / "cpuset.cpus", "0-1,4\n")
    write(groups["memory"] / "memory.limit_in_bytes", f"{64 * _MIB}\n")
    write(groups["memory"] / "memory.memsw.limit_in_bytes", f"{64 * _MIB}\n")
    write(groups["memory"] / "memory.soft_limit_in_bytes", f"{32 * _MIB}\n")
    return groups


@pytest.fixture
def version_2(tmp_path: Path) -> dict[str, Path]:
    write(tmp_path / "cpu.max", "33333 99999\n")
    write(tmp_path / "cpu.weight", f"{cpu_time.oci_weight_of(1536)}\n")
    write(tmp_path / "cpuset.cpus.effective", "0-1,4\n")
    write(tmp_path / "memory.max", f"{64 * _MIB}\n")
    write(tmp_path / "memory.swap.max", "0\n")
    write(tmp_path / "memory.low", f"{32 * _MIB}\n")
    return {UNIFIED: tmp_path}


_LIMITS = Limits(
    cpu_quota=Fraction(1, 3),
    cpu_weight=1536,
    cpus=frozenset({0, 1, 4}),
    memory_mb=64,
    memory_low_mb=32,
)


def test_version_1_is_read_even_with_an_empty_version_2_beside_it(
    version_1: dict[str, Path], tmp_path: Path
) -> None:
    assert held({**version_1, UNIFIED: tmp_path / "unified"}, {}) == _LIMITS


def test_version_2_is_read(version_2: dict[str, Path]) -> None:
    assert held(version_2, {"CpuShares": 1536}) == _LIMITS


def test_no_limits_of_version_1(version_1: dict[str, Path]) -> None:
    write(version_1["cpu"] / "cpu.cfs_quota_us", "-1\n")
    write(version_1["cpu"] / "cpu.shares", "1024\n")
    for file in ("limit_in_bytes", "memsw.limit_in_bytes", "soft_limit_in_bytes"):
        write(version_1["memory"] / f"memory.{file}", f"{UNLIMITED_BYTES}\n")
    assert held(version_1, {}) == Limits(cpus=frozenset({0, 1, 4}))
    # One core that was asked for is a weight, too.
    assert held(version_1, {"CpuShares": 1024}).cpu_weight == 1024


def test_no_limits_of_version_2(version_2: dict[str, Path], tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", "max 100000\n")
    write(tmp_path / "cpu.weight", "100\n")
    write(tmp_path / "memory.max", "max\n")
    write(tmp_path / "memory.low", "0\n")
    assert held(version_2, {}) == Limits(cpus=frozenset({0, 1, 4}))


def test_memory_with_swap_on_top_is_more_memory(
    version_1: dict[str, Path], version_2: dict[str, Path], tmp_path: Path
) -> None:
    write(version_1["memory"] / "memory.memsw.limit_in_bytes", f"{128 * _MIB}\n")
    assert held(version_1, {}).memory_mb == 128
    write(version_1["memory"] / "memory.memsw.limit_in_bytes", f"{UNLIMITED_BYTES}\n")
    assert held(version_1, {}).memory_mb is None
    (version_1["memory"] / "memory.memsw.limit_in_bytes").unlink()
    assert held(version_1, {}).memory_mb == 64
    write(tmp_path / "memory.swap.max", f"{64 * _MIB}\n")
    assert held(version_2, {}).memory_mb == 128
    write(tmp_path / "memory.swap.max", "max\n")
    assert held(version_2, {}).memory_mb is None
    (tmp_path / "memory.swap.max").unlink()
    assert held(version_2, {}).memory_mb == 64


@pytest.mark.parametrize("shares", [2, 3, 307, 1000, 1024, 262144])
def test_shares_that_were_asked_for_are_told_while_their_weight_holds(
    shares: int, version_2: dict[str, Path], tmp_path: Path
) -> None:
    for weight_of in (cpu_time.oci_weight_of, cpu_time.newer_oci_weight_of):
        write(tmp_path / "cpu.weight", f"{weight_of(shares)}\n")
        assert held(version_2, {"CpuShares": shares}).cpu_weight == shares


def test_a_weight_that_somebody_else_set_is_told_instead(
    version_2: dict[str, Path], tmp_path: Path
) -> None:
    write(tmp_path / "cpu.weight", "7\n")
    for asked in (0, 1024):
        shares = held(version_2, {"CpuShares": asked}).cpu_weight
        assert shares is not None
        assert cpu_time.oci_weight_of(shares) == 7


def test_a_controller_that_is_off_leaves_its_limits_out(
    version_1: dict[str, Path], tmp_path: Path, version_2: dict[str, Path]
) -> None:
    del version_1["cpuset"]
    assert held(version_1, {}).cpus is None
    (tmp_path / "cpuset.cpus.effective").unlink()
    assert held(version_2, {}).cpus is None


def test_groups_that_have_gone_are_not_reachable(tmp_path: Path) -> None:
    for groups in ({UNIFIED: tmp_path}, {"cpu": tmp_path}, {"name=systemd": tmp_path}):
        with pytest.raises(NotReachable, match="gone"):
            held(groups, {})


def test_what_docker_has_stored() -> None:
    assert stored({"CpuShares": 0, "CpuQuota": 0, "CpusetCpus": "", "Memory": 0}) == Limits()
    assert stored({"CpuQuota": -1, "NanoCpus": 0, "Memory": UNLIMITED_BYTES}) == Limits()
    assert (
        stored(
            {
                "CpuShares": 1536,
                "CpuQuota": 33333,
                "CpuPeriod": 99999,
                "CpusetCpus": "0-1,4",
                "Memory": 64 * _MIB,
                "MemoryReservation": 32 * _MIB,
            }
        )
        == _LIMITS
    )
    assert stored({"CpuQuota": 50000}).cpu_quota == Fraction(1, 2)
    assert stored({"NanoCpus": 2 * 10**9}).cpu_quota == 2
