# SPDX-License-Identifier: Apache-2.0
"""Limits of containers on a real Docker daemon, checked in the files of their control groups."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from fractions import Fraction

import pytest
from dockerd import IMAGE, Dockerd
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.control_groups import UNIFIED, groups_of
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators.docker import DockerIsolator

pytestmark = pytest.mark.timeout(120)

_MIB = 2**20
_ALL = frozenset(
    {Aspect.CPU_QUOTA, Aspect.CPU_WEIGHT, Aspect.CPUS, Aspect.MEMORY, Aspect.MEMORY_LOW}
)
_LIMITS = Limits(
    cpu_quota=Fraction(1, 3),
    cpu_weight=2048,
    cpus=frozenset({0}),
    memory_mb=96,
    memory_low_mb=48,
)


@pytest.fixture
def task(dockerd: Dockerd) -> Iterator[str]:
    yield str(uuid.uuid4())
    dockerd.remove_containers()


@pytest.fixture
def isolator(dockerd: Dockerd) -> DockerIsolator:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("docker_url", dockerd.url, group="agent")
    return DockerIsolator(conf)


def kernel(dockerd: Dockerd, container_id: str) -> dict[str, str]:
    """Read the files of a container's control groups that hold limits, of either version."""
    assert dockerd.client is not None
    groups = groups_of(dockerd.client.inspect_container(container_id)["State"]["Pid"], container_id)
    files = {
        "cpu": ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares"),
        "cpuset": ("cpuset.cpus",),
        "memory": (
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            "memory.soft_limit_in_bytes",
        ),
        UNIFIED: ("cpu.max", "cpu.weight", "cpuset.cpus", "memory.max", "memory.low"),
    }
    return {
        file: (groups[controller] / file).read_text().strip()
        for controller, names in files.items()
        if controller in groups
        for file in names
        if (groups[controller] / file).exists()
    }


def expected(kernel_files: dict[str, str]) -> dict[str, str]:
    """Give what the files hold under ``_LIMITS``; version 2 has ``cpu.max``."""
    if "cpu.max" in kernel_files:
        return {
            "cpu.max": "6667 20001",
            "cpuset.cpus": "0",
            "memory.max": str(96 * _MIB),
            "memory.low": str(48 * _MIB),
        }
    return {
        "cpu.cfs_quota_us": "6667",
        "cpu.cfs_period_us": "20001",
        "cpu.shares": "2048",
        "cpuset.cpus": "0",
        "memory.limit_in_bytes": str(96 * _MIB),
        "memory.memsw.limit_in_bytes": str(96 * _MIB),
        "memory.soft_limit_in_bytes": str(48 * _MIB),
    }


def test_each_limit_reaches_the_kernel_is_read_back_and_is_taken_away(
    dockerd: Dockerd, task: str, isolator: DockerIsolator
) -> None:
    container = dockerd.run(f"zun-{task}", "sleep", "3600", mem_limit="64m")
    assert isolator.ability().aspects == _ALL
    before = isolator.read()[task]
    assert (before.cpu_quota, before.cpu_weight, before.memory_low_mb) == (None, None, None)
    assert before.cpus == frozenset(os.sched_getaffinity(0))
    # By itself Docker lets a container swap as much again.
    assert before.memory_mb == 128
    for aspect in sorted(_ALL):
        isolator.hold(task, _LIMITS, {aspect})
        read = isolator.read()[task]
        assert _LIMITS.differing(read, {aspect}) == frozenset(), aspect
    assert isolator.read()[task] == _LIMITS
    files = kernel(dockerd, container)
    assert expected(files).items() <= files.items()

    for aspect in sorted(_ALL):
        isolator.hold(task, Limits(), {aspect})
    after = isolator.read()[task]
    assert after == Limits(cpu_weight=1024, cpus=before.cpus)
    # And once more, all at once.
    isolator.hold(task, _LIMITS, _ALL)
    assert isolator.read()[task] == _LIMITS


def test_what_is_read_back_is_what_the_kernel_has_rather_than_what_docker_was_told(
    dockerd: Dockerd, task: str, isolator: DockerIsolator
) -> None:
    container = dockerd.run(f"zun-{task}", "sleep", "3600")
    isolator.hold(task, _LIMITS, _ALL)
    assert dockerd.client is not None
    pid = dockerd.client.inspect_container(container)["State"]["Pid"]
    groups = groups_of(pid, container)
    if "cpu" in groups:
        (groups["cpu"] / "cpu.cfs_quota_us").write_text("-1")
        (groups["cpuset"] / "cpuset.cpus").write_text("0-1")
    else:
        (groups[UNIFIED] / "cpu.max").write_text("max")
        (groups[UNIFIED] / "cpuset.cpus").write_text("0-1")
    differing = _LIMITS.differing(isolator.read()[task], _ALL)
    assert differing == {Aspect.CPU_QUOTA, Aspect.CPUS}
    isolator.hold(task, _LIMITS, differing)
    assert isolator.read()[task] == _LIMITS


def test_a_container_that_is_stopped_starts_with_what_it_was_told_meanwhile(
    dockerd: Dockerd, task: str, isolator: DockerIsolator
) -> None:
    container = dockerd.run(f"zun-{task}", "sleep", "3600")
    assert dockerd.client is not None
    dockerd.client.stop(container, timeout=0)
    assert isolator.read()[task] == Limits()
    isolator.hold(task, _LIMITS, _ALL)
    assert isolator.read()[task] == _LIMITS
    dockerd.client.start(container)
    assert isolator.read()[task] == _LIMITS
    files = kernel(dockerd, container)
    assert expected(files).items() <= files.items()


def test_a_container_made_with_a_number_of_cpus_takes_a_quota(
    dockerd: Dockerd, task: str, isolator: DockerIsolator
) -> None:
    container = dockerd.run(f"zun-{task}", "sleep", "3600", nano_cpus=1_500_000_000)
    assert isolator.read()[task].cpu_quota == Fraction(3, 2)
    isolator.hold(task, Limits(cpu_quota=Fraction(1, 4)), {Aspect.CPU_QUOTA})
    assert isolator.read()[task].cpu_quota == Fraction(1, 4)
    files = kernel(dockerd, container)
    assert "5000" in files.get("cpu.cfs_quota_us", files.get("cpu.max", ""))
    isolator.hold(task, Limits(), {Aspect.CPU_QUOTA})
    assert isolator.read()[task].cpu_quota == len(os.sched_getaffinity(0))


def test_a_limit_that_docker_refuses_keeps_no_other_from_being_set(
    dockerd: Dockerd, task: str, isolator: DockerIsolator
) -> None:
    dockerd.run(f"zun-{task}", "sleep", "3600")
    wanted = Limits(cpu_quota=Fraction(1, 2), cpus=frozenset({4095}))
    with pytest.raises(IsolationError, match=r"cpus: Requested CPUs are not available"):
        isolator.hold(task, wanted, {Aspect.CPU_QUOTA, Aspect.CPUS})
    assert isolator.read()[task].cpu_quota == Fraction(1, 2)


def test_other_containers_are_left_out_and_one_that_is_gone_is_no_error(
    dockerd: Dockerd, task: str, isolator: DockerIsolator
) -> None:
    assert dockerd.client is not None
    dockerd.run("somebody-elses", "sleep", "3600")
    made = dockerd.client.create_container(IMAGE, ["sleep", "3600"], name=f"zun-{task}")
    assert isolator.read().keys() == {task}
    dockerd.client.remove_container(made["Id"])
    assert isolator.read() == {}
    isolator.hold(task, _LIMITS, _ALL)
