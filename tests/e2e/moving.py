# SPDX-License-Identifier: Apache-2.0
"""Tasks that can be seen to move, and the watchdog's ledger."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.processes import StepFailed
from lab.services import hybrid

START_TIMEOUT_S = 180
PAGE = "this container has moved"
#: What a container runs that serves the page.
WEB = f"mkdir -p /www; echo {PAGE} > /www/index.html; exec httpd -f -p 80 -h /www"
ENDED = frozenset({"done", "failed", "cancelled"})

Fields = dict[str, Any]


def page(address: str, path: str = "/", timeout_s: float = 10) -> str:
    """Ask for a page; empty while nobody answers."""
    connection = HTTPConnection(address, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode().strip()
    except OSError:
        return ""
    finally:
        connection.close()


def address_of(told: Fields) -> str:
    """Give the address of a guest or container with one."""
    [[address]] = told["addresses"].values()
    return str(address["addr"])


def start_guest(cloud: Cloud, name: str, flavor: str, host: str) -> tuple[str, str]:
    """Start a guest on a host and wait until it serves; gives its uuid and address."""
    uuid = cloud.create_server(name, flavor, host=host)
    told = wait_for(
        lambda: cloud.server(uuid),
        lambda seen: seen["status"] in {"ACTIVE", "ERROR"},
        START_TIMEOUT_S,
    )
    assert told["status"] == "ACTIVE", told.get("fault")
    address = address_of(told)
    wait_for(lambda: page(address), bool, START_TIMEOUT_S)
    return uuid, address


def start_container(
    cloud: Cloud, name: str, cpu: float, memory_mb: int, script: str, host: str
) -> tuple[str, str]:
    """Start a container that may be moved on a host; gives its uuid and address."""
    uuid = cloud.create_container(
        name,
        cpu,
        memory_mb,
        ["sh", "-c", script],
        host=host,
        labels={"hybrid:relocate": "allow"},
    )
    told = wait_for(
        lambda: cloud.container(uuid),
        lambda seen: seen["status"] in {"Running", "Error"},
        START_TIMEOUT_S,
    )
    assert told["status"] == "Running", told["status_reason"]
    return uuid, address_of(told)


def drain(lab: Lab, host: str, tasks: int) -> None:
    """Have a host emptied by a plan that moves so many tasks.

    As an operator would, wait for one, since what is not measured yet cannot be planned; and ask for a new one where the
    cluster has changed since it was shown: what it costs a guest to start is among what was measured last.
    """

    def applied() -> bool:
        rows = hybrid.manage(lab, "drain", host)
        if len(rows) != tasks:
            return False
        try:
            hybrid.manage(lab, "rebalance", "apply", rows[0]["Plan"])
        except StepFailed as fault:
            if "the cluster has changed since" in str(fault):
                return False
            raise
        return True

    wait_for(applied, bool, 240)


class Moves:
    """The watchdog's ledger of one host, since this was made."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab = lab
        self._host = host
        self._before = {each["UUID"] for each in self._all()}

    def now(self) -> list[Fields]:
        """List the moves away from the host, the oldest first."""
        new = [
            each
            for each in self._all()
            if each["From"] == self._host and each["UUID"] not in self._before
        ]
        return sorted(new, key=lambda each: each["Planned"])

    def ended(self, count: int, timeout_s: float) -> list[Fields]:
        """Wait for so many moves, and until all have ended."""

        def over(now: list[Fields]) -> bool:
            return len(now) >= count and all(each["State"] in ENDED for each in now)

        return wait_for(self.now, over, timeout_s)

    def _all(self) -> list[Fields]:
        try:
            return list(hybrid.manage(self._lab, "rebalance", "list"))
        except StepFailed:
            # The engine was killed just now.
            return []


@contextmanager
def pinging(address: str) -> Iterator[Callable[[], float]]:
    """Ping an address meanwhile; what is given tells, once it is over, which part of the pings was lost."""
    command = ["ping", "-i", "0.2", address]
    said: list[str] = []

    def lost() -> float:
        found = re.search(r"([\d.]+)% packet loss", said[0])
        assert found is not None, said
        return float(found[1]) / 100

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pings:
        try:
            yield lost
        finally:
            pings.send_signal(signal.SIGINT)
        assert pings.stdout is not None
        said.append(pings.stdout.read())
