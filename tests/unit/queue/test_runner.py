# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from fake_cloud import Killed
from queue_worlds import PERIOD_S, SETTLE_S, World

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.queued import QueuedTask, QueuePlan, TaskState
from hybrid_sched.db.terms import Deposed
from hybrid_sched.interfaces.launcher import CloudUnavailable, Launched, LaunchFault, Phase
from hybrid_sched.queue.runner import QueueRunner


def test_tasks_of_both_frameworks_are_launched_where_planned_and_deleted_when_they_have_ended(
    world: World,
) -> None:
    guests = world.add("one", "two")
    containers = world.add("three", framework=CONTAINER)
    world.rounds()
    assert [world.state(uuid) for uuid in guests + containers] == [TaskState.LAUNCHING] * 3
    assert world.task(guests[0]).server == "server-1"
    world.rounds()
    running = world.task(guests[0])
    assert (running.state, running.host) == (TaskState.RUNNING, "h1")
    assert running.started_at_s == world.now_s - PERIOD_S
    world.until_all_ended()
    assert world.guests.asked == [("one", "h1"), ("two", "h1")]
    assert world.containers.asked == [("three", "h1")]
    assert [world.state(uuid) for uuid in guests + containers] == [TaskState.DONE] * 3
    assert world.guests.servers == world.containers.servers == {}


def test_a_task_is_launching_in_the_database_before_its_service_is_asked(world: World) -> None:
    [uuid] = world.add("one")
    seen: list[QueuedTask] = []

    def at(point: str) -> None:
        if point == "launch before":
            seen.append(world.task(uuid))

    world.guests.at = at
    world.rounds()
    assert [(each.state, each.host, each.attempts, each.server) for each in seen] == [
        (TaskState.LAUNCHING, "h1", 1, "")
    ]


def test_what_found_no_room_is_deleted_and_waits_longer_each_time_without_being_counted(
    world: World,
) -> None:
    world.guests.room = 0
    world.options(max_attempts=1)
    [uuid] = world.add("one")
    pauses = []
    for _ in range(60):
        before = len(world.guests.asked)
        world.rounds()
        task = world.task(uuid)
        assert task.state in {TaskState.WAITING, TaskState.LAUNCHING}
        if len(world.guests.asked) > before:
            pauses.append(world.now_s)
        elif task.state is TaskState.WAITING:
            assert task.attempts == 0
            assert task.text.startswith("No valid host was found. It is launched again after")
    gaps = [after - before for before, after in pairwise(pauses)]
    assert len(gaps) >= 3
    assert all(later >= 2 * earlier - PERIOD_S for earlier, later in pairwise(gaps))
    world.guests.room = 1
    world.until_all_ended()
    assert world.state(uuid) is TaskState.DONE


def test_the_pause_of_a_task_begins_small_again_after_it_ran(world: World) -> None:
    world.guests.room = 0
    [uuid] = world.add("one")
    world.rounds(10)
    world.guests.room = 1
    world.until_all_ended()
    assert world.state(uuid) is TaskState.DONE
    assert not world.runner._failures


def test_other_faults_are_tried_again_until_the_attempts_are_used_up(world: World) -> None:
    broken = Launched("", Phase.FAILED, text="The disk is full.")
    refused = LaunchFault("Nova is busy.", again=True)
    [uuid] = world.add("one")
    world.guests.faults["one"] = [broken, refused, broken]
    world.until_all_ended()
    task = world.task(uuid)
    assert task.state is TaskState.FAILED
    assert task.text == "None of 3 launches succeeded; the last: The disk is full."
    world.settle()
    assert world.guests.servers == {}


def test_a_request_that_can_never_succeed_fails_at_once(world: World) -> None:
    [uuid] = world.add("one")
    world.guests.faults["one"] = [LaunchFault("image: there is none.", again=False)]
    world.rounds()
    assert (world.state(uuid), world.task(uuid).text) == (TaskState.FAILED, "image: there is none.")


