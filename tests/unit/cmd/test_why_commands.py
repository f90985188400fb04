# SPDX-License-Identifier: Apache-2.0
"""``why`` and ``why-not`` with the real endpoint and engine; only the bus between them is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from oslo_config import cfg

from hybrid_sched.cmd.manage.app import ManageApp
from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc.messages import HostReport

NOW_S = 1_700_000_000.0


def conf() -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
    made([], default_config_files=[])
    return made


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Give an engine with two hosts that the commands ask."""
    engine = Engine(conf(), clock_s=lambda: NOW_S)
    for number, host in enumerate(("one", "two")):
        tasks = (Task("busy", HYPERVISOR, Resources(vcpu=1, memory_mb=60)),) if number else ()
        capacity = Resources(vcpu=8, memory_mb=100)
        engine.take_report(HostReport(host, "boot", 1, NOW_S, capacity, 8, 100, tasks=tasks))
    engine.run_cycle()
    endpoint = EngineEndpoint(engine, lambda *_: None)

    def ask(_app: ManageApp, method: str, **arguments: Any) -> Any:
        answer = getattr(endpoint, method)({}, **json.loads(json.dumps(arguments)))
        return json.loads(json.dumps(answer))

    monkeypatch.setattr(ManageApp, "ask", ask)
    return engine


def decided(stage: Stage, at_s: float, framework: str, **changes: Any) -> Decision:
    values = {
        "request_uuid": "r",
        "framework": framework,
        "demand": Resources(vcpu=2, memory_mb=30),
        "stage": stage,
        "decided_at_s": NOW_S + at_s,
        "snapshot_version": 7,
        "snapshot_age_s": 0.26,
        **changes,
    }
    return Decision(**values)


def place(engine: Engine, framework: str) -> None:
    gate = decided(
        Stage.SHARE_GATE,
        1,
        framework,
        hosts=("one", "far"),
        refused={"two": "host_room: host two has 40 of 100 memory_mb free"},
        text="the share allows it",
    )
    weights = (Fraction(7, 2), -1)
    order = decided(
        Stage.ORDER, 2, framework, hosts=("one", "far"), weights=weights, text="head (most first)"
    )
    engine.take_decision(gate)
    engine.take_decision(order)


@pytest.mark.parametrize(("framework", "kind"), [(HYPERVISOR, "guest"), (CONTAINER, "container")])
def test_why_says_the_same_of_guests_and_containers(
    engine: Engine, manage: Callable[..., Any], framework: str, kind: str
) -> None:
    place(engine, framework)
    said = manage("why", "r", "-f", "json").rows
    assert said == {
        "uuid": "r",
        "kind": kind,
        "framework": framework,
        "demand": {"vcpu": 2, "memory_mb": 30},
        "attempt": 1,
        "attempts": 1,
        "when": NOW_S + 1,
        "picture": {"version": 7, "age_s": 0.26},
        "candidates": 3,
        "share_gate": "the share allows it",
        "refused": {"two": "host_room: host two has 40 of 100 memory_mb free"},
        "refused_by_other_filters": [],
        "order": "head (most first)",
        "weights": [{"host": "one", "weight": "7/2"}, {"host": "far", "weight": -1}],
        "chosen": "one",
        "claimed_on": "",
        "claimed_at": None,
        "outcome": "host one was the first of the order, and the task was not seen on a host yet",
    }
    table = manage("why", "r").out
    for line in ("snapshot 7, 0.3 s old", "one: 3.5", "far: -1", "2023-11-14 22:13:21"):
        assert line in table


def test_the_host_of_the_claim_is_shown_and_each_attempt_can_be_asked_for(
    engine: Engine, manage: Callable[..., Any]
) -> None:
    engine.take_decision(decided(Stage.SHARE_GATE, -9, CONTAINER, refused={"one": "host_room: no"}))
    place(engine, CONTAINER)
    seen = decided(Stage.CLAIMED, 3, CONTAINER, hosts=("one",))
    engine.take_decision(seen)
    newest = manage("why", "r", "-f", "json").rows
    assert (newest["attempt"], newest["attempts"], newest["claimed_on"]) == (2, 2, "one")
    assert newest["claimed_at"] == NOW_S + 3
    first = manage("why", "r", "--attempt", "1", "-f", "json").rows
    assert first["outcome"] == "no host passed the share gate"
    answer = manage("why", "r", "--attempt", "3")
    assert (answer.code, answer.err) == (1, "--attempt: 3 is not there: give 1 to 2.\n")
    # It is no step of a scheduler.
    steps = manage("decision", "show", "r", "-f", "json").rows
    assert [step["Step"] for step in steps] == ["share_gate", "share_gate", "order"]


def test_why_of_an_unknown_request_is_one_sentence(
    engine: Engine, manage: Callable[..., Any]
) -> None:
    answer = manage("why", "nobody")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("There is no decision on nobody: give the UUID of a server or")
    assert answer.err.count("\n") == 1


def test_why_not_says_what_stops_it_and_what_would_help(
    engine: Engine, manage: Callable[..., Any]
) -> None:
    asked = ("--framework", CONTAINER, "--vcpu", "1", "--memory-mb", "120", "--pool", "default")
    said = manage("why-not", *asked, "-f", "json").rows
    assert (said["fits"], said["host"], said["count"]) == (False, "", 1)
    assert {row["host"]: row["rule"] for row in said["hosts"]} == {
        "one": "host_room",
        "two": "host_room",
    }
    (change,) = said["changes"]
    assert (change["kind"], change["demand"], change["host"]) == (
        "flavor",
        {"vcpu": 1, "memory_mb": 100},
        "one",
    )
    table = manage("why-not", *asked).out
    assert "flavor: ask for 100 instead of 120 memory_mb, with 1 vcpu as asked" in table
    assert "host_room: host one has 100 of 100 memory_mb free" in table
    fits = manage("why-not", "--memory-mb", "10", "--count", "3", "-f", "json").rows
    assert (fits["fits"], fits["framework"], fits["count"]) == (True, HYPERVISOR, 3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "The question cannot be answered: demand: nothing is asked for: give vcpu or memory"),
        (("--flavor", "x", "--vcpu", "1"), "--flavor: it tells the demand of a guest: leave"),
        (("--flavor", "x"), "The question cannot be answered: flavor: the quota service does not"),
        (("--vcpu", "1", "--pool", "x"), "The question cannot be answered: pool: 'x' is unknown"),
        (("--vcpu", "1", "--count", "0"), "The question cannot be answered: count: 0 is not"),
    ],
)
def test_a_question_that_makes_no_sense_is_one_sentence(
    engine: Engine, manage: Callable[..., Any], arguments: tuple[str, ...], said: str
) -> None:
    answer = manage("why-not", *arguments)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(said)
    assert answer.err.count("\n") == 1
