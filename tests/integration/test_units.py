# SPDX-License-Identifier: Apache-2.0
"""The engine and the agent, set up by the page's own commands and run with the account and capabilities of their units."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rabbitmq import Broker
from waiting import wait_until

from lab.layout import CHECKOUT, Lab
from lab.processes import ProcessTable
from lab.walk import Machine, blocks

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
    for command in (*named["controller-engine"], *named["compute-agent"]):
        if not command.startswith(("systemctl ", "hybrid-sched-manage ")):
            done = made.run(command.replace("/opt/openstack", str(CHECKOUT)))
            assert done.returncode == 0, f"{command}: {done.stderr}"
    return made


@pytest.fixture
def started(machine: Machine) -> Iterator[dict[str, int]]:
    """Start both as their units say; with SQLite, as without a database server."""
    names = ("hybrid-sched-engine", "hybrid-sched-agent")
    table = ProcessTable(machine.lab)
    try:
        for name in names:
            machine.systemctl(["enable", "--now", name])
        processes = {process.name: process.pid for process in table.all()}
        yield {name: processes[f"controller-{name}"] for name in names}
    finally:
        table.stop(table.all(), timeout_s=10)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_they_serve_with_no_more_than_their_units_give(
    machine: Machine, started: dict[str, int]
) -> None:
    def fresh() -> bool:
        done = machine.run("hybrid-sched-manage hosts list -f json")
        rows = json.loads(done.stdout) if done.returncode == 0 else []
        return [row["Host"] for row in rows if row["Fresh"]] == ["one"]

    wait_until(fresh, "the agent's host is fresh", 120)
    engine = status_of(started["hybrid-sched-engine"])
    agent = status_of(started["hybrid-sched-agent"])
    assert engine["Uid"].split()[0] != "0"
    assert agent["Uid"].split()[0] == "0"
    assert (engine["CapBnd"], engine["NoNewPrivs"]) == ("0" * 16, "1")
    # CAP_DAC_OVERRIDE 1, CAP_NET_ADMIN 12, CAP_SYS_PTRACE 19, CAP_SYS_ADMIN 21
    assert int(agent["CapBnd"], 16) == 1 << 1 | 1 << 12 | 1 << 19 | 1 << 21
    log = machine.lab.log("controller-hybrid-sched-agent")
    assert "traffic" not in log.read_text()
    state = machine.path("/var/lib/hybrid-sched")
    owners = {path.name: path.stat().st_uid for path in state.iterdir()}
    assert owners["hybrid-sched.sqlite"] == int(engine["Uid"].split()[0])
    assert owners["one.json"] == 0

    conf = machine.path("/etc/hybrid-sched/hybrid-sched.conf")
    conf.write_text(conf.read_text().replace("isolators", "isolation = observe\nisolators"))
    machine.systemctl(["reload", "hybrid-sched-agent"])
    wait_until(
        lambda: "agent.isolation changed" in log.read_text(),
        "the agent has read its options again",
        60,
    )
    for name in started:
        machine.systemctl(["disable", "--now", name])
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in started.values())
    done = machine.run("hybrid-sched-manage release-host")
    assert done.returncode == 0, done.stderr
