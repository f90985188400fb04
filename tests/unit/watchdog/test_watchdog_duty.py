# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest
from moving_world import Relocator, World

from hybrid_sched.db.terms import Terms
from hybrid_sched.executors.dry_run import DryRunExecutor
from hybrid_sched.interfaces.executor import MigrationExecutor, Step
from hybrid_sched.watchdog.duty import WatchdogDuty

_LIMIT_S = 30


class SlowRelocator(Relocator):
    """Each step waits until a test lets it go."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.asked = threading.Event()
        self.go = threading.Event()

    def advance(self, move: object) -> Step:
        self.asked.set()
        assert self.go.wait(_LIMIT_S)
        return super().advance(move)


class Running:
    """A duty in its thread, beside a world whose move is planned."""

    def __init__(self, world: World) -> None:
        world.set(mode="off", step_period_s=0.05)
        for _ in range(3):
            world.period()
        world.orders.apply(world.orders.plan().id)
        self.world = world
        self.executor = SlowRelocator(world)
        self.over = threading.Event()
        self.duty = WatchdogDuty(
            world.conf,
            world.term,
            world.database,
            world.engine,
            self.over.set,
            self.make,
            world.clock,
        )

    def make(self, name: str, conf: object) -> MigrationExecutor:
        return self.executor if name == "relocator" else DryRunExecutor(conf)


@pytest.fixture
def running(world: World) -> Running:
    return Running(world)


def test_a_duty_that_ends_finishes_and_writes_the_step_under_way(running: Running) -> None:
    running.duty.start()
    assert running.executor.asked.wait(_LIMIT_S)
    stopper = threading.Thread(target=running.duty.stop)
    stopper.start()
    running.executor.go.set()
    stopper.join(_LIMIT_S)
    assert not stopper.is_alive()
    assert running.world.one().step != ""
    assert not running.over.is_set()


def test_a_deposed_duty_says_so_and_writes_nothing(running: Running) -> None:
    running.duty.start()
    assert running.executor.asked.wait(_LIMIT_S)
    Terms(running.world.database).begin("other", 0.0)
    running.executor.go.set()
    assert running.over.wait(_LIMIT_S)
    running.duty.stop()
    assert running.world.one().step == ""


def test_a_duty_that_was_never_begun_can_be_ended(running: Running) -> None:
    running.duty.stop()
    assert len(running.duty.endpoints) == 1
