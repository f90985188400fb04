# SPDX-License-Identifier: Apache-2.0
"""``hosts show`` with the real endpoint and engine; only the bus between them is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Manage
from oslo_config import cfg

from hybrid_sched.cmd.manage.app import ManageApp
from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc.isolation import OOM_KILL, HostEvent, IsolationReport
from hybrid_sched.rpc.messages import HostReport

NOW_S = 1_700_000_000.0
ISOLATION = IsolationReport(
    "enforce",
    applied={"cpus": 3},
    repaired={"memory_mb": 1},
    pending={},
    missing=("cgroup: no cpu controller.",),
    events=(HostEvent("t", OOM_KILL, NOW_S - 60),),
)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    options = cfg.ConfigOpts()
    options.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
    options([], default_config_files=[])
    engine = Engine(options, clock_s=lambda: NOW_S)
    for name, isolation in (("one", ISOLATION), ("old", IsolationReport())):
        capacity = Resources(vcpu=8, memory_mb=100)
        engine.take_report(
            HostReport(name, "boot", 1, NOW_S, capacity, 8, 100, isolation=isolation)
        )
    engine.run_cycle()
    endpoint = EngineEndpoint(engine, lambda *_: None)

    def ask(_app: ManageApp, method: str, **arguments: Any) -> Any:
        return json.loads(json.dumps(getattr(endpoint, method)({}, **arguments)))

    monkeypatch.setattr(ManageApp, "ask", ask)
    return engine


def test_how_limits_are_held_is_shown(manage: Manage, engine: Engine) -> None:
    row = manage("hosts", "show", "one", "-f", "json").rows
    assert row["Isolation"] == "enforce"
    assert (row["Limits applied"], row["Limits repaired"]) == ({"cpus": 3}, {"memory_mb": 1})
    assert row["Limits pending"] == {}
    assert row["Limits not held"] == ["cgroup: no cpu controller."]
    assert row["Events"] == [{"uuid": "t", "kind": "oom_kill", "at_s": NOW_S - 60}]
    table = manage("hosts", "show", "one").out
    assert "2023-11-14 22:12:20 oom_kill t" in table
    assert "memory_mb 1" in table


def test_an_agent_of_an_earlier_release_tells_nothing(manage: Manage, engine: Engine) -> None:
    row = manage("hosts", "show", "old", "-f", "json").rows
    assert (row["Isolation"], row["Limits applied"], row["Events"]) == ("not told", {}, [])
