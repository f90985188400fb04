# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import copy
import json
import struct
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.hardware import Hardware
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import messages
from hybrid_sched.rpc.isolation import OOM_KILL, HostEvent, IsolationReport
from hybrid_sched.rpc.messages import BadMessage, HostReport

REPORT = HostReport(
    host="a",
    boot_id="boot",
    sequence=7,
    sampled_at_s=1_700_000_000.25,
    capacity=Resources(vcpu=8, memory_mb=1024),
    cpus=2,
    memory_mb=1536,
    hardware=Hardware("Xeon", "DDR4"),
    tasks=(
        Task("t", CONTAINER, Resources(vcpu=1, memory_mb=64), "web", "running"),
        Task("u", HYPERVISOR, Resources(vcpu=Fraction(1, 2))),
        Task("v", CONTAINER, Resources(vcpu=1), promised=Resources(vcpu=Fraction(1, 4))),
        Task("w", CONTAINER, Resources(vcpu=1, memory_mb=1), promised=Resources()),
    ),
    measured={"cpu_cores": 0.25},
    task_measured={"t": {"cpu_cores": 0.125, "memory_used_mb": 12.5}, "u": {"cpu_cores": 1.0}},
    squeezed={CONTAINER: Fraction(1, 3)},
    faults=("docker: does not answer",),
    isolation=IsolationReport(
        "enforce",
        applied={"cpus": 3},
        repaired={"memory_mb": 1},
        pending={"net_in_bps": 2},
        missing=("cgroup: no cpu controller",),
        events=(HostEvent("t", OOM_KILL, 12.5),),
    ),
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


def packed(*figures: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(figures)}d", *figures)).decode()


def over_the_wire(message: Any) -> Any:
    return json.loads(json.dumps(message))


def test_a_promise_that_is_the_demand_is_not_sent() -> None:
    demand = Resources(vcpu=1, memory_mb=64)
    task = Task("t", CONTAINER, demand, promised=demand)
    wire = messages.report_to_wire(replace(REPORT, tasks=(task,)))
    report = messages.report_from_wire(over_the_wire(wire))
    assert report.tasks == (replace(task, promised=None),)
    assert "promised" not in wire["tasks"][0]


def test_figures_of_tasks_are_packed_in_the_order_of_the_tasks() -> None:
    nan = float("nan")
    assert messages.report_to_wire(REPORT)["task_measured"] == {
        "names": ["cpu_cores", "memory_used_mb"],
        "table": packed(0.125, 12.5, 1.0, nan, nan, nan, nan, nan),
    }


def test_a_report_comes_back_as_it_was() -> None:
    wire = over_the_wire(messages.report_to_wire(REPORT))
    assert messages.report_from_wire(wire) == REPORT


def test_a_decision_comes_back_as_it_was() -> None:
    wire = over_the_wire(messages.decision_to_wire(DECISION))
    assert messages.decision_from_wire(wire) == DECISION


@pytest.mark.parametrize("weights", [(), (Fraction(7, 2), 3, 0, -1, Fraction(-1, 3))])
def test_the_weights_of_a_decision_come_back_signed_and_exact(weights: tuple) -> None:
    hosts = tuple(f"host{number}" for number in range(len(weights)))
    told = replace(DECISION, hosts=hosts, weights=weights, more_hosts=4, more_refused=9)
    assert messages.decision_from_wire(over_the_wire(messages.decision_to_wire(told))) == told


def test_a_decision_of_an_earlier_release_has_no_weights() -> None:
    wire = messages.decision_to_wire(DECISION)
    old = {
        name: wire[name] for name in wire if name not in {"weights", "more_hosts", "more_refused"}
    }
    assert messages.decision_from_wire(old) == DECISION


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1, 2], "weights: 2 for 1 hosts: send one each or none"),
        (["--1"], "weights: '-1' is no exact number"),
        ([0.5], "weights: 0.5 is no exact number"),
        ([-(2**63)], r"weights: an integer of 2\*\*63 or more is out of range"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(weights: list, said: str) -> None:
    wire = messages.decision_to_wire(replace(DECISION, hosts=("a",)))
    with pytest.raises(BadMessage, match=f"^{said}"):
        messages.decision_from_wire({**wire, "weights": weights})


def test_a_request_comes_back_as_it_was() -> None:
    request = Request("r", CONTAINER, Resources(vcpu=Fraction(1, 3)), count=2, is_move=True)
    wire = over_the_wire(messages.request_to_wire(request))
    assert messages.request_from_wire(wire) == request


numbers = st.integers(0, 2**40) | st.fractions(0, 1000, max_denominator=1000)
vectors = st.builds(Resources, vcpu=numbers, memory_mb=numbers)


LONG = "x" * 3000


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("host",), None, "host: None is not a string"),
        (("host",), "", "host: is empty"),
        (("host",), "x" * 300, "host: 300 characters, at most 255 are taken"),
        (("host",), "a\nb", "host: 'a\\nb' has characters that cannot be printed"),
        (("boot_id",), 7, "boot_id: 7 is not a string"),
        (("boot_id",), "", "boot_id: is empty"),
        (("sequence",), -1, "sequence: -1 is not between 0 and"),
        (("sequence",), True, "sequence: True is not an integer"),
        (("sequence",), 2**53 + 1, "sequence: 9007199254740993 is not between 0 and"),
        (("sampled_at_s",), None, "sampled_at_s: None is not a number"),
        (("sampled_at_s",), -1, "sampled_at_s: -1 is not a finite number of 0 or more"),
        (("sampled_at_s",), float("inf"), "sampled_at_s: inf is not a finite number"),
        (("capacity",), {"gold": 1}, "capacity: unknown resource 'gold'"),
        (("capacity",), 8, "capacity: 8 is not an object with names"),
        (("capacity", "vcpu"), -1, "capacity.vcpu: -1 is out of range"),
        (("capacity", "vcpu"), 0.5, "capacity.vcpu: 0.5 is no exact number"),
        (("capacity", "vcpu"), "1/0", "capacity.vcpu: '1/0' divides by zero"),
        (("cpus",), 0, "cpus: 0 is not between 1 and"),
        (("cpus",), 2.0, "cpus: 2.0 is not an integer"),
        (("cpus",), 2**30, "cpus: 1073741824 is not between 1 and"),
        (("memory_mb",), 0, "memory_mb: 0 is not between 1 and"),
        (("memory_mb",), "1536", "memory_mb: '1536' is not an integer"),
        (("hardware",), "Xeon", "hardware: 'Xeon' is not an object with names"),
        (("hardware", "cpu_model"), 7, "hardware.cpu_model: 7 is not a string"),
        (("hardware", "cpu_model"), LONG, "hardware.cpu_model: 3000 characters, at most 255"),
        (("hardware", "memory_kind"), None, "hardware.memory_kind: None is not a string"),
        (("tasks",), {}, "tasks: {} is not an array"),
        (("tasks",), [{}] * 10_001, "tasks: 10001 entries, at most 10000 are taken"),
        (("tasks", 0), "t", "tasks[0].task: 't' is not an object with names"),
        (("tasks", 0, "uuid"), "", "tasks[0].uuid: is empty"),
        (("tasks", 1, "framework"), 7, "tasks[1].framework: 7 is not a string"),
        (("tasks", 0, "demand"), 7, "tasks[0].demand: 7 is not an object with names"),
        (("tasks", 0, "demand", "vcpu"), -1, "tasks[0].demand.vcpu: -1 is out of range"),
        (("tasks", 0, "name"), 7, "tasks[0].name: 7 is not a string"),
        (("tasks", 0, "state"), "x" * 65, "tasks[0].state: 65 characters, at most 64"),
        (("tasks", 0, "framework"), "pods", "tasks[0].framework: 'pods' is unknown: send"),
        (("tasks", 0, "created_at_s"), -1, "tasks[0].created_at_s: -1 is not a finite"),
        (("tasks", 0, "movable"), 1, "tasks[0].movable: 1 is neither true nor false"),
        (("task_measured",), 7, "task_measured: 7 is not an object with names"),
        (("task_measured", "names"), 7, "task_measured.names: 7 is not an array"),
        (("task_measured", "names", 0), "", "task_measured.names: is empty"),
        (("task_measured", "table"), [], "task_measured.table: is not a string"),
        (
            ("task_measured", "table"),
            "AAAA",
            "task_measured.table: 4 characters are not the base64 of 4 tasks with 2 figures each",
        ),
        (("task_measured", "table"), "-" * 88, "task_measured.table: is no base64"),
        (("task_measured", "table"), "é" * 88, "task_measured.table: is no base64"),
        (("task_measured", "table"), "A" * 88, "task_measured.table: is 66 bytes and not 64"),
        (
            ("task_measured", "table"),
            packed(0.125, 12.5, 1.0, float("inf"), 1.0, 1.0, 1.0, 1.0),
            "task_measured.memory_used_mb of task u: inf is not a finite",
        ),
        (
            ("task_measured", "table"),
            packed(0.125, 12.5, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
            "task_measured.cpu_cores of task u: -1.0 is not a finite",
        ),
        (
            ("task_measured", "table"),
            packed(0.125, 12.5, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0**63),
            "task_measured.memory_used_mb of task w: 9.2",
        ),
        (("measured",), [], "measured: [] is not an object with names"),
        (("measured",), {str(n): 1 for n in range(65)}, "measured: 65 figures, at most 64"),
        (("measured", "cpu_cores"), float("nan"), "measured.cpu_cores: nan is not a finite"),
        (("measured", "cpu_cores"), -0.5, "measured.cpu_cores: -0.5 is not a finite"),
        (("measured", "cpu_cores"), "1", "measured.cpu_cores: '1' is not a number"),
        (("measured", "x" * 65), 1, "measured.name: 65 characters, at most 64 are taken"),
        (("squeezed",), [CONTAINER], "squeezed: ['container'] is not an object with names"),
        (("squeezed", CONTAINER), 0.5, "squeezed.container: 0.5 is no exact number"),
        (("squeezed", CONTAINER), -1, "squeezed.container: -1 is out of range"),
        (("squeezed", CONTAINER), "3/2", "squeezed.container: '3/2' is more than 1"),
        (("squeezed", ""), 1, "squeezed: is empty"),
        (("faults",), "down", "faults: 'down' is not an array"),
        (("faults",), [LONG], "faults: 3000 characters, at most 2000 are taken"),
        (("faults",), ["x"] * 33, "faults: 33 entries, at most 32 are taken"),
        (("isolation",), "on", "isolation: 'on' is not an object with names"),
        (("isolation", "mode"), 7, "isolation.mode: 7 is not a string"),
        (("isolation", "applied", "cpus"), -1, "isolation.applied.cpus: -1 is not between 0 and"),
        (("isolation", "repaired", "memory_mb"), 0.5, "isolation.repaired.memory_mb: 0.5 is not"),
        (("isolation", "pending"), [1], "isolation.pending: [1] is not an object with names"),
        (
            ("isolation", "pending"),
            {str(n): 1 for n in range(65)},
            "isolation.pending: 65 aspects, at most 64 are taken",
        ),
        (("isolation", "missing"), ["x"] * 33, "isolation.missing: 33 entries, at most 32"),
        (("isolation", "missing", 0), "", "isolation.missing: is empty"),
        (("isolation", "events"), [{}] * 51, "isolation.events: 51 entries, at most 50 are"),
        (("isolation", "events", 0), {"uuid": "t"}, "isolation.events.kind is missing"),
        (("isolation", "events", 0, "uuid"), 7, "isolation.events.uuid: 7 is not a string"),
        (("isolation", "events", 0, "at_s"), "now", "isolation.events.at_s: 'now' is not a number"),
        (("unknown_frameworks",), [7], "unknown_frameworks: 7 is not a string"),
        (("unknown_frameworks",), {}, "unknown_frameworks: {} is not an array"),
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


def test_a_reader_takes_tasks_as_read_only_while_they_stay_the_same() -> None:
    reader = messages.ReportReader()
    wire = over_the_wire(messages.report_to_wire(REPORT))
    first = reader.read(wire)
    assert reader.read(over_the_wire(wire)).tasks is first.tasks
    # Another host's tasks are its own, and a change of any field is seen.
    other = over_the_wire({**wire, "host": "b", "tasks": wire["tasks"][:1], "task_measured": {}})
    assert len(reader.read(other).tasks) == 1
    changed = over_the_wire(wire)
    changed["tasks"][0]["state"] = "exited"
    assert reader.read(changed).tasks[0].state == "exited"
    broken = over_the_wire(changed)
    broken["tasks"][0]["uuid"] = ""
    for _ in range(2):
        with pytest.raises(BadMessage):
            reader.read(broken)
    assert reader.read(changed).tasks[0].state == "exited"


NEEDED = {"host", "boot_id", "sequence", "sampled_at_s", "capacity", "cpus", "memory_mb", "tasks"}


@pytest.mark.parametrize("name", sorted(messages.report_to_wire(REPORT)))
def test_a_report_without_a_field_is_refused_or_has_none_of_it(name: str) -> None:
    wire = messages.report_to_wire(REPORT)
    del wire[name]
    if name in NEEDED:
        with pytest.raises(BadMessage, match=f"^{name} is missing"):
            messages.report_from_wire(wire)
    else:
        assert messages.report_from_wire(wire) == replace(
            REPORT, **{name: getattr(HostReport("a", "b", 1, 1, Resources(), 1, 1), name)}
        )


@pytest.mark.parametrize("name", ["uuid", "framework", "demand"])
def test_a_task_without_a_field_is_refused(name: str) -> None:
    wire = messages.report_to_wire(REPORT)
    del wire["tasks"][1][name]
    with pytest.raises(BadMessage, match=rf"^tasks\[1\]\.{name} is missing"):
        messages.report_from_wire(wire)


def test_a_report_with_one_task_twice_is_refused() -> None:
    wire = messages.report_to_wire(REPORT)
    wire["tasks"] *= 2
    with pytest.raises(BadMessage, match=r"^tasks\[4\].uuid: t is there twice"):
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
