# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, Framework, Host, Snapshot, Task
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import messages
from hybrid_sched.rpc.messages import BadMessage, HostReport

REPORT = HostReport(
    host="a",
    boot_id="boot",
    sequence=7,
    capacity=Resources(vcpu=8, memory_mb=1024),
    tasks=(Task("t", CONTAINER, Resources(vcpu=1, memory_mb=64), "web", "running"),),
    measured={"cpu_fraction": 0.25},
    faults=("docker: does not answer",),
    unknown_frameworks=(CONTAINER,),
)
DECISION = Decision(
    request_uuid="r",
    framework=CONTAINER,
    demand=Resources(memory_mb=64),
    stage=Stage.ORDER,
    decided_at_s=1.5,
    snapshot_version=3,
    snapshot_age_s=0.5,
    hosts=("a", "b"),
    refused={"c": "host_room: full"},
    refused_by_share=False,
    text="head",
)


def over_the_wire(message: Any) -> Any:
    return json.loads(json.dumps(message))


def test_a_report_comes_back_as_it_was() -> None:
    wire = over_the_wire(messages.report_to_wire(REPORT))
    assert messages.report_from_wire(wire) == REPORT


def test_a_decision_comes_back_as_it_was() -> None:
    wire = over_the_wire(messages.decision_to_wire(DECISION))
    assert messages.decision_from_wire(wire) == DECISION


def test_a_request_comes_back_as_it_was() -> None:
    request = Request("r", CONTAINER, Resources(vcpu=Fraction(1, 3)), count=2, is_move=True)
    wire = over_the_wire(messages.request_to_wire(request))
    assert messages.request_from_wire(wire) == request


numbers = st.integers(0, 2**40) | st.fractions(0, 1000, max_denominator=1000)
vectors = st.builds(Resources, vcpu=numbers, memory_mb=numbers)


@given(vectors, vectors, numbers, st.booleans())
def test_a_snapshot_comes_back_exactly(
    capacity: Resources, used: Resources, share: Fraction, fresh: bool
) -> None:
    host = Host("a", capacity, Fraction(1, 3), {CONTAINER: used}, task_count=2, fresh=fresh)
    framework = Framework(CONTAINER, 3, used, capacity, share, share, share, share)
    snapshot = Snapshot("e", 1, 2.5, capacity, {"a": host}, {CONTAINER: framework})
    wire = over_the_wire(messages.snapshot_to_wire(snapshot))
    assert messages.snapshot_from_wire(wire) == snapshot


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("host",), None, "host: None is not a string"),
        (("host",), "", "host: is empty"),
        (("host",), "x" * 300, "host: 300 characters, at most 255 are taken"),
        (("sequence",), -1, "sequence: -1 is not between 0 and"),
        (("sequence",), True, "sequence: True is not an integer"),
        (("capacity",), {"gold": 1}, "capacity: unknown resource 'gold'"),
        (("capacity", "vcpu"), -1, "capacity.vcpu: -1 is out of range"),
        (("capacity", "vcpu"), 0.5, "capacity.vcpu: 0.5 is no exact number"),
        (("capacity", "vcpu"), "1/0", "capacity.vcpu: '1/0' divides by zero"),
        (("tasks",), {}, "tasks: {} is not an array"),
        (("tasks", 0, "framework"), 7, "tasks[0].framework: 7 is not a string"),
        (("measured", "cpu_fraction"), float("nan"), "measured.cpu_fraction: nan is not a finite"),
        (("measured", "cpu_fraction"), -0.5, "measured.cpu_fraction: -0.5 is not a finite"),
    ],
)
def test_a_report_that_is_wrong_is_refused_with_the_field(
    path: tuple[Any, ...], value: object, said: str
) -> None:
    wire = copy.deepcopy(messages.report_to_wire(REPORT))
    place: Any = wire
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(BadMessage) as refused:
        messages.report_from_wire(wire)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("name", ["host", "boot_id", "sequence", "capacity", "tasks"])
def test_a_report_without_a_field_is_refused(name: str) -> None:
    wire = messages.report_to_wire(REPORT)
    del wire[name]
    with pytest.raises(BadMessage, match=f"^{name} is missing"):
        messages.report_from_wire(wire)


def test_a_report_with_one_task_twice_is_refused() -> None:
    wire = messages.report_to_wire(REPORT)
    wire["tasks"] *= 2
    with pytest.raises(BadMessage, match=r"^tasks\[1\].uuid: t is there twice"):
        messages.report_from_wire(wire)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_whatever_comes_is_refused_by_a_bad_message_alone(message: object) -> None:
    readers = (messages.report_from_wire, messages.decision_from_wire, messages.request_from_wire)
    for read in readers:
        with pytest.raises(BadMessage):
            read(message)


def test_a_decision_of_an_unknown_stage_is_refused() -> None:
    wire = {**messages.decision_to_wire(DECISION), "stage": "guess"}
    with pytest.raises(BadMessage, match=r"^stage: 'guess' is unknown: send one of "):
        messages.decision_from_wire(wire)
