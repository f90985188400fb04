# SPDX-License-Identifier: Apache-2.0
"""Limits of guests on a real libvirt, checked with virsh, in the files of control groups and in threads' affinities."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guest_host import Host, running

from hybrid_sched.core.limits import Aspect

pytestmark = pytest.mark.timeout(120)

_DISK = (Aspect.DISK_READ, Aspect.DISK_WRITE)
_LIMITS = {
    "cpu_quota": "1/3",
    "cpu_weight": 683,
    "cpus": [1],
    "memory_low_mb": 100,
    "disk_read_bps": 5_000_000,
    "disk_write_bps": 1_000_000,
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    if os.sched_getaffinity(0) != {0, 1}:
        pytest.skip("the test is written for a machine with two CPUs")
    with running(tmp_path, f"hybrid-test-guests-{os.getpid()}") as made:
        yield made


def differing(host: Host, uuid: str, limits: dict[str, Any]) -> set[str]:
    read = host.ask("read")[uuid]
    return {name for name, value in limits.items() if read[name] != value}


def tune(host: Host, guest: str, disk: str) -> dict[str, str]:
    """Ask virsh for what is not 0 or empty of the limits of a disk."""
    lines = host.ask("virsh", "blkdeviotune", guest, disk, "--live").splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): text.strip() for name, _, text in pairs if text.strip() not in {"", "0"}}


def test_each_limit_takes_effect_is_read_back_and_is_taken_away(host: Host) -> None:
    uuid = host.start("one", vcpus=2, iothreads=1)
    assert host.ask("ability") == {"aspects": sorted(_LIMITS), "missing": {}}
    before = host.ask("read")[uuid]
    assert before == {
        **dict.fromkeys([str(each) for each in Aspect]),
        "cpu_quota": "2",
        "cpu_weight": 1024,
        "cpus": [0, 1],
    }
    for aspect, value in _LIMITS.items():
        assert host.ask("hold", uuid, _LIMITS, aspect) == ""
        assert differing(host, uuid, {aspect: value}) == set()
    assert differing(host, uuid, _LIMITS) == set()
    in_kernel = host.ask(
        *("group_files", "one", "cpu.shares", "memory.soft_limit_in_bytes"),
        *("vcpu0/cpu.cfs_quota_us", "vcpu0/cpu.cfs_period_us", "vcpu1/cpu.cfs_quota_us"),
        *(
            "vcpu0/cpuset.cpus",
            "vcpu1/cpuset.cpus",
            "emulator/cpuset.cpus",
            "iothread1/cpuset.cpus",
        ),
    )
    assert in_kernel == {
        "cpu.shares": "683",
        "memory.soft_limit_in_bytes": str(100 * 2**20),
        # A sixth of a core for each of two.
        "vcpu0/cpu.cfs_quota_us": "3333",
        "vcpu0/cpu.cfs_period_us": "19998",
        "vcpu1/cpu.cfs_quota_us": "3333",
        "vcpu0/cpuset.cpus": "1",
        "vcpu1/cpuset.cpus": "1",
        "emulator/cpuset.cpus": "1",
        "iothread1/cpuset.cpus": "1",
    }
    assert {cpu for cpus in host.ask("affinities", "one").values() for cpu in cpus} == {1}
    rates = tune(host, "one", "vda")
    assert (rates["read_bytes_sec"], rates["write_bytes_sec"]) == ("5000000", "1000000")
    # A guest that is started anew has its own.
    stored = host.ask("virsh", "dumpxml", "one", "--inactive")
    assert not [word for word in ("cputune", "iotune", "memtune", "cpuset") if word in stored]

    assert host.ask("hold", uuid, {}, *_LIMITS) == ""
    assert host.ask("read")[uuid] == before
    assert tune(host, "one", "vda") == {}
    assert {tuple(cpus) for cpus in host.ask("affinities", "one").values()} == {(0, 1)}


def test_a_disk_that_is_plugged_in_gets_its_limit_at_the_next_hold(host: Host) -> None:
    uuid = host.start("one")
    assert host.ask("hold", uuid, _LIMITS, *_LIMITS) == ""
    disk = host.disk("more")
    host.ask("virsh", "attach-disk", "one", disk, "vdb", "--live")
    assert differing(host, uuid, _LIMITS) == set(_DISK)
    assert host.ask("hold", uuid, _LIMITS, *_DISK) == ""
    assert differing(host, uuid, _LIMITS) == set()
    first, second = tune(host, "one", "vda"), tune(host, "one", "vdb")
    # One group of both has the rate once.
    assert first == second
    assert first["group_name"]


def test_what_somebody_else_changes_is_read_back(host: Host) -> None:
    uuid = host.start("one", vcpus=2)
    limits = {**_LIMITS, "cpus": [0, 1]}
    for aspect, *command in (
        ("cpu_quota", "schedinfo", "one", "--live", "vcpu_quota=50000"),
        ("cpu_weight", "schedinfo", "one", "--live", "cpu_shares=99"),
        ("cpus", "vcpupin", "one", "0", "0", "--live"),
        ("cpus", "emulatorpin", "one", "1", "--live"),
        ("memory_low_mb", "memtune", "one", "--soft-limit", "90000", "--live"),
        (
            "disk_write_bps",
            "blkdeviotune",
            "one",
            "vda",
            "--write-bytes-sec",
            "7",
            "--read-bytes-sec",
            "5000000",
        ),
    ):
        assert host.ask("hold", uuid, limits, *limits) == ""
        assert differing(host, uuid, limits) == set()
        host.ask("virsh", *command)
        assert differing(host, uuid, limits) == {aspect}, command


def test_a_total_of_reading_and_writing_is_left_alone(host: Host) -> None:
    uuid = host.start("one")
    host.ask("virsh", "blkdeviotune", "one", "vda", "--total-bytes-sec", "7000000", "--live")
    assert differing(host, uuid, {"disk_read_bps": None, "disk_write_bps": None}) == set()
    assert host.ask("hold", uuid, {}, *_DISK) == ""
    assert "total_bytes_sec" in host.ask("hold", uuid, _LIMITS, *_DISK)
    left = tune(host, "one", "vda")
    assert left.pop("group_name")
    assert left == {"total_bytes_sec": "7000000"}


def test_paused_guests_are_held_and_those_that_are_shut_off_left_out(host: Host) -> None:
    uuid = host.start("one")
    host.ask("virsh", "suspend", "one")
    assert host.ask("hold", uuid, _LIMITS, *_LIMITS) == ""
    assert differing(host, uuid, _LIMITS) == set()
    host.ask("virsh", "destroy", "one")
    assert host.ask("read") == {}
    assert host.ask("hold", uuid, _LIMITS, *_LIMITS) == ""
    host.ask("virsh", "undefine", "one")
    assert host.ask("hold", uuid, _LIMITS, *_LIMITS) == ""


def test_a_guest_whose_process_hangs_is_still_told_and_the_others_held(host: Host) -> None:
    one, two = host.start("one"), host.start("two")
    for uuid in (one, two):
        assert host.ask("hold", uuid, _LIMITS, *_LIMITS) == ""
    host.ask("signal", "one", "SIGSTOP")
    try:
        for _ in range(3):
            assert differing(host, one, _LIMITS) == set()
            assert differing(host, two, _LIMITS) == set()
        assert "are not set: libvirt has waited" in host.ask("hold", one, _LIMITS, *_DISK)
        assert host.ask("hold", two, {}, *_LIMITS) == ""
    finally:
        host.ask("signal", "one", "SIGCONT")


def test_without_control_groups_that_is_said_and_the_rest_held(tmp_path: Path) -> None:
    with running(tmp_path) as host:
        uuid = host.start("one")
        ability = host.ask("ability")
        assert ability["aspects"] == sorted(["cpus", *_DISK])
        assert ability["missing"].keys() == {"cpu_quota", "cpu_weight", "memory_low_mb"}
        assert "cgroup_controllers in its qemu.conf" in ability["missing"]["cpu_quota"]
        assert host.ask("hold", uuid, _LIMITS, *ability["aspects"]) == ""
        kept = {name: _LIMITS[name] for name in ability["aspects"]}
        assert differing(host, uuid, {**kept, "cpu_weight": None, "memory_low_mb": None}) == set()
