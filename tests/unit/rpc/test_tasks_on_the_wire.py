# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.rpc.tasks import LARGEST_SPEC, queued_task_from_wire, queued_task_to_wire
from hybrid_sched.rpc.wire import LARGEST, BadMessage

UUID = "11111111-2222-4333-8444-555555555555"
TASK = QueuedTask(UUID, "db", "hypervisor", Resources(vcpu=1))

names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=255)
seconds = st.floats(0, 2**40)
amounts = st.integers(0, LARGEST - 1) | st.fractions(0, 1000, max_denominator=10**9)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
tasks = st.builds(
    QueuedTask,
    uuid=st.uuids().map(str),
    name=names,
    framework=st.sampled_from(FRAMEWORKS),
    demand=st.builds(Resources, *[amounts] * 6),
    spec=st.dictionaries(st.text(), json_values, max_size=4),
    kind=st.just("") | names,
    priority=st.integers(-1_000_000, 1_000_000),
    position=st.integers(0, LARGEST - 1),
    submitted_at_s=seconds,
    deadline_s=st.none() | seconds,
    after=st.lists(st.uuids().map(str), max_size=3).map(tuple),
    duration_s=st.none() | seconds,
    stop_after_s=st.none() | seconds,
    state=st.sampled_from(TaskState),
    attempts=st.integers(0, 2**31 - 1),
    not_before_s=seconds,
    host=st.just("") | names,
    server=st.just("") | names,
    started_at_s=seconds,
    ended_at_s=seconds,
    cancelling=st.booleans(),
    text=st.just("") | names,
)


@given(tasks)
def test_a_task_comes_back_exactly(task: QueuedTask) -> None:
    assert queued_task_from_wire(json.loads(json.dumps(queued_task_to_wire(task)))) == task


def test_what_has_its_default_is_not_sent() -> None:
    assert queued_task_to_wire(TASK) == {
        "uuid": UUID,
        "name": "db",
        "framework": "hypervisor",
        "demand": {"vcpu": 1},
    }


def test_a_text_of_another_service_is_made_one_short_line() -> None:
    task = replace(TASK, text="It said:\n" + "x" * 5000)
    assert queued_task_from_wire(queued_task_to_wire(task)).text == "It said: " + "x" * 1991


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"uuid": "x"}, "uuid: 'x' is no UUID"),
        ({"uuid": UUID.replace("-", "")}, "uuid: .* is no UUID"),
        ({"uuid": None}, "uuid: None is not a string"),
        ({"name": "a\n"}, "name: .* cannot be printed"),
        ({"framework": "pods"}, "framework: 'pods' is unknown: send hypervisor or container"),
        ({"demand": {"gold": 1}}, "demand: unknown resource 'gold'"),
        ({"spec": []}, r"spec: \[\] is not an object"),
        ({"spec": {"a": "x" * LARGEST_SPEC}}, "spec: 131081 bytes, at most 131072 are taken"),
        ({"spec": {"a": float("nan")}}, "spec: it is not JSON"),
        ({"priority": 10**7}, "priority: 10000000 is not between"),
        ({"after": "a"}, "after: 'a' is not an array"),
        ({"after": ["a"]}, "after: 'a' is no UUID"),
        ({"after": [UUID] * 1001}, "after: 1001 entries, at most 1000 are taken"),
        ({"state": "lost"}, "state: 'lost' is unknown: send one of waiting, launching"),
        ({"attempts": -1}, "attempts: -1 is not between"),
        ({"deadline_s": "soon"}, "deadline_s: 'soon' is not a number"),
        ({"ended_at_s": 1e300}, "ended_at_s: .* is not a finite number"),
        ({"started_at_s": 1e15}, r"started_at_s: 1e\+15 is out of range"),
        ({"cancelling": 1}, "cancelling: 1 is neither true nor false"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadMessage, match=f"^{said}"):
        queued_task_from_wire({**queued_task_to_wire(TASK), **change})


@given(json_values, st.sampled_from([*queued_task_to_wire(TASK), "after", "state"]))
def test_rubbish_is_refused_or_taken_but_never_breaks(rubbish: Any, field: str) -> None:
    for message in (rubbish, {**queued_task_to_wire(TASK), field: rubbish}):
        with contextlib.suppress(BadMessage):
            assert isinstance(queued_task_from_wire(message), QueuedTask)
