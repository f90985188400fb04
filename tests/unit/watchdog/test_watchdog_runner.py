# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest
from moving_world import PERIOD_S, SETTLE_S, World
from prometheus_client import CollectorRegistry

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.db import Database
from hybrid_sched.db.terms import Deposed
from hybrid_sched.interfaces.executor import MoveUnavailable
from hybrid_sched.watchdog.metrics import WatchdogCollector


def test_an_exhausted_host_is_relieved_within_three_periods_and_no_move_follows(
    world: World,
) -> None:
    for _ in range(3):
        world.period()
    move = world.one()
    assert (move.state, move.step) == (MoveState.DONE, "cleaned")
    assert (move.decision.task, move.decision.source, move.decision.target) == ("big", "a", "b")
    assert "host a is exhausted: 90% of its vcpu, above 80%" in move.decision.reason
    assert (move.strategy, move.executor) == ("relieve", "relocator")
    assert world.where() == {"big": ["b"], "mid": ["a"], "small": ["a"]}
    assert world.ports == set()
    for _ in range(60):
        world.period()
    assert world.one() == replace(move, measured=world.one().measured)


def test_cooldowns_hold_over_a_restart(world: World) -> None:
    for _ in range(3):
        world.period()
    world.cores["big"] = 9.0
    world.take_over()
    for _ in range(10):
        world.period()
    assert len(world.ledger()) == 1
    assert any("cooldown" in each.reason for each in world.runner.left_alone)


def test_each_step_is_in_the_ledger_before_the_next_is_begun(world: World) -> None:
    seen = []

    def look(point: str) -> None:
        if point == "step before":
            seen.append((world.one().state.value, world.one().step, dict(world.one().details)))

    world.meet = look
    for _ in range(3):
        world.period()
    port = {"port": world.one().uuid}
    assert seen == [
        ("running", "", {}),
        ("running", "prepared", port),
        ("running", "stopped", port),
        ("running", "started", port),
    ]


def test_off_decides_nothing_and_dry_run_moves_nothing(world: World) -> None:
    world.set(mode="off")
    for _ in range(4):
        world.period()
    assert world.ledger() == []
    world.set(mode="dry_run")
    world.period()
    move = world.one()
    assert (move.state, move.executor) == (MoveState.DONE, "dry_run")
    assert world.where()["big"] == ["a"]
    # What was never moved does not hold back what is.
    world.set(mode="on")
    world.period()
    assert world.where()["big"] == ["b"]


def test_tasks_of_a_framework_without_an_executor_stay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.set(executors={CONTAINER: "relocator", HYPERVISOR: "missing"})
    for _ in range(3):
        world.period()
    assert world.one().decision.task == "mid"
    assert caplog.text.count("missing cannot be used: there is no plug-in 'missing'") == 1


def test_a_decision_that_holds_no_longer_is_not_begun(world: World) -> None:
    world.set(mode="off")
    for _ in range(2):
        world.period()
    world.orders.apply(world.orders.plan().id)
    world.tasks["big"] = world.task("big", HYPERVISOR, movable=False)
    world.period()
    move = world.one()
    assert move.state is MoveState.CANCELLED
    assert "the cluster has changed: task big stays" in move.text
    assert world.moved == {}