def test_want_of_quota_is_no_failure(world: World) -> None:
    world.options(max_attempts=1)
    [uuid] = world.add("one")
    world.guests.faults["one"] = [LaunchFault("Quota.", again=True, no_room=True)] * 4
    world.until_all_ended()
    assert world.state(uuid) is TaskState.DONE


def test_a_container_that_ends_with_a_code_has_failed_and_is_deleted(world: World) -> None:
    [uuid] = world.add("one", framework=CONTAINER)
    world.rounds(2)
    world.containers.set(uuid, phase=Phase.ENDED, exit_code=3)
    world.rounds(2)
    assert world.state(uuid) is TaskState.FAILED
    assert world.task(uuid).text == "It ended with exit code 3."
    assert world.containers.servers == {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phase": Phase.FAILED, "text": "The host burnt."}, "The host burnt."),
        ({"phase": Phase.GONE}, "It was deleted while it ran, and not by the queue."),
    ],
)
def test_what_breaks_after_it_ran_is_not_launched_again(
    world: World, change: dict[str, object], said: str
) -> None:
    [uuid] = world.add("one")
    world.rounds(2)
    world.guests.set(uuid, **change)
    world.rounds(2)
    assert (world.state(uuid), world.task(uuid).text) == (TaskState.FAILED, said)
    assert len(world.guests.asked) == 1


def test_what_is_to_be_kept_is_not_deleted(world: World) -> None:
    kept, failed = world.add("one", "two", spec={"keep": True})
    world.rounds(2)
    world.guests.set(failed, phase=Phase.ENDED, exit_code=1)
    world.until_all_ended()
    world.settle()
    assert [world.state(kept), world.state(failed)] == [TaskState.DONE, TaskState.FAILED]
    assert len(world.guests.servers) == 2
    world.take_over()
    world.settle()
    assert len(world.guests.servers) == 2


def test_a_task_is_stopped_when_it_has_run_as_long_as_declared(world: World) -> None:
    world.guests.lasts = 10_000
    [uuid] = world.add("one", stop_after_s=4 * PERIOD_S)
    world.until_all_ended()
    task = world.task(uuid)
    assert task.state is TaskState.DONE
    assert 4 * PERIOD_S <= task.ended_at_s - task.started_at_s <= 6 * PERIOD_S
    assert world.guests.servers == {}


def test_what_is_not_built_in_time_is_launched_anew(world: World) -> None:
    world.options(launch_timeout_s=4 * PERIOD_S)
    [uuid] = world.add("one")
    world.guests.faults["one"] = [Launched("", Phase.BUILDING)]
    world.guests.tick = lambda: None  # type: ignore[method-assign]
    world.rounds(6)
    assert world.task(uuid).text.startswith("It was not built within 20 s.")
    del world.guests.tick
    world.until_all_ended()
    assert world.state(uuid) is TaskState.DONE


def until(state: TaskState) -> Callable[[World, str], None]:
    def run(world: World, uuid: str) -> None:
        while world.state(uuid) is not state:
            world.rounds()

    return run


def lost(world: World, uuid: str) -> None:
    """Leave a launching task without a server: the engine is killed between its request and the answer."""

    def die(point: str) -> None:
        if point == "launch before":
            raise Killed

    world.guests.at = die
    with pytest.raises(Killed):
        world.rounds()
    world.guests.at = lambda _point: None
    world.take_over()


def answer_lost(world: World, uuid: str) -> None:
    """The same, with a server that was made."""

    def die(point: str) -> None:
        if point == "launch after":
            raise Killed

    world.guests.at = die
    with pytest.raises(Killed):
        world.rounds()
    world.guests.at = lambda _point: None
    world.take_over()


