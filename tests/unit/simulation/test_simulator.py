# SPDX-License-Identifier: Apache-2.0
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation import policies, table2
from hybrid_sched.simulation.comparison import best_splits, means, row, rows_of_draw
from hybrid_sched.simulation.engine import Stalled, simulate
from hybrid_sched.simulation.workload import (
    SimulatedHost,
    SimulatedTask,
    in_arrival_order,
    lower_bound_s,
)

SHARED = [name for name in policies.names(3) if not name.startswith("separate-")]


def host(name, vcpu, memory_mb, score=1):
    return SimulatedHost(name, Resources(vcpu, memory_mb), score)


def task(name, framework, vcpu, memory_mb, duration_s, arrival_s=0.0):
    return SimulatedTask(name, framework, Resources(vcpu, memory_mb), arrival_s, duration_s)


def result_of(name, tasks, hosts):
    policy = policies.policy(name, len(hosts))
    tasks = in_arrival_order(tasks)
    return simulate(tasks, hosts, policy.rule(tasks, hosts, (1, 1)), only=policy.only)


@st.composite
def workloads(draw):
    scores = st.sampled_from([1, Fraction(1, 2), Fraction(3, 4)])
    hosts = [host(f"h{n}", 8, 8, draw(scores)) for n in range(draw(st.integers(1, 3)))]
    hosts.append(host("h-odd", draw(st.integers(4, 16)), draw(st.integers(4, 16))))
    amounts = st.one_of(st.integers(1, 4), st.sampled_from([Fraction(1, 3), Fraction(5, 2)]))
    seconds = st.integers(0, 40).map(float)
    tasks = [
        task(
            f"t{n}",
            draw(st.sampled_from(["hypervisor", "container"])),
            draw(amounts),
            draw(amounts),
            draw(st.integers(1, 60)) / 2,
            draw(seconds),
        )
        for n in range(draw(st.integers(1, 25)))
    ]
    return hosts, tasks


@pytest.mark.parametrize("name", [*SHARED, "queue-bfd"])
@settings(max_examples=40, deadline=None)
@given(workload=workloads())
def test_tasks_are_conserved_within_capacity_and_not_before_the_bound(name, workload):
    hosts, tasks = workload
    figures, runs = result_of(name, tasks, hosts)
    assert sorted(run.task.name for run in runs) == sorted(each.name for each in tasks)
    for run in runs:
        assert run.started_s >= run.task.arrival_s
        assert run.ended_s == run.started_s + run.task.duration_s
    for each in hosts:
        here = [run for run in runs if run.host.name == each.name]
        for moment in {run.started_s for run in here}:
            held = [run.task.demand for run in here if run.started_s <= moment < run.ended_s]
            assert sum(demand.vcpu for demand in held) <= each.capacity.vcpu
            assert sum(demand.memory_mb for demand in held) <= each.capacity.memory_mb
    assert figures.makespan_min >= figures.lower_bound_min
    assert 0 <= figures.share_gap_mean <= figures.share_gap_max <= 2
    again = result_of(name, tasks, hosts)
    assert again == (figures, runs)


@pytest.mark.parametrize("name", [name for name in SHARED if name != "shared-fcfs"])
@settings(max_examples=40, deadline=None)
@given(workload=workloads())
def test_nothing_waits_that_fits(name, workload):
    hosts, tasks = workload
    _, runs = result_of(name, tasks, hosts)
    moments = {run.ended_s for run in runs} | {each.arrival_s for each in tasks}
    for moment in moments:
        waiting = [run.task for run in runs if run.task.arrival_s <= moment < run.started_s]
        for each in hosts:
            held = [
                run.task.demand
                for run in runs
                if run.host.name == each.name and run.started_s <= moment < run.ended_s
            ]
            vcpu = each.capacity.vcpu - sum(demand.vcpu for demand in held)
            memory = each.capacity.memory_mb - sum(demand.memory_mb for demand in held)
            for other in waiting:
                assert other.demand.vcpu > vcpu or other.demand.memory_mb > memory


def test_first_come_first_served_lets_nobody_overtake_and_skipping_does():
    hosts = [host("h", 4, 4)]
    tasks = [
        task("first", "hypervisor", 3, 3, 10),
        task("large", "hypervisor", 4, 4, 10),
        task("small", "container", 1, 1, 5),
    ]

    def starts(name):
        _, runs = result_of(name, tasks, hosts)
        return {run.task.name: run.started_s for run in runs}

    assert starts("shared-fcfs") == {"first": 0, "large": 10, "small": 20}
    assert starts("shared-fcfs-skip") == {"first": 0, "small": 0, "large": 10}


def test_separate_clusters_keep_to_their_hosts_and_wait_in_lines_of_their_own():
    hosts = [host(f"h{n}", 4, 4) for n in range(3)]
    tasks = [task(f"g{n}", "hypervisor", 4, 4, 10) for n in range(3)]
    tasks += [task(f"c{n}", "container", 4, 4, 10) for n in range(2)]
    _, runs = result_of("separate-1-2", tasks, hosts)
    where = {run.task.name: (run.host.name, run.started_s) for run in runs}
    assert where == {
        "g0": ("h0", 0),
        "g1": ("h0", 10),
        "g2": ("h0", 20),
        "c0": ("h1", 0),
        "c1": ("h2", 0),
    }


