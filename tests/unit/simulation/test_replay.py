# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation.engine import simulate
from hybrid_sched.simulation.policies import policy
from hybrid_sched.simulation.replay import compare, replay
from hybrid_sched.simulation.trace import (
    Trace,
    TraceMove,
    TraceTask,
    read_trace,
    trace_of,
    write_trace,
)
from hybrid_sched.simulation.workload import SimulatedHost, SimulatedTask, WorkloadError

HOSTS = (
    SimulatedHost("h1", Resources(4, 4096)),
    SimulatedHost("h2", Resources(8, 4096), Fraction(1, 2)),
)


def guest(name, arrival_s=0.0, duration_s=60.0, vcpu=4):
    return SimulatedTask(name, HYPERVISOR, Resources(vcpu, 1024), arrival_s, duration_s)


def container(name, arrival_s=0.0, duration_s=60.0, vcpu=4):
    return SimulatedTask(name, CONTAINER, Resources(vcpu, 1024), arrival_s, duration_s)


@st.composite
def workloads(draw):
    tasks = []
    for number in range(draw(st.integers(1, 12))):
        tasks.append(  # noqa: PERF401 - each draw is a step of its own
            SimulatedTask(
                f"t{number}",
                draw(st.sampled_from([HYPERVISOR, CONTAINER])),
                Resources(Fraction(draw(st.integers(1, 16)), 4), 512 * draw(st.integers(1, 8))),
                draw(st.sampled_from([0.0, 0.1, 7.3, 60.0])),
                draw(st.floats(0.5, 500)),
            )
        )
    return tasks


POLICIES = ["paper", "fair-fill", "shared-fcfs-skip", "guest-first", "queue-cross_fill"]
WEIGHTS = [(1, 1), (2, 1), (Fraction(1, 3), 1)]


@settings(max_examples=60, deadline=None)
@given(workloads(), st.sampled_from(POLICIES), st.sampled_from(WEIGHTS))
def test_what_a_policy_did_is_what_it_does_again(tmp_path_factory, tasks, name, weights):
    rule = policy(name, len(HOSTS))
    ordered = sorted(tasks, key=lambda task: task.arrival_s)
    figures, runs = simulate(ordered, HOSTS, rule.rule(ordered, HOSTS, weights), weights=weights)
    happened = trace_of(HOSTS, weights, runs, tasks)
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    path.write_text(write_trace(happened))
    read = read_trace(str(path))
    assert read == happened
    again = replay(read, policy(name, len(HOSTS)), read.weights)
    assert again == happened
    # An independent way to the same figures.
    found = compare(name, again, weights)
    assert found.share_error_mean == pytest.approx(figures.share_gap_mean, abs=1e-9)
    assert found.share_error_max == pytest.approx(figures.share_gap_max, abs=1e-9)
    assert found.makespan_min == pytest.approx(figures.makespan_min)
    assert found.over_bound >= 1


def test_another_policy_and_other_weights_give_other_figures():
    # Two at a time on one host: guests came first and had it.
    hosts = (HOSTS[0],)
    tasks = [guest("g1", vcpu=2), guest("g2", vcpu=2)]
    tasks += [container("c1", vcpu=2), container("c2", vcpu=2)]
    starts = (0.0, 0.0, 60.0, 60.0)
    happened = Trace(
        hosts,
        (1, 1),
        tuple(TraceTask(task, "h1", at_s) for task, at_s in zip(tasks, starts, strict=True)),
    )
    fair = replay(happened, policy("paper", 1), (1, 1))
    assert [each.started_s for each in fair.tasks] == [0, 60, 0, 60]
    first = replay(happened, policy("guest-first", 1), (1, 1))
    assert first == happened
    was, would = compare("recorded", happened, (1, 1)), compare("paper", fair, (1, 1))
    assert (was.refused, would.refused) == (2, 2)
    assert was.wait_mean_s == would.wait_mean_s == 30
    assert was.wait_max_s == was.wait_p95_s == 60
    assert (was.share_error_mean, would.share_error_mean) == (0, 0)


@pytest.mark.parametrize("name", ["paper", "fair-fill-0", "queue-cross_fill"])
def test_weights_say_how_much_each_framework_has(name):
    tasks = [
        *(guest(f"g{number}", vcpu=1) for number in range(4)),
        *(container(f"c{number}", vcpu=1) for number in range(4)),
    ]
    happened = Trace((HOSTS[0],), (1, 1), tuple(TraceTask(task, "h1", 0.0) for task in tasks))
    for weights, guests in (((1, 1), 2), ((3, 1), 3), ((1, 3), 1)):
        again = replay(happened, policy(name, 1), weights)
        at_once = [each.task.framework for each in again.tasks if each.started_s == 0]
        assert len(at_once) == 4
        assert at_once.count(HYPERVISOR) == guests


