# SPDX-License-Identifier: Apache-2.0
"""A container takes more memory than it declared, beside a guest: it is killed, nobody else is, and the host tells of it."""

from __future__ import annotations

from http.client import HTTPConnection

from lab import hosts
from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.services import hybrid

_TIMEOUT_S = 120
_KILLED = 128 + 9
#: Takes 200 MiB of memory at once, of which it has declared 64.
_HOG = ["sh", "-c", "sleep 5; exec dd if=/dev/zero of=/dev/null bs=200M count=1"]


def page(address: str) -> bytes:
    """Ask a guest for its page; nothing while it does not answer."""
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    except OSError:
        return b""
    finally:
        connection.close()


def test_the_container_over_its_limit_is_killed_and_nobody_else(
    empty_cloud: Cloud, lab: Lab
) -> None:
    host = lab.hosts[0]
    guest = empty_cloud.create_server("demo-beside", "lab.small", host=host.name)
    wait_for(lambda: empty_cloud.server(guest)["status"], lambda s: s == "ACTIVE", _TIMEOUT_S)
    [[address]] = empty_cloud.server(guest)["addresses"].values()
    wait_for(lambda: page(address["addr"]), bool, _TIMEOUT_S)
    services = hosts.services(lab, host)

    hog = empty_cloud.create_container("demo-hog", 1, 64, _HOG, host=host.name)
    ended = wait_for(
        lambda: empty_cloud.container(hog),
        lambda container: container["status"] in {"Stopped", "Error"},
        _TIMEOUT_S,
    )
    assert (ended["status"], str(_KILLED) in ended["status_detail"]) == ("Stopped", True), ended

    told = wait_for(
        lambda: hybrid.manage(lab, "hosts", "show", host.name)["Events"],
        lambda events: hog in str(events),
        _TIMEOUT_S,
    )
    (event,) = [each for each in told if each["uuid"] == hog]
    assert event["kind"] == "oom_kill"
    assert empty_cloud.server(guest)["status"] == "ACTIVE"
    assert page(address["addr"])
    # The agent and all other services of the host are those that ran before.
    assert hosts.services(lab, host) == services
