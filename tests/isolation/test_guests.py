# SPDX-License-Identifier: Apache-2.0
"""Guests under full load get what was declared for them, within 10 %."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import kernel
import pytest
from guest_host import Host, running
from guests import REQUEST_BYTES, Load, start
from kernel import LoopDisk
from measured import LOOK_S, MEASURE_S, check, disk_limit, free_rate, limited_rate, settled_rate
from table import Cell
from waiting import wait_until

pytestmark = pytest.mark.timeout(400)

_COLUMN = f"guest v{kernel.version()}"
_DISK_BPS = 1_000_000
_PROGRAM = Path(__file__).with_name("guest_program.py")
_GROUP = f"hybrid-test-guests-{os.getpid()}"


@pytest.fixture(scope="module")
def only_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with running(tmp_path_factory.mktemp("host"), _GROUP, _PROGRAM) as made:
        # It answers when it is up.
        made.ask("use", "libvirt")
        kernel.prefer(_GROUP)
        yield made


@pytest.fixture(params=["libvirt", "cgroup"])
def by(request: pytest.FixtureRequest, only_host: Host) -> str:
    only_host.ask("use", request.param)
    return str(request.param)


@pytest.fixture
def host(only_host: Host, by: str) -> Host:
    return only_host


@pytest.fixture
def disk(host: Host) -> Iterator[LoopDisk]:
    made = LoopDisk(8)
    yield made
    for name in host.ask("virsh", "list", "--name").split():
        host.ask("virsh", "destroy", name)
        host.ask("virsh", "undefine", name)
    made.detach()


def test_cpu_quota(host: Host, by: str, disk: LoopDisk, cells: list[Cell]) -> None:
    guest = start(host, disk, Load.SPIN)
    without = settled_rate(lambda: kernel.cpu_s(guest.groups), LOOK_S)
    guest.hold(cpu_quota=Fraction(1, 3))
    measured = limited_rate(lambda: kernel.cpu_s(guest.groups), 1 / 3)
    cells.append(check(Cell("CPU quota", _COLUMN, 1 / 3, measured, without, by)))


def test_cpuset(host: Host, by: str, disk: LoopDisk, cells: list[Cell]) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the machine has one CPU")
    guest = start(host, disk, Load.SPIN)
    for cpu in (0, 1, 0):
        guest.hold(cpus=[cpu])
        seen = kernel.cpus_seen(lambda: [guest.pid], LOOK_S)
        assert seen == {cpu}
    guest.hold(cpus=[0, 1])
    cells.append(check(Cell("cpuset", _COLUMN, 1, len(seen), None, by)))


@pytest.mark.parametrize(
    ("row", "field", "load", "counter"),
    [
        ("disk read", "disk_read_bps", Load.READ, "read_bytes"),
        ("disk write", "disk_write_bps", Load.WRITE, "written_bytes"),
    ],
    ids=["read", "write"],
)
def test_disk(
    row: str,
    field: str,
    load: Load,
    counter: str,
    host: Host,
    by: str,
    disk: LoopDisk,
    cells: list[Cell],
) -> None:
    count = getattr(disk, counter)
    guest = start(host, disk, load)
    booted = count()
    wait_until(lambda: count() > booted + 2**20, "the guest has booted", 120)
    without = free_rate(count)
    declared = disk_limit(without, _DISK_BPS)
    guest.hold(**{field: declared})
    # So long that one request more or less is no matter.
    measured = limited_rate(count, declared, max(MEASURE_S, 30 * REQUEST_BYTES / declared))
    cells.append(check(Cell(row, _COLUMN, declared / 1e6, measured / 1e6, without / 1e6, by)))
