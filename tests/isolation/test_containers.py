# SPDX-License-Identifier: Apache-2.0
"""Containers under full load get what was declared for them, within 10 %."""

from __future__ import annotations

import os
import signal
from fractions import Fraction

import kernel
import pytest
from containers import HOG, SPIN, Site
from measured import LOOK_S, check, disk_limit, free_rate, limited_rate, settled_rate
from table import TOLERANCE, Cell
from waiting import wait_until

from hybrid_sched.control_groups import oom_kills
from hybrid_sched.core.limits import Aspect

pytestmark = pytest.mark.timeout(240)

_COLUMN = f"container v{kernel.version()}"
_BY = "cgroup"
_DISK_BPS = 4_000_000
_READ = "while :; do dd if=/volume/data of=/dev/null bs=64k iflag=direct; done"
_WRITE = (
    "while :; do dd if=/dev/zero of=/volume/data bs=64k count=1024 conv=notrunc oflag=direct; done"
)


def test_cpu_quota(site: Site, cells: list[Cell]) -> None:
    with site.start(SPIN) as container:
        without = settled_rate(lambda: kernel.cpu_s(container.groups), LOOK_S)
        container.hold(cpu_quota=Fraction(1, 3))
        measured = limited_rate(lambda: kernel.cpu_s(container.groups), 1 / 3)
    cells.append(check(Cell("CPU quota", _COLUMN, 1 / 3, measured, without, _BY)))


def test_cpuset(site: Site, cells: list[Cell]) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the machine has one CPU")
    with site.start(SPIN) as container:
        # Back to more at the end: the groups above have them, and each group below gets them.
        for cpus in ({0}, {1}, {0}, {0, 1}):
            container.hold(cpus=frozenset(cpus))
            seen = kernel.cpus_seen(lambda: kernel.processes(container.groups), LOOK_S)
            assert seen <= cpus
            if len(cpus) == 1:
                measured = len(seen)
    cells.append(check(Cell("cpuset", _COLUMN, 1, measured, None, _BY)))


def test_memory(site: Site, cells: list[Cell]) -> None:
    with site.start(HOG) as container:
        assert site.let_go() == 0
        without = kernel.peak_memory_mb(container.groups)
    # The kernel keeps the most of all the time, so another has the limit.
    with site.start(HOG) as container:
        container.hold(memory_mb=64)
        assert oom_kills(container.groups) == 0
        assert site.let_go() == 128 + signal.SIGKILL
        assert oom_kills(container.groups) == 1
        measured = kernel.peak_memory_mb(container.groups)
    cells.append(check(Cell("memory", _COLUMN, 64, measured, without, _BY)))


@pytest.mark.parametrize(
    ("row", "field", "load", "counter"),
    [
        ("disk read", "disk_read_bps", _READ, "read_bytes"),
        ("disk write", "disk_write_bps", _WRITE, "written_bytes"),
    ],
    ids=["read", "write"],
)
def test_disk(row: str, field: str, load: str, counter: str, site: Site, cells: list[Cell]) -> None:
    count = getattr(site.disk, counter)
    with site.start(load) as container:
        without = free_rate(count)
        declared = disk_limit(without, _DISK_BPS)
        container.hold(**{field: declared})
        measured = limited_rate(count, declared)
        container.hold(**{field: None})
        assert settled_rate(count, LOOK_S) > 1.5 * declared
    cells.append(check(Cell(row, _COLUMN, declared / 1e6, measured / 1e6, without / 1e6, _BY)))


def test_writes_through_the_page_cache_are_held_by_version_2_alone(site: Site) -> None:
    missing = site.isolator().ability().missing
    # It is the first to write to the file, so the kernel writes for it.
    load = "while :; do dd if=/dev/zero of=/volume/own bs=64k count=256 conv=notrunc; done"
    with site.start(load) as container, site.flushing():
        container.hold(disk_write_bps=_DISK_BPS)
        measured = settled_rate(site.disk.written_bytes)
        container.hold(disk_write_bps=None)
    if kernel.version() == 1:
        assert "page cache" in missing[Aspect.DISK_WRITE]
        assert measured > 1.5 * _DISK_BPS
    else:
        assert missing == {}
        assert measured < (1 + TOLERANCE) * _DISK_BPS


def test_a_container_is_read_as_it_was_held_up_and_down(site: Site) -> None:
    with site.start("sleep 3600") as container:
        container.hold(cpu_quota=Fraction(3, 2), memory_mb=128, memory_low_mb=64)
        container.hold(cpu_quota=Fraction(1, 7), memory_mb=32, memory_low_mb=16)
        container.hold(cpu_quota=2, memory_mb=256, memory_low_mb=None)
        container.hold(cpu_quota=None, memory_mb=None)
        nothing = site.isolator().read()[container.task]
        assert (nothing.cpu_quota, nothing.memory_mb, nothing.memory_low_mb) == (None, None, None)
        assert (nothing.disk_read_bps, nothing.disk_write_bps) == (None, None)
    wait_until(lambda: container.task not in site.isolator().read(), "it is gone")