@pytest.mark.parametrize(
    "reach",
    [
        until(TaskState.WAITING),
        until(TaskState.LAUNCHING),
        until(TaskState.RUNNING),
        until(TaskState.ENDING),
        lost,
        answer_lost,
    ],
)
def test_a_task_can_be_cancelled_in_every_state(
    world: World, reach: Callable[[World, str], None]
) -> None:
    [uuid] = world.add("one")
    reach(world, uuid)
    asked = len(world.guests.asked)
    world.store.cancel(uuid, world.term, world.now_s)
    world.until_all_ended()
    world.settle()
    assert world.state(uuid) is TaskState.CANCELLED
    assert world.task(uuid).ended_at_s > 0
    assert world.guests.servers == {}
    assert len(world.guests.asked) == asked


def test_a_task_that_was_cancelled_after_it_ended_stays_as_it_is(world: World) -> None:
    [uuid] = world.add("one")
    world.until_all_ended()
    world.store.cancel(uuid, world.term, world.now_s)
    world.rounds(2)
    assert world.state(uuid) is TaskState.DONE


def test_what_a_killed_engine_launched_is_found_and_not_launched_again(world: World) -> None:
    [uuid] = world.add("one")
    answer_lost(world, uuid)
    world.pass_time()
    world.rounds()
    assert (world.state(uuid), world.task(uuid).server) == (TaskState.RUNNING, "server-1")
    world.until_all_ended()
    assert world.guests.ran == [uuid]


def test_a_launch_that_left_nothing_is_repeated_once_it_must_have_arrived(world: World) -> None:
    world.options(max_attempts=1)
    [uuid] = world.add("one")
    lost(world, uuid)
    began_s = world.now_s
    while not world.guests.asked:
        world.rounds()
    assert world.now_s - began_s >= SETTLE_S
    world.until_all_ended()
    assert (world.state(uuid), world.guests.ran) == (TaskState.DONE, [uuid])


def test_of_two_servers_of_a_task_the_oldest_is_kept(world: World) -> None:
    [uuid] = world.add("one")
    answer_lost(world, uuid)
    world.now_s += 1
    world.guests.late = [world.task(uuid)]
    world.guests.arrive()
    assert len(world.guests.alive(uuid)) == 2
    world.rounds()
    assert [each.launched.uuid for each in world.guests.alive(uuid)] == ["server-1"]
    world.until_all_ended()
    assert world.state(uuid) is TaskState.DONE


@pytest.mark.parametrize("ended", [False, True])
def test_a_request_that_arrives_after_the_task_has_its_server_is_undone(
    world: World, ended: bool
) -> None:
    world.guests.lasts = 4
    [uuid] = world.add("one")
    world.rounds(2)
    if ended:
        world.until_all_ended()
    world.guests.late = [world.task(uuid)]
    world.guests.arrive()
    world.rounds()
    assert [each.launched.uuid for each in world.guests.alive(uuid)] == (
        [] if ended else ["server-1"]
    )
    world.until_all_ended()
    assert world.state(uuid) is TaskState.DONE


def test_a_server_with_a_key_that_nobody_knows_is_left_alone(world: World) -> None:
    [uuid] = world.add("one")
    stranger = replace(world.task(uuid), uuid="somebody")
    world.guests.late = [stranger]
    world.guests.arrive()
    world.until_all_ended()
    world.settle()
    assert [each.launched.key for each in world.guests.servers.values()] == ["somebody"]


def test_a_service_that_is_down_leaves_its_tasks_and_is_named_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    guests = world.add("one", "two", "three")
    [container] = world.add("four", framework=CONTAINER)
    world.rounds(2)
    later = world.add("five")
    world.guests.down = True
    world.guests.tick = lambda: None  # type: ignore[method-assign]
    before = [world.task(uuid) for uuid in guests + later]
    caplog.set_level(logging.INFO)
    world.rounds(10)
    assert [world.task(uuid) for uuid in guests + later] == before
    assert world.state(container) is TaskState.DONE
    assert caplog.text.count("stay as they are: The cloud is down.") == 1
    world.guests.down = False
    del world.guests.tick
    world.until_all_ended()
    assert "The service of framework hypervisor answers again." in caplog.text
    assert [world.state(uuid) for uuid in guests + later] == [TaskState.DONE] * 4


