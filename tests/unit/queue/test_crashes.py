# SPDX-License-Identifier: Apache-2.0
"""The engine is killed at any point, again and again; what it was told to run runs once all the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_cloud import Killed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from queue_worlds import World

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.db import Database
from hybrid_sched.db.schema import QUEUED_TASKS
from hybrid_sched.db.tasks import TaskStore


class FragileStore(TaskStore):
    """The real store, of which each write may be the last thing that a program does, before or after it."""

    def __init__(self, database: Database, fate: Fate) -> None:
        super().__init__(database)
        self._fate = fate

    def update(self, task: QueuedTask, expected: TaskState, term: int) -> bool:
        self._fate.meet("write before")
        written = super().update(task, expected, term)
        self._fate.meet("write after")
        return written


@dataclass
class Fate:
    """When the program is killed.

    :param gaps: points that are passed before each time.
    """

    gaps: list[int]
    killed: int = 0

    def meet(self, _point: str) -> None:
        if not self.gaps:
            return
        if self.gaps[0] > 0:
            self.gaps[0] -= 1
            return
        self.gaps.pop(0)
        self.killed += 1
        raise Killed


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Database:
    path: Path = tmp_path_factory.mktemp("crashes") / "test.sqlite"
    database = Database(f"sqlite:///{path}", sqlite_synchronous=False)
    database.sync()
    return database


def fresh_world(database: Database, gaps: list[int], room: int) -> tuple[World, Fate]:
    database.write(lambda connection: connection.execute(QUEUED_TASKS.delete()))
    world = World(database, room=room)
    fate = Fate(gaps)
    world.store = FragileStore(database, fate)
    for cloud in (world.guests, world.containers):
        cloud.at = fate.meet
    world.take_over()
    return world, fate


_SETTINGS = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@_SETTINGS
@given(
    gaps=st.lists(st.integers(0, 25), max_size=10),
    guests=st.integers(1, 4),
    containers=st.integers(0, 3),
    room=st.integers(1, 5),
)
def test_each_task_runs_exactly_once_however_often_the_engine_is_killed(
    shared: Database, gaps: list[int], guests: int, containers: int, room: int
) -> None:
    world, fate = fresh_world(shared, list(gaps), room)
    uuids = world.add(*(f"g{number}" for number in range(guests)))
    uuids += world.add(*(f"c{number}" for number in range(containers)), framework=CONTAINER)
    world.survive(400)
    fate.gaps = []
    world.settle()
    assert {world.state(uuid) for uuid in uuids} == {TaskState.DONE}
    # Nothing arrives late here, so that no task ever had two.
    assert max(world.guests.most_alive, world.containers.most_alive) == 1
    assert sorted(world.guests.ran + world.containers.ran) == sorted(uuids)
    assert world.guests.servers == world.containers.servers == {}


@_SETTINGS
@given(
    gaps=st.lists(st.integers(0, 25), max_size=6),
    when=st.integers(0, 8),
    room=st.integers(1, 3),
)
def test_a_cancelled_task_leaves_nothing_however_often_the_engine_is_killed(
    shared: Database, gaps: list[int], when: int, room: int
) -> None:
    world, fate = fresh_world(shared, list(gaps), room)
    first, second = world.add("one", "two")
    for _ in range(when):
        try:
            world.rounds()
        except Killed:
            world.pass_time()
            world.take_over()
    before = world.state(first)
    world.store.cancel(first, world.term, world.now_s)
    world.survive(400)
    fate.gaps = []
    world.settle()
    assert world.state(first) is (before if before.is_final else TaskState.CANCELLED)
    assert world.state(second) is TaskState.DONE
    assert world.guests.servers == {}


@_SETTINGS
@given(gaps=st.lists(st.integers(0, 12), min_size=1, max_size=4), delay=st.integers(0, 12))
def test_a_request_that_arrives_at_any_time_after_its_engine_died_leaves_one_server(
    shared: Database, gaps: list[int], delay: int
) -> None:
    world, fate = fresh_world(shared, [], room=10)
    world.guests.lasts = 20
    [uuid] = world.add("one")
    sent = []

    def die_on_the_way(point: str) -> None:
        if point == "launch before" and not sent:
            sent.append(world.task(uuid))
            raise Killed
        fate.meet(point)

    world.guests.at = die_on_the_way
    fate.gaps = list(gaps)
    for step in range(200):
        if step == delay:
            world.guests.late = list(sent)
            world.guests.arrive()
        if step > delay and not world.store.unfinished():
            break
        try:
            world.rounds()
        except Killed:
            world.pass_time()
            world.take_over()
    fate.gaps = []
    world.settle()
    assert world.state(uuid) is TaskState.DONE
    assert world.guests.servers == {}
