# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest

from hybrid_sched.core.declaration import Declaration
from hybrid_sched.zun_driver.docker_limits import DockerLimits

DISKS = frozenset({"/dev/vdb", "/dev/vda"})


def test_what_is_not_declared_is_not_limited() -> None:
    nothing = DockerLimits(Declaration(cpus=0, memory_mb=0))
    assert nothing.of_create(DISKS) == nothing.of_update() == {}
    assert not nothing.limits_rates


def test_each_field_is_in_the_words_of_docker() -> None:
    declared = Declaration(cpus=Fraction(3, 2), memory_mb=256, cpu_percent=50, disk_read_bps=4096)
    limits = DockerLimits(declared)
    of_update = {
        "cpu_period": 20_000,
        "cpu_quota": 15_000,
        "cpu_shares": 1536,
        "mem_limit": "256m",
        "memswap_limit": "256m",
    }
    assert limits.of_update() == of_update
    assert limits.of_create(DISKS) == {
        **of_update,
        "device_read_bps": [
            {"Path": "/dev/vda", "Rate": 4096},
            {"Path": "/dev/vdb", "Rate": 4096},
        ],
    }
    assert limits.of_create(()) == of_update


def test_a_total_counts_for_reading_and_for_writing() -> None:
    limits = DockerLimits(Declaration(cpus=0, memory_mb=0, disk_total_bps=1000))
    rate = [{"Path": "/dev/vda", "Rate": 1000}]
    assert limits.of_create(["/dev/vda"]) == {"device_read_bps": rate, "device_write_bps": rate}


@pytest.mark.parametrize(("rate_bps", "sharers", "part_bps"), [(1000, 3, 333), (2, 3, 1)])
def test_those_of_a_capsule_get_equal_parts(rate_bps: int, sharers: int, part_bps: int) -> None:
    limits = DockerLimits(Declaration(cpus=0, memory_mb=0, disk_write_bps=rate_bps), sharers)
    assert limits.of_create(["/dev/vda"]) == {
        "device_write_bps": [{"Path": "/dev/vda", "Rate": part_bps}]
    }
