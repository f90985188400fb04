# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from queues import queued

from hybrid_sched.core.queue_order import find_cycle, order_queue
from hybrid_sched.core.queued import TaskState


def test_priority_comes_first_then_the_deadline_then_who_came_first() -> None:
    tasks = [
        queued("late", 1, position=4),
        queued("early", 1, position=3),
        queued("due-later", 1, deadline_s=300, position=1),
        queued("due-sooner", 1, deadline_s=200, position=2),
        queued("important", 1, priority=1, position=5),
        queued("unimportant", 1, priority=-1, deadline_s=100),
    ]
    ready = order_queue(tasks, {}, now_s=0).ready
    assert [task.name for task in ready] == [
        "important",
        "due-sooner",
        "due-later",
        "early",
        "late",
        "unimportant",
    ]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (TaskState.WAITING, "It comes after first (waiting)."),
        (TaskState.LAUNCHING, "It comes after first (launching)."),
        (TaskState.RUNNING, "It comes after first (running)."),
        (TaskState.ENDING, "It comes after first (ending)."),
    ],
)
def test_a_task_waits_until_all_that_it_comes_after_are_done(state: TaskState, text: str) -> None:
    task = queued("task", 1, after=("done", "first"))
    order = order_queue([task], {"done": TaskState.DONE, "first": state}, now_s=0)
    assert order.waits == {"task": text}
    assert not order.ready
    done = dict.fromkeys(("done", "first"), TaskState.DONE)
    assert order_queue([task], done, now_s=0).ready == (task,)


def test_many_dependencies_are_not_all_named() -> None:
    task = queued("task", 1, after=tuple("abcde"))
    order = order_queue([task], dict.fromkeys("abcde", TaskState.RUNNING), now_s=0)
    assert order.waits["task"] == "It comes after a (running), b (running), c (running) and 2 more."


@pytest.mark.parametrize(
    ("states", "text"),
    [
        ({"b": TaskState.FAILED}, "It comes after task b, which failed."),
        ({"b": TaskState.CANCELLED}, "It comes after task b, which was cancelled."),
        ({}, "It comes after task b, which is not in the queue."),
    ],
)
def test_what_comes_after_a_task_that_will_never_be_done_can_never_start(
    states: dict[str, TaskState], text: str
) -> None:
    task = queued("task", 1, after=("a", "b"))
    order = order_queue([task], {"a": TaskState.RUNNING, **states}, now_s=0)
    assert order.impossible == {"task": text}
    assert not order.ready
    assert not order.waits


def test_a_deadline_that_has_passed_is_told_even_of_a_task_that_waits_for_another() -> None:
    tasks = [
        queued("now", 1, deadline_s=100),
        queued("past", 1, deadline_s=99),
        queued("dependent", 1, deadline_s=99, after=("now",)),
    ]
    order = order_queue(tasks, {"now": TaskState.WAITING}, now_s=100)
    assert [task.name for task in order.ready] == ["now"]
    assert order.expired.keys() == {"past", "dependent"}
    assert order.expired["past"] == (
        "It had not started by its deadline, 1970-01-01 00:01:39 UTC: declare it again with a later one or a larger priority."
    )


def test_a_task_whose_launch_failed_waits_for_its_next_attempt() -> None:
    task = queued("task", 1, attempts=2, not_before_s=160)
    assert order_queue([task], {}, now_s=159).waits == {
        "task": "Its launch failed (attempt 2) and is tried again at 1970-01-01 00:02:40 UTC."
    }
    assert order_queue([task], {}, now_s=160).ready == (task,)


def test_a_task_that_is_being_cancelled_is_left_out() -> None:
    assert order_queue([queued("task", 1, cancelling=True)], {}, now_s=0) == order_queue([], {}, 0)


@pytest.mark.parametrize(
    ("after", "cycle"),
    [
        ({}, ()),
        ({"a": ["b"], "b": ["c"]}, ()),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ()),
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ("b", "c", "b")),
        ({"x": ["y"], "a": ["x", "b"], "b": ["a"]}, ("a", "b", "a")),
    ],
)
def test_a_cycle_is_named(after: dict[str, list[str]], cycle: tuple[str, ...]) -> None:
    assert find_cycle(after) == cycle


def test_chains_may_be_long() -> None:
    after = {str(i): [str(i + 1)] for i in range(20_000)}
    assert find_cycle(after) == ()
    assert len(find_cycle({**after, "20000": ["0"]})) == 20_002


@given(st.dictionaries(st.integers(0, 8), st.lists(st.integers(0, 8), max_size=3)))
def test_a_cycle_is_found_exactly_where_there_is_one(graph: dict[int, list[int]]) -> None:
    after = {str(task): [str(each) for each in before] for task, before in graph.items()}
    cycle = find_cycle(after)
    assert all(later in after[task] for task, later in itertools.pairwise(cycle))
    if cycle:
        assert cycle[0] == cycle[-1]
        return
    # Without a cycle, tasks can be done one after the other.
    left = {task: set(before) & after.keys() for task, before in after.items()}
    while left:
        able = [task for task, before in left.items() if not before & left.keys()]
        assert able
        for task in able:
            del left[task]
