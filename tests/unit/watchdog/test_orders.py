# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from moving_world import PERIOD_S, World

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.watchdog.orders import OrderRefused


@pytest.fixture
def watching(world: World) -> World:
    """A world that is exhausted, and in which nothing is decided without an order."""
    world.set(mode="off")
    for _ in range(3):
        world.period()
    return world


def test_exactly_the_plan_that_was_shown_is_applied(watching: World) -> None:
    shown = watching.orders.plan()
    assert [(each.decision.task, each.decision.target) for each in shown.moves] == [("big", "b")]
    assert watching.ledger() == []
    applied = watching.orders.apply(shown.id)
    assert [each.uuid for each in applied] == [each.uuid for each in watching.ledger()]
    watching.rounds()
    assert watching.one().plan == shown.id
    assert watching.one().state is MoveState.DONE
    with pytest.raises(OrderRefused, match="it was applied already"):
        watching.orders.apply(shown.id)


def test_a_plan_is_refused_with_the_reason_when_the_world_has_changed(watching: World) -> None:
    shown = watching.orders.plan()
    watching.tasks["big"] = watching.task("big", HYPERVISOR, movable=False)
    watching.now_s += PERIOD_S
    watching.report()
    with pytest.raises(OrderRefused, match=r"changed since plan .*: task big stays: it is not mov"):
        watching.orders.apply(shown.id)
    assert watching.ledger() == []


def test_a_plan_of_which_a_task_left_is_refused_as_a_whole(watching: World) -> None:
    shown = watching.orders.plan(drains="a")
    assert len(shown.moves) == 2
    gone = shown.moves[1].decision.task
    watching.running[gone] = {"c"}
    watching.now_s += PERIOD_S
    watching.report()
    with pytest.raises(OrderRefused, match=f"task {gone} is not on host a any more"):
        watching.orders.apply(shown.id)
    assert watching.ledger() == []
    assert watching.settings.drained() == frozenset()


def test_a_plan_that_is_too_old_or_of_another_engine_is_refused(watching: World) -> None:
    shown = watching.orders.plan()
    watching.now_s += 901
    with pytest.raises(OrderRefused, match="is 901 s old, and plans are valid for 900 s"):
        watching.orders.apply(shown.id)
    watching.take_over()
    with pytest.raises(OrderRefused, match="another engine leads now; make a new one"):
        watching.orders.apply(shown.id)


def test_an_unknown_strategy_and_an_unknown_host_are_named(watching: World) -> None:
    with pytest.raises(OrderRefused, match="strategy: there is no plug-in 'gone'"):
        watching.orders.plan("gone")
    with pytest.raises(OrderRefused, match="host z is unknown; there are a, b, c"):
        watching.orders.plan(drains="z")


def test_a_drained_host_is_emptied_a_few_tasks_at_once_and_stays_empty(watching: World) -> None:
    watching.orders.apply(watching.orders.plan(drains="a").id)
    for _ in range(3):
        watching.period()
    assert all(hosts != ["a"] for hosts in watching.where().values())
    assert len(watching.ledger()) == 3
    watching.take_over()
    assert watching.orders.status().drained == ("a",)


def test_a_host_that_is_drained_no_longer_keeps_what_has_not_left(watching: World) -> None:
    watching.orders.apply(watching.orders.plan(drains="a").id)
    cancelled = watching.orders.undrain("a")
    assert {each.state for each in cancelled} == {MoveState.CANCELLED}
    assert len(cancelled) == 2
    for _ in range(2):
        watching.period()
    assert watching.where() == {"big": ["a"], "mid": ["a"], "small": ["a"]}
    with pytest.raises(OrderRefused, match="host a is not drained"):
        watching.orders.undrain("a")


def test_a_planned_move_is_cancelled_at_once_and_one_that_has_ended_is_not(
    watching: World,
) -> None:
    watching.orders.apply(watching.orders.plan().id)
    [cancelled] = watching.orders.cancel(watching.one().plan)
    assert cancelled.state is MoveState.CANCELLED
    watching.rounds()
    assert watching.where()["big"] == ["a"]
    with pytest.raises(OrderRefused, match="has ended: it is cancelled"):
        watching.orders.cancel(cancelled.uuid)
    with pytest.raises(OrderRefused, match="there is no move or plan gone"):
        watching.orders.cancel("gone")


def test_what_somebody_else_moves_just_now_is_left_alone(watching: World) -> None:
    watching.running["big"] = {"a", "b"}
    watching.report()
    shown = watching.orders.plan()
    assert "big" not in [each.decision.task for each in shown.moves]


def test_a_strategy_that_is_on_is_not_switched_on(watching: World) -> None:
    with pytest.raises(OrderRefused, match="strategy relieve is not switched off"):
        watching.orders.enable("relieve")


def test_excluded_tasks_and_those_without_an_executor_are_in_no_plan(watching: World) -> None:
    watching.set(excluded=["big"])
    assert watching.orders.plan().moves[0].decision.task == "mid"
    watching.set(excluded=[], executors={CONTAINER: "relocator"})
    assert watching.orders.plan().moves[0].decision.task == "mid"


def test_a_plan_that_was_shown_before_the_watchdog_runs_dry_moves_nothing(watching: World) -> None:
    shown = watching.orders.plan()
    watching.set(mode="dry_run")
    with pytest.raises(OrderRefused, match="mode or executors have changed since plan"):
        watching.orders.apply(shown.id)
    assert watching.ledger() == []