def test_a_service_that_goes_down_between_launches_is_not_asked_for_the_others(
    world: World,
) -> None:
    one, *others = world.add("one", "two", "three")
    launch = world.guests.launch
    asked = []

    def fail(task: QueuedTask, host: str) -> str:
        asked.append(task.name)
        raise CloudUnavailable("The cloud is down.")

    world.guests.launch = fail  # type: ignore[method-assign]
    world.rounds()
    assert asked == ["one"]
    assert world.state(one) is TaskState.LAUNCHING
    assert [(world.state(u), world.task(u).attempts) for u in others] == [
        (TaskState.WAITING, 0)
    ] * 2
    world.guests.launch = launch  # type: ignore[method-assign]
    world.until_all_ended()
    assert world.guests.ran.count(one) == 1


def test_launches_that_would_come_late_are_not_sent(world: World) -> None:
    one, two = world.add("one", "two")

    def at(point: str) -> None:
        if point == "launch after":
            world.now_s += SETTLE_S

    world.guests.at = at
    world.runner.run_round()
    assert world.guests.asked == [("one", "h1")]
    assert (world.state(one), world.state(two)) == (TaskState.LAUNCHING, TaskState.WAITING)


def test_launches_begin_in_the_order_of_the_plan_also_with_several_threads(world: World) -> None:
    world.options(launch_threads=4)
    names = [f"t{number:02}" for number in range(30)]
    world.add(*names)
    world.rounds()
    assert sorted(name for name, _ in world.guests.asked) == names
    for position, (name, _) in enumerate(world.guests.asked):
        assert abs(position - names.index(name)) < 4


def test_a_deposed_runner_writes_and_sends_nothing_more(world: World) -> None:
    [uuid] = world.add("one")
    old = world.runner
    world.take_over()
    with pytest.raises(Deposed):
        old.run_round()
    assert world.guests.asked == []
    assert world.state(uuid) is TaskState.WAITING


def test_a_runner_that_is_deposed_between_its_launches_sends_no_more(world: World) -> None:
    world.add("one", "two")
    old = world.runner

    def at(point: str) -> None:
        if point == "look before":
            world.terms.begin("other", world.now_s)

    world.guests.at = at
    with pytest.raises(Deposed):
        old.run_round()
    assert world.guests.asked == []


def test_a_task_whose_framework_has_no_credentials_waits(world: World) -> None:
    [uuid] = world.add("one")
    world.launchers.pop(HYPERVISOR)
    world.rounds(2)
    assert world.state(uuid) is TaskState.WAITING
    assert "must set [nova] auth_type" in world.planner.blocked[uuid]


def test_what_the_planner_calls_hopeless_fails_with_its_sentence(world: World) -> None:
    [uuid] = world.add("one")
    world.planner.doomed[uuid] = "Its deadline is over."
    world.rounds()
    assert (world.state(uuid), world.task(uuid).text) == (TaskState.FAILED, "Its deadline is over.")
    assert world.guests.asked == []


def test_tasks_that_ended_long_ago_are_forgotten(world: World) -> None:
    world.options(forget_after_s=1000)
    [uuid] = world.add("one")
    world.until_all_ended()
    world.now_s += 2000
    world.rounds()
    assert world.store.get(uuid) is None


def test_a_queue_that_is_empty_asks_nobody_after_a_while(world: World) -> None:
    world.settle()
    asked: list[str] = []
    world.guests.at = asked.append
    world.rounds(3)
    assert asked == []
    assert isinstance(world.runner, QueueRunner)
    assert world.runner.newest_plan == QueuePlan()
