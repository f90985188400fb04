# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from engines import Site
from values import START_S, decision, report, request, task

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.hardware import Hardware, ScoreRow
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.rpc.isolation import IsolationReport, isolation_to_wire
from hybrid_sched.rpc.messages import (
    BadMessage,
    decision_to_wire,
    report_to_wire,
    request_to_wire,
)
from hybrid_sched.rpc.snapshots import snapshot_from_wire
from hybrid_sched.version import version_string

C: dict[str, Any] = {}


class Desk:
    """An endpoint with its engine, and the weights that were set through it."""

    def __init__(self, **options: Any) -> None:
        self.site = Site(**options)
        self.weights: list[tuple[str, str, Any]] = []
        self.endpoint = EngineEndpoint(
            self.site.engine, lambda *weight: self.weights.append(weight)
        )

    def ask(self, call: str, **arguments: Any) -> Any:
        """Call it as over the bus."""
        answer = getattr(self.endpoint, call)(C, **json.loads(json.dumps(arguments)))
        return json.loads(json.dumps(answer))


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_report_is_taken_in_and_a_malformed_one_counted(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    wire = report_to_wire(report("a", task("t", 10)))
    desk.ask("report", report=wire)
    for malformed in ({**wire, "capacity": {"gold": 1}}, {"host": "a"}, [], None):
        desk.ask("report", report=malformed)
    desk.site.run()
    assert desk.site.used_mb() == 10
    assert desk.site.engine.refusals() == {"malformed": 4}
    assert "Report refused (malformed): capacity: unknown resource 'gold'" in caplog.text


def test_there_is_no_snapshot_before_the_first_cycle(desk: Desk) -> None:
    desk.site.report("a")
    assert desk.ask("snapshot") == {"age_s": 0.0, "snapshot": None}


def test_a_snapshot_comes_whole_then_as_changes_then_not_at_all(desk: Desk) -> None:
    first = desk.site.cycle()
    whole = desk.ask("snapshot", known=None)["snapshot"]
    assert snapshot_from_wire(whole) == first
    desk.site.report("b", task("t", 10))
    second = desk.site.run()
    desk.site.clock.now_s += 4
    answer = desk.ask("snapshot", known=[1, 1])
    assert answer["age_s"] == 4.0
    assert set(answer["snapshot"]["hosts"]) == {"b"}
    assert snapshot_from_wire(answer["snapshot"], first) == second
    assert desk.ask("snapshot", known=[1, 2]) == {"age_s": 4.0, "snapshot": None}
    other_term = desk.ask("snapshot", known=[0, 2])["snapshot"]
    assert snapshot_from_wire(other_term) == second


def test_a_reservation_is_granted_in_the_first_pool_that_has_it_and_released(desk: Desk) -> None:
    desk.site.cycle()
    desk.site.run(pool_of={"b": "fast"})
    wire = request_to_wire(request("t", 30))
    granted = desk.ask("reserve", request=wire, pools=["fast", ""])
    assert granted == {"granted": True, "text": "", "pool": "fast"}
    refused = desk.ask("reserve", request=request_to_wire(request("u", 99)))
    assert (refused["granted"], refused["pool"]) == (False, "")
    assert "would hold 99.0 %" in refused["text"]
    assert desk.ask("release", request_uuid="t") is True
    assert desk.ask("release", request_uuid="t") is False


@pytest.mark.parametrize(
    ("pools", "asked", "said"),
    [
        ("fast", {}, "pools: 'fast' is not an array"),
        ([1], {}, "pools: 1 is not a string"),
        ([""], {"count": 0}, "count: 0 is not between 1 and"),
    ],
)
def test_a_malformed_request_reserves_nothing(
    desk: Desk, pools: Any, asked: dict[str, Any], said: str
) -> None:
    desk.site.cycle()
    with pytest.raises(BadMessage, match=f"^{said}"):
        desk.ask("reserve", request={**request_to_wire(request("t", 1)), **asked}, pools=pools)
    assert desk.site.engine.reservations() == {}


def test_decisions_are_kept_and_a_malformed_one_is_left_out(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    wire = [decision_to_wire(decision(uuid)) for uuid in "ab"]
    desk.ask("record_decisions", decisions=[wire[0], {**wire[0], "stage": "guess"}, wire[1]])
    assert desk.ask("decisions") == [wire[1], wire[0]]
    assert desk.ask("decisions", limit=1) == [wire[1]]
    assert desk.ask("decisions", limit=-1) == []
    assert desk.ask("decisions", request_uuid="a") == [wire[0]]
    assert desk.ask("decisions", request_uuid="none") == []
    assert "Decision refused (malformed): stage: 'guess' is unknown" in caplog.text


@pytest.mark.parametrize(
    ("weight", "kept"), [(3, 3), ("3/2", Fraction(3, 2)), (None, None), ("4/2", 2)]
)
def test_a_weight_is_set(desk: Desk, weight: Any, kept: Any) -> None:
    assert desk.ask("set_weight", pool="fast", framework=CONTAINER, weight=weight) is None
    assert desk.ask("set_weight", pool="", framework=HYPERVISOR, weight=weight) is None
    assert desk.weights == [("fast", CONTAINER, kept), ("", HYPERVISOR, kept)]


@pytest.mark.parametrize(
    ("pool", "framework", "weight", "fault"),
    [
        ("", "pods", 1, "framework: 'pods' is unknown: give hypervisor or container"),
        ("", "", 1, "framework: is empty"),
        ("", None, 1, "framework: None is not a string"),
        (7, CONTAINER, 1, "pool: 7 is not a string"),
        ("x" * 256, CONTAINER, 1, "pool: 256 characters, at most 255 are taken"),
        ("", CONTAINER, 0, "weight: 0 gives the framework nothing: give a number above 0"),
        ("", CONTAINER, "0/5", "weight: 0 gives the framework nothing: give a number above 0"),
        ("", CONTAINER, -1, "weight: -1 is out of range: send 0 or more, below 2**63"),
        ("", CONTAINER, 0.5, "weight: 0.5 is no exact number: send an integer or 'a/b'"),
        ("", CONTAINER, "1/0", "weight: '1/0' divides by zero"),
    ],
)
def test_a_weight_that_cannot_be_used_is_refused_with_a_sentence(
    desk: Desk, pool: Any, framework: Any, weight: Any, fault: str
) -> None:
    answer = desk.ask("set_weight", pool=pool, framework=framework, weight=weight)
    assert answer == {"fault": fault}
    assert desk.weights == []


def test_a_fault_of_the_database_is_no_fault_of_the_weight(desk: Desk) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("away")

    endpoint = EngineEndpoint(desk.site.engine, fails)
    with pytest.raises(RuntimeError, match="away"):
        endpoint.set_weight(C, "", CONTAINER, 1)


def test_the_shares_of_each_framework_are_given_in_each_pool() -> None:
    desk = Desk(lending_of_guests="1", weights={CONTAINER: "2", HYPERVISOR: "1"})
    desk.site.report("a", task("t", 60))
    desk.site.report("b", task("g", 20, HYPERVISOR))
    desk.site.run(pool_of={"b": "fast"})
    desk.site.reserve("r", 15, "")
    rows = desk.ask("shares")
    assert [(row["pool"], row["framework"]) for row in rows] == [
        ("", HYPERVISOR),
        ("", CONTAINER),
        ("fast", HYPERVISOR),
        ("fast", CONTAINER),
    ]
    assert rows[1] == {
        "pool": "",
        "framework": CONTAINER,
        "weight": 2,
        "used": "3/4",
        "key": "3/8",
        "wanted": "3/4",
        "fair": "2/3",
        # Of the last cycle, before the reservation.
        "entitled": "3/5",
        "floor": 0,
        "borrowed": 0,
        "owed": 0,
        "head_from": "3/5",
        "rung": "none",
        "squeeze": 1,
        "reservations": 1,
    }


def test_the_version_and_clocks_that_are_far_off_are_told(desk: Desk) -> None:
    assert desk.ask("about") == {"version": version_string(), "refused_clocks": {}}
    desk.site.engine.take_report(report("a", sampled_at_s=START_S + 500))
    assert desk.ask("about")["refused_clocks"] == {"a": 500.0}


def test_hosts_are_told_of_as_they_are_known(desk: Desk) -> None:
    told = report(
        "a",
        task("t", 10, name="web", state="running", created_at_s=5.0, movable=True),
        hardware=Hardware("Old 1", "DDR3"),
        measured={measures.CPU_CORES: 1.5},
        task_measured={"t": {measures.MEMORY_USED_MB: 7.5}},
        squeezed={CONTAINER: Fraction(1, 2)},
        faults=("docker: it is slow",),
        version="1.2",
    )
    desk.site.engine.take_report(told)
    desk.site.report("b")
    desk.site.run(pool_of={"a": "fast"}, score_rows=(ScoreRow("Old*", "DDR3", Fraction(3, 4)),))
    desk.site.clock.now_s += 4.25
    (found,) = desk.ask("hosts", names=["a", "none"])
    assert found == {
        "host": "a",
        "pool": "fast",
        "score": "3/4",
        "score_from": "Old*, DDR3",
        "cpu_model": "Old 1",
        "memory_kind": "DDR3",
        "fresh": True,
        "clock_offset_s": 0.0,
        "version": "1.2",
        "age_s": 4.2,
        "capacity": {"memory_mb": 100},
        "used": {CONTAINER: {"memory_mb": 10}},
        "other": {},
        "measured": {"cpu_cores": 1.5},
        "squeezed": {CONTAINER: "1/2"},
        "faults": ["docker: it is slow"],
        "isolation": isolation_to_wire(IsolationReport()),
        "tasks": [
            {
                "uuid": "t",
                "framework": CONTAINER,
                "demand": {"memory_mb": 10},
                "name": "web",
                "state": "running",
                "created_at_s": 5.0,
                "movable": True,
                "measured": {"memory_used_mb": 7.5},
            }
        ],
    }
    assert [host["host"] for host in desk.ask("hosts")] == ["a", "b"]
    assert desk.ask("hosts", names=[]) == []


def test_a_host_of_which_no_cycle_knows_yet_is_told_of(desk: Desk) -> None:
    desk.site.report("a", task("t", 10))
    (found,) = desk.ask("hosts")
    assert (found["fresh"], found["used"], found["pool"], found["score_from"]) == (
        False,
        {},
        "",
        "default",
    )


def test_tasks_that_should_move_are_named_for_their_pool_and_framework() -> None:
    desk = Desk(lending_of_guests="1", squeeze_after_s=0, relieve_after_s=0)
    assert desk.ask("candidates") == []
    owed = decision(
        "g", framework=HYPERVISOR, demand=Resources(memory_mb=100), refused_by_share=True
    )
    desk.site.engine.take_decision(owed)
    desk.site.cycle(task("t", 90, created_at_s=5.0, movable=True), task("u", 90))
    (found,) = desk.ask("candidates")
    assert (found["pool"], found["framework"]) == ("", CONTAINER)
    assert [(each["uuid"], each["movable"]) for each in found["tasks"]] == [("t", True)]
