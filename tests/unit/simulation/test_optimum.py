# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation import table2
from hybrid_sched.simulation.engine import simulate
from hybrid_sched.simulation.optimum import MOST_TASKS, NoSolver, optimum_s
from hybrid_sched.simulation.policies import policy
from hybrid_sched.simulation.workload import SimulatedHost, SimulatedTask, WorkloadError

HOSTS = (SimulatedHost("h1", Resources(4, 4096)), SimulatedHost("h2", Resources(2, 4096)))


def task(name, vcpu, duration_s, arrival_s=0.0, kind=HYPERVISOR):
    return SimulatedTask(name, kind, Resources(vcpu, 256), arrival_s, duration_s)


@pytest.mark.usefixtures("without_or_tools")
def test_without_the_solver_it_says_what_to_install():
    with pytest.raises(NoSolver, match=r"hybrid-sched\[optimum\]"):
        optimum_s([task("a", 1, 10)], HOSTS, 1)


def test_too_many_tasks_are_refused():
    tasks = [task(f"t{n}", 1, 10) for n in range(MOST_TASKS + 1)]
    with pytest.raises(WorkloadError, match="61 tasks"):
        optimum_s(tasks, HOSTS, 1)


def test_it_finds_what_no_greedy_rule_does():
    pytest.importorskip("ortools")
    # Two long ones of 2 have to go to the host of 4 together, or the one of 4 waits for them.
    tasks = [task("a", 2, 30), task("b", 2, 30), task("c", 2, 60), task("d", 4, 30)]
    assert optimum_s(tasks, HOSTS, 10) == pytest.approx(60)


def test_arrivals_are_waited_for():
    pytest.importorskip("ortools")
    # One after the other on the only host that is large enough, which has nothing to do for two seconds.
    tasks = [task("a", 4, 10), task("b", 4, 10, arrival_s=12), task("c", 4, 10, arrival_s=13)]
    assert optimum_s(tasks, HOSTS, 10) == pytest.approx(32)


def _brute_force(tasks):
    """Give the smallest makespan of tasks that come at once: each order, each host, as early as it may."""
    best = float("inf")
    for hosts in product(range(len(HOSTS)), repeat=len(tasks)):
        for starts in product(range(0, 13), repeat=len(tasks)):
            end = max(s + t.duration_s for s, t in zip(starts, tasks, strict=True))
            if end >= best:
                continue
            fits = all(
                sum(
                    t.demand.vcpu
                    for t, s, h in zip(tasks, starts, hosts, strict=True)
                    if h == host and s <= at < s + t.duration_s
                )
                <= HOSTS[host].capacity.vcpu
                for host in range(len(HOSTS))
                for at in starts
            )
            if fits:
                best = end
    return best


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=3))
def test_it_is_what_trying_everything_gives(sizes):
    pytest.importorskip("ortools")
    tasks = [task(f"t{n}", vcpu, length) for n, (vcpu, length) in enumerate(sizes)]
    assert optimum_s(tasks, HOSTS, 10) == pytest.approx(_brute_force(tasks))


def test_no_policy_betters_it():
    pytest.importorskip("ortools")
    tasks = [
        task(f"t{n}", 1 + n % 4, 10 + 7 * (n % 5), 3 * (n % 3), (HYPERVISOR, CONTAINER)[n % 2])
        for n in range(10)
    ]
    best = optimum_s(tasks, HOSTS, 30)
    assert best == optimum_s(tasks, HOSTS, 30)
    ordered = sorted(tasks, key=lambda each: each.arrival_s)
    for name in ("paper", "fair-fill", "guest-first", "shared-fcfs-skip"):
        rule = policy(name, 2).rule(ordered, HOSTS, (1, 1))
        figures, _ = simulate(ordered, HOSTS, rule)
        assert figures.makespan_min * 60 >= best - 1e-6


def test_what_is_not_proved_is_not_told():
    pytest.importorskip("ortools")
    tasks = table2.draw(2, 1)[:MOST_TASKS]
    assert optimum_s(tasks, table2.HOSTS[:2], 1e-6) is None