def test_a_service_that_is_away_is_asked_again_after_a_pause(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.faults = [MoveUnavailable("Nova does not answer."), RuntimeError("broken")]
    for _ in range(2):
        world.period()
    move = world.one()
    assert (move.state, move.step) == (MoveState.RUNNING, "")
    assert "waits: Nova does not answer." in caplog.text
    world.rounds(3)
    assert len(world.faults) == 1
    world.now_s += 10
    world.rounds(3)
    assert "A step of move" in caplog.text
    world.now_s += 10
    world.rounds()
    assert world.one().state is MoveState.DONE


def test_a_failed_move_is_forgotten_and_the_task_looked_at_again(world: World) -> None:
    world.refusals = ["libvirt refuses it."]
    for _ in range(2):
        world.period()
    assert (world.one().state, world.one().text) == (MoveState.FAILED, "libvirt refuses it.")
    world.period()
    first, second = world.ledger()
    assert first.decision.task == second.decision.task == "big"
    assert second.state is MoveState.DONE


def test_a_running_move_is_cancelled_by_undoing_it(world: World) -> None:
    world.period()
    world.now_s += PERIOD_S
    world.report()
    for _ in range(2):
        world.runner.run_round()
    # The next step is done and not written yet.
    assert world.one().step == "prepared"
    assert world.where()["big"] == []
    [noted] = world.orders.cancel(world.one().uuid)
    assert noted.cancelling
    world.rounds()
    assert (world.one().state, world.one().step) == (MoveState.CANCELLED, "undone")
    assert world.where()["big"] == ["a"]
    assert world.ports == set()


def test_a_move_that_takes_too_long_is_undone_or_ended(world: World) -> None:
    world.wait_s = 1e5
    for _ in range(2):
        world.period()
    assert world.one().step == "started"
    world.wait_s = 0.0
    world.now_s += 2e5
    world.set(mode="off")
    world.report()
    world.rounds()
    # It was too late to undo it.
    assert world.one().cancelling
    assert world.one().state is MoveState.DONE


def test_a_new_leader_leaves_what_another_began_alone_until_it_has_settled(world: World) -> None:
    world.wait_s = 5.0
    for _ in range(2):
        world.period()
    assert world.one().step == "started"
    world.take_over()
    world.now_s += SETTLE_S - 1
    world.rounds()
    assert world.one().step == "started"
    world.now_s += 1
    world.rounds()
    assert world.one().state is MoveState.DONE


def test_a_leader_whose_term_is_over_begins_no_step(world: World) -> None:
    world.wait_s = 5.0
    for _ in range(2):
        world.period()
    world.terms.begin("other", world.now_s)
    world.now_s += 6
    with pytest.raises(Deposed):
        world.rounds()
    assert world.ports != set()


def test_the_measured_effect_is_kept_beside_the_predicted_one(world: World) -> None:
    for _ in range(3):
        world.period()
    world.set(mode="off")
    for _ in range(16):
        world.period()
    move = world.one()
    assert move.measured is not None
    assert move.decision.effect.source_after == pytest.approx(0.5)
    assert move.measured.source_after == pytest.approx(0.5, abs=0.02)
    assert move.measured.target_after == pytest.approx(0.4, abs=0.02)


def test_a_strategy_that_is_wrong_three_times_in_a_row_switches_itself_off(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(
        database,
        task_cooldown_s=0.0,
        host_cooldown_s=0.0,
        measure_after_s=2 * PERIOD_S,
        short_half_life_s=1.0,
        long_half_life_s=1.0,
    )
    for each in ("mid", "small"):
        world.tasks[each] = world.task(each, HYPERVISOR, movable=False)

    def let_it_move() -> int:
        world.running["big"], world.rest["a"] = {"a"}, 0.0
        for _ in range(4):
            world.period()
            if world.where()["big"] != ["a"]:
                break
        # Whatever leaves, its host is as full as before.
        world.rest["a"] = 5.0
        for _ in range(3):
            world.period()
        return sum(move.measured is not None for move in world.ledger())

    for number in range(1, 4):
        assert world.orders.status().off == {}
        assert let_it_move() == number
    text = world.orders.status().off["relieve"]
    assert "has switched itself off" in text
    assert text in caplog.text
    world.take_over()
    assert let_it_move() == 3
    world.orders.enable("relieve")
    assert let_it_move() == 4
    # It begins to count anew.
    assert world.orders.status().off == {}


def test_a_task_that_fails_again_and_again_makes_room_for_another(world: World) -> None:
    world.refusals = ["It cannot be moved."] * 2
    for _ in range(4):
        world.period()
    assert [(each.decision.task, each.state) for each in world.ledger()] == [
        ("big", MoveState.FAILED),
        ("big", MoveState.FAILED),
        ("mid", MoveState.DONE),
    ]


def test_groups_of_tasks_stay_apart_though_their_service_does_not_answer_for_a_while(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.start_rival("b")
    world.apart = (frozenset({"big", "rival"}),)
    world.period()
    world.apart = MoveUnavailable("Nova does not answer.")
    for _ in range(2):
        world.period()
    assert world.one().decision.target == "c"
    assert caplog.text.count("have to be apart: Nova does not answer.") == 1


def test_nothing_goes_to_a_host_on_which_its_service_puts_no_task(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.closed = {"b": "its nova-compute is disabled"}
    world.period()
    world.closed = MoveUnavailable("Nova does not answer.")
    for _ in range(2):
        world.period()
    assert world.one().decision.target == "c"
    assert caplog.text.count("take no more tasks: Nova does not answer.") == 1


def test_and_it_is_said_when_no_other_is_left(world: World) -> None:
    world.closed = dict.fromkeys(("b", "c"), "its nova-compute is disabled")
    for _ in range(3):
        world.period()
    assert world.ledger() == []
    [alone] = world.runner.left_alone
    assert "b, c: its nova-compute is disabled" in alone.reason


def test_a_decision_whose_target_is_closed_by_then_is_not_begun(world: World) -> None:
    world.set(mode="off")
    for _ in range(2):
        world.period()
    world.orders.apply(world.orders.plan().id)
    world.closed = {world.one().decision.target: "its nova-compute is down"}
    world.period()
    assert world.one().state is MoveState.CANCELLED
    assert world.moved == {}


def test_moves_are_counted_for_prometheus(world: World) -> None:
    registry = CollectorRegistry()
    registry.register(WatchdogCollector(world.runner))

    def figure(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"hybrid_sched_{name}", labels)

    assert figure("imbalance_score") is None
    seen = []

    def look(point: str) -> None:
        if point == "step before":
            seen.append(figure("moves_in_flight", state="planned"))

    world.meet = look
    for _ in range(3):
        world.period()
    ended = {"strategy": "relieve", "framework": HYPERVISOR}
    assert figure("ended_moves_total", **ended, state="done") == 1
    assert seen[0] == 1
    assert figure("moves_in_flight", state="planned") == 0
    assert figure("hosts_left_alone") == 0
    assert (figure("imbalance_score") or 0) > 0
