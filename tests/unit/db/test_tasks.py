# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_sched.core.queued import FINAL_STATES, QueuedTask, TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.schema import QUEUED_TASKS
from hybrid_sched.db.tasks import SORT_KEYS, TaskStore
from hybrid_sched.db.terms import Deposed, Terms

FIRST = QueuedTask(
    uuid="first",
    name="db",
    framework="hypervisor",
    demand=Resources(vcpu=Fraction(3, 7), memory_mb=512),
    spec={"flavor": "m1.small", "networks": ["private"]},
    kind="m1.small cirros",
)
SECOND = replace(FIRST, uuid="second", name="worker", framework="container", after=("first",))

amounts = st.one_of(st.integers(0, 2**62), st.fractions(0, 2**40, max_denominator=10**6))
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=255)
times = st.floats(0, 4e9)
lengths = st.none() | st.floats(0, 1e7)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ids = st.text("0123456789abcdef", max_size=64)
any_task = st.builds(
    QueuedTask,
    uuid=st.just(""),
    name=names,
    framework=names,
    demand=st.builds(Resources, *[amounts] * len(Resources._fields)),
    spec=st.dictionaries(st.text(), json_values, max_size=4),
    kind=names,
    priority=st.integers(-(2**31), 2**31 - 1),
    submitted_at_s=times,
    deadline_s=st.none() | times,
    after=st.lists(st.uuids().map(str), max_size=3).map(tuple),
    duration_s=lengths,
    stop_after_s=lengths,
    state=st.sampled_from(TaskState),
    attempts=st.integers(0, 1000),
    not_before_s=times,
    host=names,
    server=names,
    started_at_s=times,
    ended_at_s=times,
    cancelling=st.booleans(),
    text=names,
    project_id=ids,
    user_id=ids,
    trust_id=ids,
)


@pytest.fixture
def term(database: Database) -> int:
    return Terms(database).begin("test", 1.0)


@pytest.fixture
def store(database: Database) -> TaskStore:
    return TaskStore(database)


def uuids(tasks: list[QueuedTask]) -> list[str]:
    return [task.uuid for task in tasks]


def ended(uuid: str, started_at_s: float, ended_at_s: float, **changes: object) -> QueuedTask:
    task = replace(FIRST, uuid=uuid, started_at_s=started_at_s, ended_at_s=ended_at_s)
    return replace(task, **{"state": TaskState.DONE, **changes})


@given(task=any_task)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_added_comes_back_exactly(database: Database, task: QueuedTask):
    task = replace(task, uuid=str(uuid4()))
    store = TaskStore(database)
    store.add([task], Terms(database).begin("test", 1.0))
    found = TaskStore(database).get(task.uuid)
    assert found is not None
    assert replace(found, position=0) == task


def test_positions_follow_the_arrival_and_a_second_sending_changes_nothing(
    store: TaskStore, term: int
):
    store.add([SECOND], term)
    store.update(replace(SECOND, state=TaskState.RUNNING, host="a"), TaskState.WAITING, term)
    store.add([FIRST, replace(SECOND, priority=9), FIRST, replace(FIRST, uuid="third")], term)
    assert [(task.uuid, task.position) for task in store.list()] == [
        ("second", 1),
        ("first", 2),
        ("third", 3),
    ]
    assert (store.get("second").state, store.get("second").priority) == (TaskState.RUNNING, 0)
    store.add([], term)
    assert store.get("unknown") is None


def test_many_are_added_and_listed_page_by_page(store: TaskStore, term: int):
    many = [replace(FIRST, uuid=f"{number:04}", name=f"n{number % 3}") for number in range(1200)]
    store.add(many, term)
    store.add(many, term)
    pages, marker = [], None
    while page := store.list(limit=500, marker=marker):
        pages.append(len(page))
        marker = page[-1].position
    assert pages == [500, 500, 200]
    assert uuids(store.list(name="n1", limit=2)) == ["0001", "0004"]
    assert uuids(store.list(uuids=["0007", "0003", "none"])) == ["0003", "0007"]
    assert len(store.states_of([*uuids(many), "none"])) == 1200
    assert store.count_unfinished() == 1200