def test_weights_say_what_is_fair():
    # Guests have three quarters of the host, and of both kinds one waits for a minute.
    tasks = [guest("g1", vcpu=3), container("c1", vcpu=1), guest("g2"), container("c2")]
    starts = (0.0, 0.0, 60.0, 120.0)
    happened = Trace(
        (HOSTS[0],),
        (1, 1),
        tuple(TraceTask(task, "h1", at_s) for task, at_s in zip(tasks, starts, strict=True)),
    )
    assert compare("recorded", happened, (1, 1)).share_error_mean == 0.5
    assert compare("recorded", happened, (3, 1)).share_error_mean == 0


def test_refusals_moves_and_tasks_that_never_started_are_counted():
    happened = Trace(
        HOSTS,
        (1, 1),
        (
            TraceTask(guest("g1"), "h1", 30.0, refusals=2),
            TraceTask(guest("g2", vcpu=2), "h2", 40.0, moves=(TraceMove(50.0, "h1"),)),
            TraceTask(guest("g3"), "h2", 70.0),
            TraceTask(container("c1"), ended=False),
        ),
    )
    found = compare("recorded", happened, (1, 1), patience_s=60)
    assert (found.tasks, found.refused, found.never_started, found.moves) == (4, 3, 1, 1)
    assert found.makespan_min == pytest.approx(130 / 60)
    assert found.over_optimum is None
    assert compare("recorded", happened, (1, 1), optimum_s=65.0).over_optimum == 2


def test_a_moved_task_is_charged_by_the_score_of_where_it_is():
    moved = TraceTask(guest("g1", duration_s=100), "h1", 0.0, moves=(TraceMove(50.0, "h2"),))
    waiting = (
        TraceTask(guest("g2", duration_s=1), "h1", 100.0),
        TraceTask(container("c1", duration_s=1), "h1", 100.0),
    )
    found = compare("recorded", Trace(HOSTS, (1, 1), (moved, *waiting)), (1, 1))
    # The pool has 4 + 8 / 2 CPUs: 4 of them, then 2, and in memory 1/6 and 1/12.
    assert found.share_error_max == 0.5
    assert found.share_error_mean == pytest.approx((0.5 + 0.25) / 2)


def test_a_trace_names_what_is_wrong_with_it(tmp_path):
    good = json.loads(write_trace(Trace(HOSTS, (1, 1), (TraceTask(guest("g1"), "h1", 0.0),))))
    task = good["tasks"][0]
    path = tmp_path / "trace.json"
    for change, said in [
        ({"format": "x"}, "is no trace"),
        ({"version": 2}, "field 'version': 2 is unknown"),
        ({"weights": {}}, "field 'weights'"),
        ({"weights": {"hypervisor": 1, "container": 0}}, "above 0"),
        ({"hosts": []}, "field 'hosts'"),
        ({"tasks": [task | {"host": "gone"}]}, "tasks 1, field 'host': 'gone' is none"),
        ({"tasks": [task | {"kind": "x"}]}, "field 'kind'"),
        ({"tasks": [task | {"extra": 1}]}, "field 'extra'"),
        ({"tasks": [task, task]}, "field 'id'"),
        ({"tasks": [task | {"refusals": -1}]}, "field 'refusals'"),
        ({"tasks": [task | {"ended": 1}]}, "field 'ended'"),
        ({"tasks": [task | {"moves": [1]}]}, "field 'moves'"),
        ({"tasks": [task | {"moves": [{"at_s": 1, "host": "x"}]}]}, "moves 1, field 'host'"),
        ({"tasks": [task | {"arrival_s": 5}]}, "field 'started_s': it is before"),
    ]:
        path.write_text(json.dumps(good | change))
        with pytest.raises(WorkloadError, match=r".") as caught:
            read_trace(str(path))
        assert said in str(caught.value)
    path.write_text("{")
    with pytest.raises(WorkloadError, match="is not JSON"):
        read_trace(str(path))


def test_amounts_stay_exact(tmp_path):
    odd = replace(guest("g1"), demand=Resources(Fraction(1, 3), 1024, net_in_bps=7))
    hosts = tuple(replace(host, capacity=host.capacity._replace(net_in_bps=9)) for host in HOSTS)
    trace = Trace(hosts, (Fraction(2, 3), 1), (TraceTask(odd, "h2", 1 / 3),))
    path = tmp_path / "trace.json"
    path.write_text(write_trace(trace))
    assert read_trace(str(path)) == trace
