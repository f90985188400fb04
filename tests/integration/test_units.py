# SPDX-License-Identifier: Apache-2.0
"""The engine and the agent, set up by the page's own commands and run with the account and capabilities of their units."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rabbitmq import Broker
from waiting import wait_until

from lab.layout import CHECKOUT, Lab
from lab.walk import Machine, as_unit_says, blocks

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="accounts and namespaces are root's to make"),
    pytest.mark.timeout(300),
]
_PAGE = CHECKOUT / "doc" / "source" / "install" / "by-hand.rst"
_OPTIONS = """
[DEFAULT]
transport_url = {url}
[quota]
period_s = 0.5
[agent]
host = one
period_s = 0.5
sources = host
isolators = cgroup,traffic
watchers = noop
"""


@pytest.fixture
def machine(broker: Broker, tmp_path: Path) -> Machine:
    """Make a machine on which the page was followed until the services are to be started."""
    lab = Lab((), state=tmp_path / "state")
    made = Machine(lab)
    made.make()
    named = {block.name: block.commands for block in blocks(_PAGE)}
    for command in (*named["everywhere-package"], *named["everywhere-account"]):
        if not command.startswith(("pip ", "cd ")):
            text = command.replace("/opt/openstack/bin", str(lab.bin))
            done = made.run(f"cd {CHECKOUT / 'etc/hybrid-sched'} && {text}")
            assert done.returncode == 0, f"{command}: {done.stderr}"
    made.write("/etc/hybrid-sched/hybrid-sched.conf", _OPTIONS.format(url=broker.url))
    for command in named["controller-engine"][:2]:
        assert made.run(command).returncode == 0
    return made


@pytest.fixture
def started(machine: Machine, tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Start both as their units say; with SQLite, as without a database server."""
    with ExitStack() as stack:
        running = {}
        for name in ("hybrid-sched-engine", "hybrid-sched-agent"):
            unit = (CHECKOUT / "etc/hybrid-sched/systemd" / f"{name}.service").read_text()
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            running[name] = subprocess.Popen(
                machine.inside(as_unit_says(unit)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            stack.callback(running[name].wait)
            stack.callback(running[name].terminate)
        yield running


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_they_serve_with_no_more_than_their_units_give(
    machine: Machine, started: dict[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    def hosts() -> list[dict[str, Any]]:
        done = machine.run("hybrid-sched-manage hosts list -f json")
        return json.loads(done.stdout) if done.returncode == 0 else []

    def said(name: str) -> str:
        return (tmp_path / f"{name}.log").read_text()

    def fresh() -> bool:
        for name, process in started.items():
            assert process.poll() is None, said(name)
        return [row["Host"] for row in hosts() if row["Fresh"]] == ["one"]

    wait_until(fresh, "the agent's host is fresh", 120)
    engine = status_of(started["hybrid-sched-engine"].pid)
    agent = status_of(started["hybrid-sched-agent"].pid)
    assert engine["Uid"].split()[0] != "0"
    assert agent["Uid"].split()[0] == "0"
    assert (engine["CapBnd"], engine["NoNewPrivs"]) == ("0" * 16, "1")
    # CAP_DAC_OVERRIDE 1, CAP_NET_ADMIN 12, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21
    assert int(agent["CapBnd"], 16) == 1 << 1 | 1 << 12 | 1 << 19 | 1 << 21
    assert "traffic" not in said("hybrid-sched-agent")
    state = machine.path("/var/lib/hybrid-sched")
    owners = {path.name: path.stat().st_uid for path in state.iterdir()}
    assert owners["hybrid-sched.sqlite"] == int(engine["Uid"].split()[0])
    assert owners["one.json"] == 0
