# SPDX-License-Identifier: Apache-2.0
"""The queue and its endpoint on a real database."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.resources import NOTHING, Resources
from hybrid_sched.db import Database
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.queue.endpoint import QueueEndpoint
from hybrid_sched.queue.tasks import BadTask, TaskQueue
from hybrid_sched.rpc.tasks import queued_task_from_wire, queued_task_to_wire

NOW_S = 1_760_000_000.5
DEMANDS = {"m1.small": Resources(vcpu=1, memory_mb=2048), None: Resources(vcpu=1, memory_mb=256)}
BOX = {"image": "busybox"}


def guest(name: str, flavor: str = "m1.small", **changes: Any) -> QueuedTask:
    task = QueuedTask(
        uuid=str(uuid4()),
        name=name,
        framework="hypervisor",
        demand=NOTHING,
        spec={"flavor": flavor, "image": "cirros"},
        kind="k",
    )
    return replace(task, **changes)


def box(name: str, **changes: Any) -> QueuedTask:
    return guest(name, framework="container", **{"spec": BOX, **changes})


class FakeOutlook:
    """What a plan says, as values."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def waits(self) -> dict[str, str]:
        return self.said

    def estimate(self, task: QueuedTask) -> str:
        return f"about 40 s, from 7 tasks of kind {task.kind}"


class Desk:
    """An endpoint whose queue knows one flavor."""

    def __init__(self, database: Database) -> None:
        self.term = Terms(database).begin("test", 1.0)
        self.store = TaskStore(database)
        self.resolved: list[str] = []
        self.queue = TaskQueue(self.store, self.term, self._resolve, most=5, clock=lambda: NOW_S)
        self.outlook = FakeOutlook()
        self.endpoint = QueueEndpoint(self.queue, self.outlook)

    def _resolve(self, task: QueuedTask) -> QueuedTask:
        self.resolved.append(task.name)
        flavor = task.spec.get("flavor")
        if flavor not in DEMANDS:
            raise BadTask(f"server.flavor: there is no flavor {flavor!r}: name one that Nova has.")
        return replace(task, demand=DEMANDS[flavor])

    def ask(self, call: str, **arguments: Any) -> Any:
        """Call it as over the bus."""
        answer = getattr(self.endpoint, call)({}, **json.loads(json.dumps(arguments)))
        return json.loads(json.dumps(answer))

    def submit(self, *tasks: QueuedTask) -> list[str]:
        return self.ask("submit_tasks", tasks=[queued_task_to_wire(task) for task in tasks])[
            "faults"
        ]

    def names(self, **arguments: Any) -> list[str]:
        return [task["name"] for task in self.ask("tasks", **arguments)["tasks"]]


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_tasks_are_taken_on_as_declared_with_their_demand(desk: Desk) -> None:
    first = guest("a", priority=3, deadline_s=9.0, duration_s=1.0, stop_after_s=2.0)
    told = replace(
        first, state=TaskState.DONE, attempts=4, host="h", server="s", cancelling=True, text="x"
    )
    second = box("bb", after=(first.uuid,), demand=Resources(vcpu=99), submitted_at_s=1.0)
    assert desk.submit(told, second) == []
    text = "It has arrived and waits to be planned."
    assert desk.store.list() == [
        replace(first, demand=DEMANDS["m1.small"], submitted_at_s=NOW_S, position=1, text=text),
        replace(second, demand=DEMANDS[None], submitted_at_s=NOW_S, position=2, text=text),
    ]


def test_what_is_sent_again_changes_nothing_and_asks_for_no_flavor(desk: Desk) -> None:
    tasks = [guest("a"), box("bb")]
    assert desk.submit(*tasks) == desk.submit(*tasks) == desk.submit(tasks[0], tasks[0]) == []
    assert desk.resolved == ["a", "bb"]
    assert len(desk.store.list()) == 2


def test_each_flavor_and_size_is_asked_for_once(desk: Desk) -> None:
    large = box("large", spec={**BOX, "cpu": 2})
    assert desk.submit(guest("a"), guest("b"), box("cc"), box("dd"), large) == []
    assert sorted(desk.resolved) == ["a", "cc", "large"]


def test_when_one_cannot_be_taken_none_is(desk: Desk) -> None:
    lost = str(uuid4())
    faults = desk.submit(
        guest("a"),
        guest("b", spec={"flavor": "m1.small", "disk": 1}),
        box("c", spec={"image": "busybox", "cpu": "1"}),
        box("dd", after=(lost,)),
    )
    assert faults == [
        "b.server.disk: this field is unknown: the fields are flavor, image, networks, availability_zone, key_name, user_data, "
        "metadata, security_groups, keep",
        "b.server.image: it is missing: add it",
        "c.container.cpu: '1' is not a number: write it without quotes and units",
        "c.name: 'c' is no name of a container: give 2 to 255 letters, digits and _ . -, a letter or digit first",
        f"dd.after: there is no task {lost}: give a name in the file, or a UUID of `task list --all`",
    ]
    assert desk.resolved == []
    assert desk.submit(guest("a"), guest("b", "huge")) == [
        "b: server.flavor: there is no flavor 'huge': name one that Nova has"
    ]
    assert desk.store.list() == []


def test_tasks_that_wait_for_each_other_are_refused(desk: Desk) -> None:
    one, two = (guest(name, uuid=str(UUID(int=n))) for n, name in enumerate("ab"))
    tasks = replace(one, after=(two.uuid,)), replace(two, after=(one.uuid,))
    [fault] = desk.submit(*tasks)
    assert fault.startswith("tasks: 'a' waits for 'b', which waits for 'a': take one of them")


