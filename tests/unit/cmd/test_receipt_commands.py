# SPDX-License-Identifier: Apache-2.0
"""``receipt`` with the real endpoint and engine; only the bus between them is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Manage
from oslo_config import cfg

from hybrid_sched.cmd.manage.app import ManageApp
from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.receipt_endpoint import MOST_LISTED, ReceiptEndpoint
from hybrid_sched.rpc.messages import HostReport

NOW_S = 1_700_000_000.0
STARVED = Task("aa", HYPERVISOR, Resources(vcpu=2, memory_mb=60), "starved")
FINE = Task("bb", CONTAINER, Resources(vcpu=1, disk_write_bps=2_000_000), "fine")
FIGURES = {"memory_used_mb": 40.0, "disk_write_bps": 1_500_000.0, "rates_over_s": 10.0}


def serve(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Engine:
    conf = cfg.ConfigOpts()
    conf.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
    conf([], default_config_files=[])
    for name, value in options.items():
        conf.set_override(name, value, group="quota")
    engine = Engine(conf, clock_s=lambda: NOW_S)
    endpoint = ReceiptEndpoint(engine.receipts)

    def ask(_app: ManageApp, method: str, **arguments: Any) -> Any:
        answer = getattr(endpoint, method)({}, **json.loads(json.dumps(arguments)))
        return json.loads(json.dumps(answer))

    monkeypatch.setattr(ManageApp, "ask", ask)
    return engine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Give an engine with a host of each task that the commands ask."""
    engine = serve(monkeypatch)
    for host, task, cpu_cores, cpu_wait_cores in (
        ("one", STARVED, 0.5, 2.0),
        ("two", FINE, 0.25, 0.0),
    ):
        figures = {**FIGURES, "cpu_cores": cpu_cores, "cpu_wait_cores": cpu_wait_cores}
        engine.take_report(
            HostReport(
                *(host, "boot", 1, NOW_S, Resources(vcpu=8, memory_mb=100), 8, 100),
                tasks=(task,),
                task_measured={task.uuid: figures},
            )
        )
    return engine


@pytest.mark.usefixtures("engine")
def test_a_list_has_use_promise_and_verdict_of_each_resource(manage: Manage) -> None:
    starved, fine = manage("receipt", "list", "-f", "json").rows
    assert (starved["UUID"], starved["Host"], starved["Broken"]) == ("aa", "one", True)
    assert starved["CPU cores"]["verdict"] == "starved"
    assert starved["Verdict"].startswith("CPU starved for 10 s, 1.5 cores short then; ")
    assert fine["Disk write MB/s"] == {
        "resource": "disk_write_bps",
        "promised": 2_000_000,
        "verdict": "kept",
        "mean": pytest.approx(1_500_000),
        "most": 1_500_000,
        "covered_s": 10,
        "broken_s": 0,
        "limited_s": 0,
        "short": 0,
    }
    shown = manage("receipt", "list", "-c", "CPU cores", "-c", "Disk write MB/s").out
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()]
    assert [row for row in cells if row] == [
        ["CPU cores", "Disk write MB/s"],
        ["0.5 (max 0.5) of 2, starved", "1.5 (max 1.5), no limit"],
        ["0.25 (max 0.25) of 1, kept", "1.5 (max 1.5) of 2, kept"],
    ]


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize(
    ("options", "uuids"),
    [
        (["--broken"], ["aa"]),
        (["--host", "two"], ["bb"]),
        (["--framework", "container"], ["bb"]),
        (["--framework", "container", "--broken"], []),
    ],
)
def test_a_list_can_be_narrowed(options: list[str], uuids: list[str], manage: Manage) -> None:
    rows = manage("receipt", "list", *options, "-f", "json").rows
    assert [row["UUID"] for row in rows] == uuids


def test_a_long_list_comes_page_by_page(engine: Engine, manage: Manage) -> None:
    tasks = tuple(Task(f"t{number:04}", CONTAINER, Resources()) for number in range(MOST_LISTED))
    capacity = Resources(vcpu=8, memory_mb=100)
    engine.take_report(HostReport("three", "boot", 1, NOW_S, capacity, 8, 100, tasks=tasks))
    rows = manage("receipt", "list", "-f", "json").rows
    assert [row["UUID"] for row in rows] == ["aa", "bb", *(task.uuid for task in tasks)]


@pytest.mark.usefixtures("engine")
def test_one_receipt_says_from_when_to_when_and_how_it_fared(manage: Manage) -> None:
    row = manage("receipt", "show", "AA", "-f", "json").rows
    assert (row["From"], row["Until"], row["Counted since"]) == (NOW_S - 10, NOW_S, NOW_S)
    assert (row["Measured"], row["Measured s"], row["Samples"]) == (1, 10, 1)
    assert row["Memory MiB"]["mean"] == pytest.approx(40)
    shown = manage("receipt", "show", "aa").out
    for text in (
        "2023-11-14 22:13:20",
        "40 (max 40) of 60, kept",
        "-, no limit",
        "100 %",
        "CPU starved for 10 s",
    ):
        assert text in shown


@pytest.mark.usefixtures("engine")
def test_a_task_that_no_agent_reports_has_no_receipt(manage: Manage) -> None:
    answer = manage("receipt", "show", "cc")
    assert answer.code == 1
    assert "There is no receipt of cc: give the UUID of a server or container" in answer.err


def test_receipts_that_are_off_are_said_with_the_option(
    manage: Manage, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, receipt_window_s=0)
    for arguments in (["list"], ["show", "aa"]):
        answer = manage("receipt", *arguments)
        assert answer.code == 1
        assert "set [quota] receipt_window_s above 0" in answer.err