def test_tasks_are_found_by_their_states(store: TaskStore, term: int):
    store.add([replace(FIRST, uuid=state.value, state=state) for state in TaskState], term)
    found = store.list(states=[TaskState.RUNNING, TaskState.FAILED])
    assert {task.state for task in found} == {TaskState.RUNNING, TaskState.FAILED}
    assert store.list(states=[]) == []
    unfinished = store.unfinished()
    assert {task.state for task in unfinished} == set(TaskState) - FINAL_STATES
    assert [task.position for task in unfinished] == sorted(task.position for task in unfinished)
    assert store.count_unfinished() == len(unfinished)
    assert store.states_of(["done", "unknown"]) == {"done": TaskState.DONE}


def test_an_update_is_written_only_over_the_state_that_was_known(store: TaskStore, term: int):
    store.add([FIRST], term)
    launching = replace(
        FIRST,
        state=TaskState.LAUNCHING,
        attempts=1,
        not_before_s=5.5,
        host="a",
        server="s",
        started_at_s=6.5,
        ended_at_s=7.5,
        text="Its turn.",
        position=1,
    )
    assert store.update(launching, TaskState.RUNNING, term) is False
    assert store.get("first") == replace(FIRST, position=1)
    assert store.update(launching, TaskState.WAITING, term) is True
    assert store.get("first") == launching
    assert (
        store.update(replace(launching, state=TaskState.RUNNING), TaskState.WAITING, term) is False
    )
    assert store.get("first") == launching
    # What was sent again because the answer to the commit was lost has been written.
    assert store.update(launching, TaskState.WAITING, term) is True
    assert store.update(replace(launching, uuid="none"), TaskState.WAITING, term) is False


def test_a_task_that_waits_is_cancelled_at_once_and_then_not_started(store: TaskStore, term: int):
    store.add([FIRST], term)
    cancelled = store.cancel("first", term, 7.25)
    assert cancelled == store.get("first")
    assert (cancelled.state, cancelled.cancelling, cancelled.ended_at_s, cancelled.text) == (
        TaskState.CANCELLED,
        True,
        7.25,
        "Cancelled by its owner before it started.",
    )
    start = replace(FIRST, state=TaskState.LAUNCHING)
    assert store.update(start, TaskState.WAITING, term) is False
    assert store.cancel("unknown", term, 8.0) is None


def test_a_task_that_has_begun_is_told_to_end_and_keeps_being_told(store: TaskStore, term: int):
    store.add([replace(FIRST, state=TaskState.LAUNCHING)], term)
    told = store.cancel("first", term, 7.25)
    assert (told.state, told.cancelling, told.ended_at_s) == (TaskState.LAUNCHING, True, 0)
    assert store.update(replace(FIRST, state=TaskState.RUNNING), TaskState.LAUNCHING, term)
    assert store.get("first").cancelling is True


def test_a_task_that_has_ended_stays_as_it_is(store: TaskStore, term: int):
    done = ended("a", 1, 2, position=1)
    store.add([done], term)
    assert store.cancel("a", term, 7.25) == done


def test_nothing_of_an_old_term_is_written(database: Database, store: TaskStore, term: int):
    store.add([FIRST], term)
    Terms(database).begin("other", 2.0)
    for write in (
        lambda: store.add([SECOND], term),
        lambda: store.update(replace(FIRST, host="a"), TaskState.WAITING, term),
        lambda: store.cancel("first", term, 3.0),
        lambda: store.forget(9e9, term),
    ):
        with pytest.raises(Deposed):
            write()
    assert store.list() == [replace(FIRST, position=1)]


def test_durations_are_of_the_newest_that_are_done_by_framework_and_kind(
    store: TaskStore, term: int
):
    store.add(
        [
            ended("a", 100, 110),
            ended("b", 100, 130),
            ended("c", 100, 120),
            ended("d", 100, 107, framework="container"),
            ended("e", 100, 108, kind="other"),
            ended("f", 100, 109, state=TaskState.FAILED),
            ended("g", 0, 140),
        ],
        term,
    )
    assert store.ended_durations(2) == {
        ("hypervisor", FIRST.kind): (30, 20),
        ("container", FIRST.kind): (7,),
        ("hypervisor", "other"): (8,),
    }
    assert store.ended_durations(9, since_s=120) == {("hypervisor", FIRST.kind): (30, 20)}


