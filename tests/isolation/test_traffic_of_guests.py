# SPDX-License-Identifier: Apache-2.0
"""The taps of real guests of a real libvirt, held and free again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from test_libvirt_source import Host, host  # noqa: F401 - a fixture

pytestmark = pytest.mark.timeout(90)


class Traffic:
    """The isolator where a host's guests are."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, *command: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@pytest.fixture
def traffic(host: Host) -> Iterator[Traffic]:  # noqa: F811
    # The first answer comes when the host is made, in the namespaces of the child.
    host.ask("look")
    (first,) = psutil.Process(host._process.pid).children()
    inside = ["nsenter", "--target", str(first.pid), "--mount", "--net"]
    program = [
        sys.executable,
        str(Path(__file__).parents[1] / "integration" / "traffic_program.py"),
    ]
    with subprocess.Popen(
        [*inside, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Traffic(process)
        process.kill()


def test_taps_of_guests_are_found_held_and_nothing_is_left(host: Host, traffic: Traffic) -> None:  # noqa: F811
    def uuid_of(name: str) -> str:
        return str(host.ask("look")[name]["task"]["uuid"])

    def links() -> set[str]:
        return {each["ifname"] for each in host.ask("ip", "link", "show")}

    def qdiscs(link: str) -> str:
        return str(host.ask("ip", "link", "show", link)[0]["qdisc"])

    assert traffic.ask("read") == {}
    host.start("one")
    host.start("two")
    one, two = uuid_of("one"), uuid_of("two")
    before = qdiscs("tap-one")
    assert traffic.ask("read") == {one: [None, None], two: [None, None]}
    assert traffic.ask("hold", one, 1_250_000, 2_500_000) == ""
    assert traffic.ask("read") == {one: [1_250_000, 2_500_000], two: [None, None]}
    assert (qdiscs("tap-one"), qdiscs("tap-two")) == ("htb", before)
    (meter,) = {name for name in links() if name.startswith("hso")}

    # In its next life the guest has another tap of the same name.
    host.ask("virsh", "destroy", "one")
    assert traffic.ask("read") == {two: [None, None]}
    assert meter not in links()
    host.ask("virsh", "start", "one")
    assert traffic.ask("read") == {one: [None, None], two: [None, None]}
    assert traffic.ask("hold", one, 1_250_000, None) == ""
    assert traffic.ask("read") == {one: [1_250_000, None], two: [None, None]}
    assert traffic.ask("hold", one, None, None) == ""
    assert qdiscs("tap-one") != "htb"
    assert links() == {"lo", "tap-one", "tap-two"}
