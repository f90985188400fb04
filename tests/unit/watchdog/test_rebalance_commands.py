# SPDX-License-Identifier: Apache-2.0
"""The commands against a real endpoint, ledger and engine; what goes over the bus goes through JSON."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest
from cliff.command import Command
from moving_world import World

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.rebalance import (
    ApplyPlan,
    CancelMoves,
    Drain,
    EnableStrategy,
    ListMoves,
    PlanMoves,
    ShowWatchdog,
)
from hybrid_sched.watchdog.endpoint import WatchdogEndpoint


class App:
    """What a command needs of its application."""

    def __init__(self, world: World) -> None:
        self.LOG = logging.getLogger("manage")
        self.stdout = io.StringIO()
        self._endpoint = WatchdogEndpoint(world.orders)

    def ask(self, method: str, **arguments: Any) -> Any:
        answer = getattr(self._endpoint, method)({}, **json.loads(json.dumps(arguments)))
        return json.loads(json.dumps(answer))


class Shell:
    """Runs commands."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = App(world)

    def __call__(self, kind: type[Command], *arguments: str) -> list[dict[str, Any]]:
        command = kind(self.app, None)
        answer = command.take_action(command.get_parser("it").parse_args(arguments))
        if answer is None:
            return []
        columns, rows = answer
        rows = [rows] if kind is ShowWatchdog else list(rows)
        return [
            {
                name: value.human_readable() if hasattr(value, "human_readable") else value
                for name, value in zip(columns, row, strict=True)
            }
            for row in rows
        ]


@pytest.fixture
def shell(world: World, caplog: pytest.LogCaptureFixture) -> Shell:
    caplog.set_level(logging.INFO)
    world.set(mode="off")
    for _ in range(3):
        world.period()
    return Shell(world)


def test_a_plan_is_shown_applied_and_listed(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    [planned] = shell(PlanMoves)
    assert (planned["Task"], planned["From"], planned["To"]) == ("big", "a", "b")
    assert planned["Why"].startswith("host a is exhausted: 90% of its vcpu, above 80%; big is")
    assert planned["Predicted"] == "vcpu: source 90% -> 50%, target 0% -> 40%"
    said = caplog.text
    assert "relocator: make a port; stop the source; start on the target; remove the port." in said
    assert f"rebalance apply {planned['Plan']}`" in said
    assert shell(ListMoves) == []
    [applied] = shell(ApplyPlan, planned["Plan"])
    assert applied["State"] == "planned"
    shell.world.rounds()
    [listed] = shell(ListMoves, "--state", "done")
    assert (listed["Step"], listed["Text"]) == ("cleaned", "It runs on its target.")
    assert (listed["Measured"], listed["Predicted"]) == ("", planned["Predicted"])
    with pytest.raises(ManageError, match="refuses it: there is no plan"):
        shell(ApplyPlan, planned["Plan"])


def test_a_host_is_drained_and_given_back(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    moves = shell(Drain, "a")
    assert len(moves) == 2
    assert "Host a takes nothing from then on." in caplog.text
    assert shell(ShowWatchdog)[0]["Drained"] == ""
    shell(ApplyPlan, moves[0]["Plan"])
    assert shell(ShowWatchdog)[0]["Drained"] == "a"
    cancelled = shell(Drain, "a", "--undo")
    assert {each["State"] for each in cancelled} == {"cancelled"}
    assert shell(ShowWatchdog)[0]["Drained"] == ""
    with pytest.raises(ManageError, match="host a is not drained"):
        shell(Drain, "a", "--undo")


def test_moves_are_cancelled(shell: Shell) -> None:
    [planned] = shell(PlanMoves)
    shell(ApplyPlan, planned["Plan"])
    [cancelled] = shell(CancelMoves, planned["Plan"])
    assert (cancelled["State"], cancelled["Text"]) == ("cancelled", "An operator has cancelled it.")
    with pytest.raises(ManageError, match="refuses it: wanted"):
        shell(CancelMoves, "nonsense")


def test_a_strategy_that_is_off_is_said_wherever_one_looks(
    shell: Shell, caplog: pytest.LogCaptureFixture
) -> None:
    world = shell.world
    world.settings.switch("relieve", "It was wrong three times.", world.term, world.now_s)
    for command in (ListMoves, PlanMoves):
        caplog.clear()
        shell(command)
        assert "It was wrong three times." in caplog.text
    assert shell(ShowWatchdog)[0]["Switched off"] == "relieve: It was wrong three times."
    shell(EnableStrategy, "relieve")
    assert shell.app.stdout.getvalue() == "Strategy relieve decides again.\n"
    assert shell(ShowWatchdog)[0]["Switched off"] == ""


def test_nothing_to_move_is_said(shell: Shell, caplog: pytest.LogCaptureFixture) -> None:
    shell.world.set(limits={"vcpu": "0.99"})
    assert shell(PlanMoves) == []
    assert "Nothing is to be moved." in caplog.text


@pytest.mark.parametrize(
    ("method", "arguments", "fault"),
    [
        ("plan_moves", {"strategy": 5}, "strategy"),
        ("apply_plan", {"plan": "x"}, "plan"),
        ("moves", {"limit": 0}, "limit"),
        ("moves", {"states": ["lost"]}, "states: 'lost' is unknown"),
        ("moves", {"before": -1}, "before"),
        ("undrain_host", {"host": ["a"]}, "host"),
    ],
)
def test_what_cannot_be_used_is_named(
    shell: Shell, method: str, arguments: dict[str, Any], fault: str
) -> None:
    [said] = shell.app.ask(method, **arguments)["faults"]
    assert said.startswith(fault)
