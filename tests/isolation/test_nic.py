# SPDX-License-Identifier: Apache-2.0
"""Streams into and out of tasks get what was declared for them, within 10 %.

The container is Docker's, on an interface like that of Kuryr. Of the guest there is the tap, and behind it a program that reads
and writes frames as QEMU does: what the emulated machine itself can carry is less than what is to be held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import kernel
import namespaces
import pytest
from bridge_host import Host
from containers import Site
from measured import check, nic_limit
from table import TOLERANCE, Cell
from tap_guest import TapGuest
from throughput import Stream, measure

from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.isolators import places

pytestmark = pytest.mark.timeout(600)

_BY = "traffic"
_GUEST = "6f1c2a9e-77b0-4d0c-9a53-1f2e3d4c5b6a"
_ROWS = {"NIC in": Aspect.NET_IN, "NIC out": Aspect.NET_OUT}
_LINK_BPS = 2_000_000
_TRIALS = 3


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    reason = namespaces.why_not()
    if reason is not None:
        pytest.skip(reason)
    with ExitStack() as stack:
        yield Host(stack, monkeypatch)


def hold(host: Host, task: str, limits: Limits) -> None:
    """Set both directions; what is read back by an isolator that has just been made is what was set."""
    host.isolator.hold(task, limits, list(_ROWS.values()))
    assert host.restarted().read()[task] == limits


def compared(
    host: Host, task: str, column: str, carry: dict[str, Callable[[], float]]
) -> list[Cell]:
    """Measure both directions without a limit and with one of each."""
    without = {row: max(measured() for _ in range(_TRIALS)) for row, measured in carry.items()}
    declared = nic_limit(min(without.values()), _LINK_BPS)
    hold(host, task, Limits(net_in_bps=declared, net_out_bps=declared))
    found = []
    for row, measured in carry.items():
        for _ in range(_TRIALS):
            bps = measured()
            # Less is measured again, since the machine may have been busy with something else; more is not.
            if bps > declared * (1 - TOLERANCE):
                break
        found.append(Cell(row, column, declared / 1e6, bps / 1e6, without[row] / 1e6, _BY))
    hold(host, task, Limits())
    return found


def test_container(
    host: Host, site: Site, cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(places.FINDERS, "docker", places.containers)
    host.conf.set_override("docker_url", site.daemon.url, group="agent")
    host.conf.set_override("sources", ["docker"], group="agent")
    with site.start("sleep 3600") as container:
        inside = host.plug_process(container.pid, "veth3", "10.9.0.3")
        into = Stream(host.far.prefix, inside, "10.9.0.3")
        out = Stream(inside, host.far.prefix, "10.9.0.9")
        carry = {"NIC in": lambda: measure(into)[0], "NIC out": lambda: measure(out)[0]}
        found = compared(host, container.task, f"container v{kernel.version()}", carry)
    cells += [check(cell) for cell in found]


def test_guest(host: Host, cells: list[Cell]) -> None:
    with TapGuest(host.namespace, "tap7") as guest:
        host.tasks[_GUEST] = ("tap7",)
        carry = {"NIC in": guest.receives, "NIC out": guest.sends}
        found = compared(host, _GUEST, f"guest v{kernel.version()}", carry)
    cells += [check(cell) for cell in found]
