# SPDX-License-Identifier: Apache-2.0
"""Hosts that real load exhausts, of CPU or of memory, are relieved of their largest consumer, and then left alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from engine import configure_engine
from moving import (
    PAGE,
    START_TIMEOUT_S,
    WEB,
    Moves,
    address_of,
    page,
    pinging,
    start_container,
    start_guest,
)

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.services import hybrid

pytestmark = pytest.mark.timeout(900)

_PERIOD_S, _REPORT_S = 5, 4
#: The paper's bound on what is lost while a guest moves.
_MOST_LOST = 0.01
_MOVE_TIMEOUT_S = 300
_COOLDOWN_S = 900
_WATCHDOG = {
    "mode": "on",
    "period_s": _PERIOD_S,
    "short_half_life_s": 2,
    "long_half_life_s": 10,
    "deviations": 0,
    "task_cooldown_s": _COOLDOWN_S,
    "host_cooldown_s": _COOLDOWN_S,
    "measure_after_s": 20,
}
_FLAVOR = "demo-heavy"
_BURN = "(while :; do :; done) &"


def _hold(memory_mb: int) -> str:
    """Give what a container runs to keep so much memory."""
    size = memory_mb * 2**20
    return f"{{ head -c {size} /dev/zero; sleep 36000; }} | tail -c {size} &"


@dataclass(frozen=True)
class Load:
    """What exhausts a host: a heavier task, which is to leave, and a lighter one.

    :param resource: that the host is exhausted of.
    :param measured: the figure of a report that tells its use.
    :param usable: how much a host of the lab has of it after its reserve.
    :param limit: part of it above which the host counts as exhausted here, well before it could be by itself, as the lab's
        hosts share the machine.
    :param target: part of it up to which moves may fill a host.
    :param guest: path at which a guest is told to use much.
    :param heavier: what a container runs to use much.
    :param lighter: what the other one runs.
    """

    resource: str
    measured: str
    usable: float
    limit: float
    target: float
    guest: str
    heavier: str
    lighter: str


_CPU = Load("vcpu", "cpu_cores", os.cpu_count() or 2, 0.4, 0.38, "/cgi-bin/burn", _BURN, _BURN)
_MEMORY = Load(
    "memory_mb", "memory_used_mb", 3584, 0.37, 0.34, "/cgi-bin/fill?400", _hold(650), _hold(350)
)


@pytest.fixture
def flavor(cloud: Cloud) -> Iterator[str]:
    """Give a flavor for six tenths of a core."""
    compute = cloud.sdk.compute
    made = compute.create_flavor(name=_FLAVOR, vcpus=1, ram=512, disk=0)
    compute.create_flavor_extra_specs(
        made, {"quota:cpu_period": "100000", "quota:cpu_quota": "60000"}
    )
    yield _FLAVOR
    compute.delete_flavor(made)


@pytest.fixture
def watching(lab: Lab) -> Iterator[None]:
    yield
    configure_engine(lab)


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize("load", [_CPU, _MEMORY], ids=["cpu", "memory"])
@pytest.mark.parametrize("heavier", [HYPERVISOR, CONTAINER])
def test_an_exhausted_host_loses_its_largest_consumer_and_nothing_else(
    empty_cloud: Cloud,
    lab: Lab,
    flavor: str,
    tell: Callable[[str], None],
    load: Load,
    heavier: str,
) -> None:
    source, target = (host.name for host in lab.hosts[:2])
    if heavier == HYPERVISOR:
        mover, address = start_guest(empty_cloud, "demo-heavier", flavor, source)
        up_before_s, asked_s = _uptime_s(address), time.monotonic()
    else:
        script = f"{load.heavier} {WEB}"
        mover, address = start_container(empty_cloud, "demo-heavier", 0.6, 800, script, source)
    start_container(empty_cloud, "demo-lighter", 0.3, 512, f"{load.lighter} {WEB}", source)
    wait_for(lambda: page(address), bool, START_TIMEOUT_S)
    moves, others = Moves(lab, source), Moves(lab, target)
    parts = {
        "limits": f"{load.resource}:{load.limit}",
        "targets": f"{load.resource}:{load.target}",
    }
    configure_engine(lab, {**_WATCHDOG, **parts})
    with pinging(address) as lost:
        if heavier == HYPERVISOR:
            # Its answer may come later than the move.
            page(address, load.guest, timeout_s=1)
        over_s = wait_for(lambda: _over_since(lab, source, load), bool, 120)
        planned = wait_for(moves.now, bool, 60)
        ended = moves.ended(1, _MOVE_TIMEOUT_S)
    (move,) = ended
    assert (move["State"], move["Task"], move["To"]) == ("done", mover, target), ended
    assert f"of its {load.resource}, above {load.limit:.0%}" in move["Why"]
    assert "number 1 of its movable consumers" in move["Why"]
    waited_s = planned[0]["Planned"] - over_s
    tell(
        f"{load.resource} by a {heavier}'s load: planned {waited_s:.1f} s after a report was over the limit, done "
        f"{move['Ended'] - move['Planned']:.1f} s later"
    )
    # A report is looked at in the next period, and three of them are enough.
    assert waited_s <= 3 * _PERIOD_S + _REPORT_S
    if heavier == HYPERVISOR:
        assert empty_cloud.server(mover)["OS-EXT-SRV-ATTR:host"] == target
        up_s = _uptime_s(address)
        assert up_s - up_before_s >= 0.8 * (time.monotonic() - asked_s)
        tell(f"{lost():.1%} of the pings were lost while the guest moved")
        assert lost() <= _MOST_LOST
    else:
        (moved,) = [c for c in empty_cloud.list_containers() if c["name"] == "demo-heavier"]
        assert (moved["host"], moved["status"]) == (target, "Running")
        assert address_of(moved) == address
        assert wait_for(lambda: page(address), bool, START_TIMEOUT_S) == PAGE
    # The load goes on, and nothing else moves; what was predicted is compared with what came.
    measured = wait_for(moves.now, lambda now: bool(now[0]["Measured"]), 90)
    assert [each["UUID"] for each in measured] == [move["UUID"]]
    assert not others.now()
    assert measured[0]["Predicted"]["resource"] == load.resource


def _uptime_s(address: str) -> float:
    return float(
        wait_for(lambda: page(address, "/cgi-bin/uptime", 30), bool, START_TIMEOUT_S).split()[0]
    )


def _over_since(lab: Lab, host: str, load: Load) -> float:
    """Give the time of the first report that is over the limit; 0 before."""
    shown = hybrid.manage(lab, "hosts", "show", host)
    if float(shown["Measured"][load.measured]) <= load.limit * load.usable:
        return 0.0
    return time.time() - float(shown["Age s"])