def test_a_task_may_wait_for_one_that_came_before(desk: Desk) -> None:
    first = guest("a")
    desk.submit(first)
    desk.ask("cancel_task", uuid=first.uuid)
    assert desk.submit(guest("b", after=(first.uuid,))) == []


def test_a_queue_that_is_full_takes_no_more(desk: Desk) -> None:
    tasks = [guest(str(number)) for number in range(5)]
    assert desk.submit(*tasks) == []
    [fault] = desk.submit(guest("x"), tasks[0])
    assert fault.startswith("tasks: 5 are in the queue and 1 more come: the queue takes 5; wait")
    desk.ask("cancel_task", uuid=tasks[0].uuid)
    assert desk.submit(guest("x")) == []


def test_tasks_are_listed_by_position_in_short_and_one_is_told_in_full(desk: Desk) -> None:
    one, two, three = guest("a"), box("bb"), guest("a")
    desk.submit(one, replace(two, after=(one.uuid,)), three)
    desk.ask("cancel_task", uuid=one.uuid)
    assert desk.names() == ["a", "bb", "a"]
    assert desk.names(states=["waiting"]) == ["bb", "a"]
    assert desk.names(limit=1) == ["a"]
    assert desk.names(marker=1, limit=1) == ["bb"]
    assert desk.names(name="a", marker=1) == ["a"]
    assert desk.names(uuids=[two.uuid, str(uuid4())]) == ["bb"]
    [short] = desk.ask("tasks", name="bb")["tasks"]
    assert not {"spec", "after"} & short.keys()
    full = queued_task_from_wire(desk.ask("task", uuid=two.uuid)["task"])
    assert full == desk.store.get(two.uuid)
    assert (full.after, full.spec) == ((one.uuid,), BOX)
    assert desk.ask("task", uuid=str(uuid4())) == {"task": None}


def test_a_task_is_cancelled(desk: Desk) -> None:
    task = guest("a")
    desk.submit(task)
    told = queued_task_from_wire(desk.ask("cancel_task", uuid=task.uuid)["task"])
    assert (told.state, told.ended_at_s) == (TaskState.CANCELLED, NOW_S)
    assert desk.ask("cancel_task", uuid=str(uuid4())) == {"task": None}


@pytest.mark.parametrize(
    ("call", "arguments", "fault"),
    [
        ("submit_tasks", {"tasks": 5}, "tasks: 5 is not an array"),
        ("submit_tasks", {"tasks": [5]}, "tasks[0].task: 5 is not an object with names"),
        ("submit_tasks", {"tasks": [{"uuid": "x"}]}, "tasks[0].framework: None is not a string"),
        ("tasks", {"states": "waiting"}, "states: 'waiting' is not an array"),
        ("tasks", {"states": ["lost"]}, "states: 'lost' is unknown: send some of waiting, "),
        ("tasks", {"limit": 0}, "limit: 0 is not between 1 and 1000"),
        ("tasks", {"marker": "a"}, "marker: 'a' is not an integer"),
        ("tasks", {"name": ""}, "name: is empty"),
        ("tasks", {"uuids": ["a"]}, "uuids: 'a' is no UUID"),
        ("tasks", {"uuids": ["a"] * 501}, "uuids: 501 entries, at most 500 are taken"),
        ("task", {"uuid": None}, "uuid: None is not a string"),
        ("cancel_task", {"uuid": "a"}, "uuid: 'a' is no UUID"),
    ],
)
def test_what_cannot_be_used_is_told(
    desk: Desk, call: str, arguments: dict[str, Any], fault: str
) -> None:
    [told] = desk.ask(call, **arguments)["faults"]
    assert told.startswith(fault)


def test_not_all_of_many_faults_are_told(desk: Desk) -> None:
    faults = desk.ask("submit_tasks", tasks=[5] * 150)["faults"]
    assert len(faults) == 101
    assert faults[-1] == "and 50 more"


def test_an_old_leader_takes_nothing_on(desk: Desk, database: Database) -> None:
    Terms(database).begin("other", 2.0)
    with pytest.raises(Deposed):
        desk.queue.submit([guest("a")])
    with pytest.raises(Deposed):
        desk.queue.cancel(str(uuid4()))
    assert desk.store.list() == []


def test_a_task_that_waits_tells_why_by_the_newest_plan(desk: Desk):
    waits, runs = guest("waits"), guest("runs")
    assert desk.submit(waits, runs) == []
    stored = desk.store.get(runs.uuid)
    assert desk.store.update(
        replace(stored, state=TaskState.RUNNING, text="It runs."), TaskState.WAITING, desk.term
    )
    desk.outlook.said = {waits.uuid: "It waits for the share.", runs.uuid: "Stale."}
    assert [task["text"] for task in desk.ask("tasks")["tasks"]] == [
        "It waits for the share.",
        "It runs.",
    ]
    shown = desk.ask("task", uuid=waits.uuid)
    assert shown["task"]["text"] == "It waits for the share."
    assert shown["estimate"] == "about 40 s, from 7 tasks of kind k"
    ended = replace(desk.store.get(runs.uuid), state=TaskState.DONE)
    assert desk.store.update(ended, TaskState.RUNNING, desk.term)
    assert desk.ask("task", uuid=runs.uuid)["estimate"] == ""


@pytest.mark.parametrize(("keep", "faults"), [(True, 0), (False, 0), ("yes", 1)])
def test_what_is_kept_is_said_with_true_or_false(desk: Desk, keep: object, faults: int):
    kept = guest("kept", spec={"flavor": "m1.small", "image": "cirros", "keep": keep})
    said = desk.submit(kept)
    assert len(said) == faults
    assert all("kept.server.keep" in fault for fault in said)
