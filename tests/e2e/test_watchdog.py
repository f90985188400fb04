# SPDX-License-Identifier: Apache-2.0
"""A host is drained: its guest is migrated live, its container made again elsewhere, though the engine is killed meanwhile."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from outages import kill_engine

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.processes import StepFailed
from lab.services import hybrid

pytestmark = pytest.mark.timeout(900)

_START_TIMEOUT_S, _MOVE_TIMEOUT_S = 180, 300
_PAGE = "this container has moved"
_WEB = f"mkdir -p /www; echo {_PAGE} > /www/index.html; exec httpd -f -p 80 -h /www"
#: The paper's bound on what is lost while a guest moves.
_MOST_LOST = 0.01


def page(address: str) -> str:
    """Ask for a page; empty while nobody answers."""
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode().strip()
    except OSError:
        return ""
    finally:
        connection.close()


def address_of(told: dict[str, Any]) -> str:
    """Give the address of a guest or container with one."""
    [[address]] = told["addresses"].values()
    return str(address["addr"])


class Moves:
    """The watchdog's ledger of one host, since it was drained."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab = lab
        self._host = host
        self._before = {each["UUID"] for each in self._all()}

    def now(self) -> list[dict[str, Any]]:
        """List the moves away from the host."""
        return [
            each
            for each in self._all()
            if each["From"] == self._host and each["UUID"] not in self._before
        ]

    def _all(self) -> list[dict[str, Any]]:
        try:
            return list(hybrid.manage(self._lab, "rebalance", "list"))
        except StepFailed:
            # The engine was killed just now.
            return []


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
    guest = empty_cloud.create_server("demo-mover", "lab.small", host=source)
    container = empty_cloud.create_container(
        "demo-web",
        0.5,
        64,
        ["sh", "-c", _WEB],
        host=source,
        labels={"hybrid:relocate": "allow"},
    )
    wait_for(
        lambda: empty_cloud.container(container)["status"],
        lambda s: s == "Running",
        _START_TIMEOUT_S,
    )
    guest_at, web_at = (
        address_of(told) for told in (empty_cloud.server(guest), empty_cloud.container(container))
    )
    wait_for(lambda: page(guest_at), bool, _START_TIMEOUT_S)
    assert wait_for(lambda: page(web_at), bool, _START_TIMEOUT_S) == _PAGE
    assert "booted" in empty_cloud.console(guest)

    def planned() -> dict[str, str]:
        rows = hybrid.manage(lab, "drain", source)
        return {row["Framework"]: row["Plan"] for row in rows}

    # What is not measured yet cannot be planned.
    plans = wait_for(planned, lambda found: set(found) == {HYPERVISOR, CONTAINER}, 120)
    (plan,) = set(plans.values())
    moves = Moves(lab, source)
    command = ["ping", "-i", "0.2", guest_at]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pings:
        try:
            hybrid.manage(lab, "rebalance", "apply", plan)
            # Between the stop on the source and the start on the target.
            wait_for(
                moves.now,
                lambda now: any(each["Step"] in {"stopped", "creating"} for each in now),
                _MOVE_TIMEOUT_S,
            )
            kill_engine(lab)
            ended = wait_for(
                moves.now,
                lambda now: (
                    len(now) >= 2
                    and all(each["State"] in {"done", "failed", "cancelled"} for each in now)
                ),
                _MOVE_TIMEOUT_S,
            )
        finally:
            pings.send_signal(signal.SIGINT)
        assert pings.stdout is not None
        lost = re.search(r"([\d.]+)% packet loss", pings.stdout.read())
    assert [each["State"] for each in ended] == ["done", "done"], ended
    assert lost is not None
    tell(f"{lost[1]} % of the pings were lost while the guest moved")

    assert empty_cloud.server(guest)["OS-EXT-SRV-ATTR:host"] == target
    # The console of a host begins with what the guest wrote there.
    assert "booted" not in empty_cloud.console(guest)
    assert page(guest_at)
    (web,) = empty_cloud.list_containers()
    assert (web["host"], web["status"], address_of(web)) == (target, "Running", web_at)
    assert wait_for(lambda: page(web_at), bool, _START_TIMEOUT_S) == _PAGE
    assert float(lost[1]) <= 100 * _MOST_LOST
