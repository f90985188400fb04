# SPDX-License-Identifier: Apache-2.0
"""A host is drained: its guest is migrated live, its container made again elsewhere, though the engine is killed meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from engine import kill_engine
from moving import (
    PAGE,
    START_TIMEOUT_S,
    WEB,
    Moves,
    address_of,
    drain,
    page,
    pinging,
    start_container,
    start_guest,
)

from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.processes import StepFailed
from lab.services import hybrid

pytestmark = pytest.mark.timeout(900)

_MOVE_TIMEOUT_S = 300
#: The paper's bound on what is lost while a guest moves.
_MOST_LOST = 0.01


@pytest.fixture
def undrained(lab: Lab) -> Iterator[None]:
    yield
    # One that was never drained is none to be told of.
    with contextlib.suppress(StepFailed):
        hybrid.manage(lab, "drain", lab.hosts[0].name, "--undo")


@pytest.mark.usefixtures("undrained")
def test_a_drained_host_is_emptied_and_nothing_is_lost(
    empty_cloud: Cloud, lab: Lab, tell: Callable[[str], None]
) -> None:
    source, target = (host.name for host in lab.hosts[:2])
    guest, guest_at = start_guest(empty_cloud, "demo-mover", "lab.small", source)
    _, web_at = start_container(empty_cloud, "demo-web", 0.5, 64, WEB, source)
    assert wait_for(lambda: page(web_at), bool, START_TIMEOUT_S) == PAGE
    assert "booted" in empty_cloud.console(guest)

    moves = Moves(lab, source)
    with pinging(guest_at) as lost:
        drain(lab, source, tasks=2)
        # Between the stop on the source and the start on the target.
        wait_for(
            moves.now,
            lambda now: any(each["Step"] in {"stopped", "creating"} for each in now),
            _MOVE_TIMEOUT_S,
        )
        kill_engine(lab)
        ended = moves.ended(2, _MOVE_TIMEOUT_S)
    assert [each["State"] for each in ended] == ["done", "done"], ended
    tell(f"{lost():.1%} of the pings were lost while the guest moved")

    assert empty_cloud.server(guest)["OS-EXT-SRV-ATTR:host"] == target
    # The console of a host begins with what the guest wrote there.
    assert "booted" not in empty_cloud.console(guest)
    assert page(guest_at)
    (web,) = empty_cloud.list_containers()
    assert (web["host"], web["status"], address_of(web)) == (target, "Running", web_at)
    assert wait_for(lambda: page(web_at), bool, START_TIMEOUT_S) == PAGE
    assert lost() <= _MOST_LOST
