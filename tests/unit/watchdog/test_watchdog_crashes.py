# SPDX-License-Identifier: Apache-2.0
"""The engine is killed at every step boundary, again and again; no move is lost and none is carried out twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from moving_world import PERIOD_S, SETTLE_S, Killed, World

from hybrid_sched.core.rebalancing.moves import IN_FLIGHT, MoveState
from hybrid_sched.db import Database
from hybrid_sched.db.schema import DRAINED_HOSTS, MOVES, STRATEGIES
from hybrid_sched.interfaces.executor import MoveUnavailable
from hybrid_sched.watchdog.orders import OrderRefused


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Database:
    path: Path = tmp_path_factory.mktemp("crashes") / "test.sqlite"
    database = Database(f"sqlite:///{path}", sqlite_synchronous=False)
    database.sync()
    return database


def fresh_world(database: Database) -> World:
    for table in (MOVES, DRAINED_HOSTS, STRATEGIES):
        database.write(lambda connection, table=table: connection.execute(table.delete()))
    return World(database)


def settle(world: World) -> None:
    """Let all that was begun come to its end."""
    world.meet = lambda _point: None
    world.faults = []
    world.now_s += SETTLE_S
    world.report()
    for _ in range(3):
        world.period()


@pytest.mark.parametrize("boundary", range(24))
@pytest.mark.parametrize("cancels", [False, True])
def test_killed_once_at_any_boundary(shared: Database, boundary: int, cancels: bool) -> None:
    world = fresh_world(shared)
    left = [boundary]

    def meet(_point: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            raise Killed

    world.meet = meet
    killed = False
    for _ in range(3):
        try:
            world.period()
        except Killed:
            killed = True
            world.take_over()
            if cancels:
                for move in world.moves.in_flight():
                    world.orders.cancel(move.uuid)
    assert killed == (boundary < 20)
    world.set(mode="off")
    settle(world)
    [move] = world.ledger() or [None]
    if move is None:
        # Nothing had been planned when the engine died; a new one needs its periods.
        assert world.where()["big"] == ["a"]
        return
    at = {MoveState.DONE: ["b"], MoveState.CANCELLED: ["a"]}[move.state]
    assert world.where()["big"] == at
    assert world.moved[move.uuid] <= 1
    assert world.ports == set()


class Watched(RuleBasedStateMachine):
    """Periods, orders of operators, and kills at boundaries in any order."""

    database: Database

    @initialize()
    def begin(self) -> None:
        self.world = fresh_world(self.database)
        self.gap: int | None = None
        self.begun: set[str] = set()

        def meet(_point: str) -> None:
            if self.gap is not None:
                self.gap -= 1
                if self.gap < 0:
                    self.gap = None
                    raise Killed

        self.world.meet = meet

    def survive(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Killed:
            self.world.take_over()

    @rule(gap=st.integers(0, 12))
    def doom(self, gap: int) -> None:
        self.gap = gap

    @rule()
    def period(self) -> None:
        self.survive(self.world.period)

    @rule(seconds=st.sampled_from([1.0, PERIOD_S / 2, SETTLE_S]), rounds=st.integers(1, 3))
    def rounds(self, seconds: float, rounds: int) -> None:
        self.world.now_s += seconds
        self.world.report()
        self.survive(lambda: self.world.rounds(rounds))

    @rule(task=st.sampled_from(["big", "mid", "small"]), cores=st.sampled_from([0.5, 3.0, 5.0]))
    def load(self, task: str, cores: float) -> None:
        self.world.cores[task] = cores

    @rule()
    def fault(self) -> None:
        self.world.faults.append(MoveUnavailable("It does not answer."))

    @rule()
    def refuse(self) -> None:
        if not any(move.step in {"stopped", "started"} for move in self.world.moves.in_flight()):
            self.world.refusals = ["It cannot."] if not self.world.moves.in_flight() else []

    @rule()
    def apply(self) -> None:
        def work() -> None:
            try:
                self.world.orders.apply(self.world.orders.plan().id)
            except OrderRefused:
                return

        self.survive(work)

    @rule(which=st.integers(0, 2))
    def cancel(self, which: int) -> None:
        going = self.world.moves.in_flight()
        if len(going) > which:
            self.world.orders.cancel(going[which].uuid)

    @rule()
    def restart(self) -> None:
        self.world.take_over()

    @invariant()
    def no_task_runs_twice_or_moves_twice_at_once(self) -> None:
        if not hasattr(self, "world"):
            return
        assert all(len(hosts) <= 1 for hosts in self.world.running.values())
        going = [move.decision.task for move in self.world.moves.in_flight()]
        assert len(going) == len(set(going))

    @invariant()
    def no_move_is_lost(self) -> None:
        if not hasattr(self, "world"):
            return
        known = {move.uuid for move in self.world.ledger()}
        assert self.begun <= known
        self.begun = known

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.refusals = []
        world.set(mode="off")
        settle(world)
        assert all(move.state not in IN_FLIGHT for move in world.ledger())
        assert all(len(hosts) == 1 for hosts in world.running.values()), world.where()
        assert world.ports == set()
        for move in world.ledger():
            if move.state is MoveState.DONE:
                assert world.moved[move.uuid] == 1
            assert world.moved[move.uuid] <= 1
        last = {
            move.decision.task: move.decision.target
            for move in world.ledger()
            if move.state is MoveState.DONE
        }
        assert {task: world.where()[task] for task in last} == {
            task: [host] for task, host in last.items()
        }


def test_no_move_is_lost_and_none_is_carried_out_twice(shared: Database) -> None:
    Watched.database = shared
    run_state_machine_as_test(
        Watched,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