def test_the_gap_is_what_the_shares_differ_by_while_both_wait():
    # One task at a time: the guest holds 1/1, then the container, and only in the first 10 s both wait.
    hosts = [host("h", 4, 4)]
    tasks = [task(f"g{n}", "hypervisor", 4, 4, 10) for n in range(2)]
    tasks += [task(f"c{n}", "container", 3, 2, 20) for n in range(2)]
    figures, runs = result_of("fair-fill-0", tasks, hosts)
    assert [run.task.name for run in runs] == ["g0", "g1", "c0", "c1"]
    assert figures.share_gap_mean == figures.share_gap_max == 1
    assert figures.makespan_min == 1
    assert figures.mean_completion_min * 60 == pytest.approx((10 + 20 + 40 + 60) / 4)
    assert figures.cpu_util == pytest.approx((2 * 10 * 4 + 2 * 20 * 3) / (60 * 4))
    assert figures.memory_util == pytest.approx((2 * 10 * 4 + 2 * 20 * 2) / (60 * 4))
    assert figures.hosts_peak == 1


def test_a_lead_is_given_to_those_who_last_longest():
    hosts = [host(f"h{n}", 4, 4) for n in range(5)]
    tasks = [task(f"g{n}", "hypervisor", 4, 4, 100) for n in range(20)]
    tasks += [task(f"c{n}", "container", 1, 1, 10) for n in range(200)]

    def guests(name):
        _, runs = result_of(name, tasks, hosts)
        held = [run for run in runs if run.started_s <= 15 < run.ended_s]
        return sum(run.task.framework == "hypervisor" for run in held)

    assert guests("fair-fill-0") < guests("fair-fill:0.4") < guests("fair-fill-off") == 5


def test_the_bound_sees_work_lengths_and_late_arrivals():
    hosts = [host("h", 4, 10)]
    work = [task(f"t{n}", "hypervisor", 2, 1, 30) for n in range(4)]
    assert lower_bound_s(work, hosts) == pytest.approx(60)
    long = [*work, task("long", "container", 1, 1, 100)]
    assert lower_bound_s(long, hosts) == pytest.approx(100)
    late = [*work, *[task(f"l{n}", "container", 4, 1, 10, arrival_s=95) for n in range(3)]]
    assert lower_bound_s(late, hosts) == pytest.approx(95 + 30)
    begun_late = [task("t", "hypervisor", 1, 1, 30, arrival_s=1000)]
    assert lower_bound_s(begun_late, hosts) == pytest.approx(30)


def test_a_policy_that_leaves_tasks_for_ever_says_so():
    hosts = [host("small", 1, 1), host("large", 4, 4)]
    with pytest.raises(Stalled, match=r"1 tasks never start .* 'big' of framework hypervisor"):
        result_of("separate-1-1", [task("big", "hypervisor", 2, 2, 5)], hosts)


def test_table_2_has_the_papers_numbers_and_sizes():
    for test, (guests, containers) in table2.TESTS.items():
        tasks = table2.draw(test, 1)
        assert [t.framework for t in tasks].count("hypervisor") == guests
        assert [t.framework for t in tasks].count("container") == containers
        for each in tasks:
            guest = each.framework == "hypervisor"
            assert each.demand.vcpu in ({1, 2, 3, 4} if guest else {1, 2})
            assert each.demand.memory_mb in ({2048, 3072, 4096} if guest else {1024, 2048})
            assert (60 if guest else 20) <= each.duration_s / 60 <= (80 if guest else 25)
    assert table2.draw(3, 7) == table2.draw(3, 7) != table2.draw(3, 8)
    sizes = {each.demand.vcpu for each in table2.draw(6, 1, continuous=True)}
    assert any(Fraction(size).denominator > 1 for size in sizes)


def test_means_and_the_best_split():
    rows = [
        each
        for seed in (1, 2)
        for each in rows_of_draw(["separate-2-7", "separate-6-3", "paper"], 3, seed, False)
    ]
    by_policy = {each["policy"]: each for each in means(rows)}
    of_paper = [each for each in rows if each["policy"] == "paper"]
    assert by_policy["paper"]["makespan_min"] == pytest.approx(
        math.fsum(each["makespan_min"] for each in of_paper) / 2
    )
    assert best_splits(rows) == {3: "separate-6-3"}
    assert by_policy["separate-6-3"]["makespan_min"] < by_policy["separate-2-7"]["makespan_min"]


def test_pooling_and_order_gain_what_the_documents_say():
    names = [
        "separate-6-3",
        "separate-7-2",
        "shared-fcfs-skip",
        "paper",
        "fair-fill",
        "fair-fill-off",
    ]
    rows = [each for seed in range(1, 6) for each in rows_of_draw(names, 6, seed, False)]
    over = {each["policy"]: each["over_bound"] for each in means(rows)}
    gap = {each["policy"]: each["share_gap_mean"] for each in means(rows)}
    assert (
        min(over["separate-6-3"], over["separate-7-2"]) > 1.25 > over["paper"] > over["fair-fill"]
    )
    assert over["fair-fill"] > over["fair-fill-off"]
    assert gap["paper"] < gap["fair-fill"] < gap["shared-fcfs-skip"]


def test_rows_name_what_they_are_of():
    policy = policies.policy("paper", 1)
    figures = row(policy, [task("t", "hypervisor", 1, 1, 60)], [host("h", 4, 4)])
    assert list(figures) == [
        "test",
        "policy",
        "seed",
        "makespan_min",
        "mean_completion_min",
        "hosts_peak",
        "cpu_util",
        "memory_util",
        "share_gap_mean",
        "share_gap_max",
        "lower_bound_min",
    ]
    assert figures["makespan_min"] == figures["lower_bound_min"] == 1
    assert figures["cpu_util"] == 0.25


@pytest.mark.parametrize(
    "name", ["gone", "separate-2-2", "separate-0-3", "fair-fill:2", "fair-fill:x"]
)
def test_an_unknown_policy_names_those_there_are(name):
    with pytest.raises(policies.UnknownPolicy, match=r"separate-N-M|0 to 1"):
        policies.policy(name, 3)