def test_what_ended_long_ago_is_forgotten_unless_somebody_waits_for_it(store: TaskStore, term: int):
    store.add(
        [
            ended("old", 1, 10),
            ended("needed", 1, 10),
            ended("new", 1, 20),
            ended("needed by one that ended", 1, 10),
            ended("waited", 1, 10, after=("needed by one that ended",)),
            replace(FIRST, uuid="waits", after=("needed", "new")),
        ],
        term,
    )
    assert store.forget(15, term) == 3
    assert uuids(store.list()) == ["needed", "new", "waits"]
    assert store.forget(15, term) == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [("demand", '{"gpu": 1}'), ("spec", "no json"), ("after", "1"), ("state", "lost")],
)
def test_a_row_that_cannot_be_read_is_named(
    database: Database, store: TaskStore, term: int, column: str, value: str
):
    store.add([FIRST], term)
    statement = QUEUED_TASKS.update().values({column: value})
    database.write(lambda connection: connection.execute(statement))
    with pytest.raises(
        DatabaseError, match=rf"queued task first has a {column} .*: delete its row"
    ):
        store.list()


def test_tasks_that_were_there_in_some_time_are_found(store: TaskStore, term: int):
    tasks = [replace(FIRST, uuid=name, submitted_at_s=at_s) for name, at_s in (("a", 1), ("b", 5))]
    store.add([*tasks, replace(FIRST, uuid="c", submitted_at_s=9)], term)
    assert store.update(
        replace(FIRST, uuid="a", state=TaskState.DONE, started_at_s=2, ended_at_s=4),
        TaskState.WAITING,
        term,
    )
    assert uuids(store.between(4, 9)) == ["a", "b"]
    assert uuids(store.between(4.5, 9.5)) == ["b", "c"]
    assert uuids(store.between(0, 1)) == []


def test_tasks_are_given_by_owner_and_server(store: TaskStore, term: int) -> None:
    tasks = [
        replace(FIRST, uuid="a", project_id="p1", server="s1"),
        replace(FIRST, uuid="b", project_id="p2", server="s2"),
        replace(FIRST, uuid="c"),
    ]
    store.add(tasks, term)
    assert uuids(store.list(project_id="p1")) == ["a"]
    assert uuids(store.list(project_id="")) == ["c"]
    assert uuids(store.list(servers=["s2", "s9"])) == ["b"]
    assert store.states_of(["a", "b"], "p1").keys() == {"a"}


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("key", SORT_KEYS)
def test_pages_in_any_order_give_each_task_once(
    store: TaskStore, term: int, key: str, descending: bool
) -> None:
    tasks = [
        replace(
            FIRST,
            uuid=f"{number}",
            name=f"n{number % 3}",
            priority=number % 2,
            submitted_at_s=float(number % 4),
        )
        for number in range(12)
    ]
    store.add(tasks, term)
    found: list[QueuedTask] = []
    marker = None
    while page := store.list(limit=5, marker=marker, sort_key=key, descending=descending):
        found += page
        marker = page[-1].position
    expected = sorted(
        store.list(),
        key=lambda task: (getattr(task, key), task.position),
        reverse=descending,
    )
    assert found == expected


def test_trusts_are_spent_when_all_their_tasks_have_ended(store: TaskStore, term: int) -> None:
    store.add(
        [
            ended("a", 1, 10, trust_id="t1"),
            ended("b", 1, 20, trust_id="t1"),
            ended("c", 1, 5, trust_id="t2", framework="container"),
            replace(FIRST, uuid="d", trust_id="t2"),
            ended("e", 1, 5),
        ],
        term,
    )
    assert store.spent_trusts(15) == []
    assert store.spent_trusts(21) == ["t1"]
    assert store.trusted_accounts() == [
        ("container", "t2"),
        ("hypervisor", "t1"),
        ("hypervisor", "t2"),
    ]
    assert store.forget(1000, term) == 1
    store.forget_trust("t1", term)
    assert store.spent_trusts(1000) == []
    assert store.forget(1000, term) == 2
