# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.changes import (
    Change,
    EndChange,
    FlavorChange,
    MoveChange,
    WeightChange,
    decimal,
)
from hybrid_sched.core.cluster import (
    CONTAINER,
    HYPERVISOR,
    Host,
    Pool,
    ReserveMode,
    Snapshot,
    Task,
)
from hybrid_sched.core.resources import Number, Resources, dominant_share, fits, total
from hybrid_sched.core.share_gate import Request, Rule
from hybrid_sched.core.shares import (
    SharePolicy,
    charge,
    effective_pool,
    frameworks_of,
    rationed,
)
from hybrid_sched.core.what_if import try_out, with_task_moved, without_task
from hybrid_sched.core.why_not import Answer, why_not

BOTH = (HYPERVISOR, CONTAINER)


@dataclass(frozen=True)
class Cluster:
    """Hosts with tasks, from which a snapshot is made from scratch, as a cycle makes it.

    :param hosts: capacity, score and pool by name.
    :param tasks: by host.
    """

    hosts: Mapping[str, Host]
    tasks: Mapping[str, tuple[Task, ...]]
    weights: Mapping[str, Number] = field(default_factory=lambda: dict.fromkeys(BOTH, 1))
    lending: Mapping[str, Number] = field(default_factory=lambda: dict.fromkeys(BOTH, 1))
    pending: Mapping[str, Resources] = field(default_factory=dict)
    reserve: ReserveMode = ReserveMode.NONE

    def policies(self, _pool: str = "") -> list[SharePolicy]:
        return [SharePolicy(name, self.weights[name], self.lending[name]) for name in BOTH]

    def tasks_of(self, host: str) -> tuple[Task, ...]:
        return self.tasks.get(host, ())

    def snapshot(self) -> Snapshot:
        hosts = {}
        for name, host in self.hosts.items():
            tasks = self.tasks_of(name)
            used = {
                each: Resources(*total([t.demand for t in tasks if t.framework == each], 6))
                for each in {task.framework for task in tasks}
            }
            hosts[name] = replace(host, used=used, task_count=len(tasks))
        pools = {}
        for name in sorted({"", *(host.pool for host in hosts.values())}):
            own = [host for host in hosts.values() if host.pool == name]
            capacity = effective_pool(own)
            held = {each: charge(own, each) for each in BOTH}
            shares = frameworks_of(capacity, self.policies(), held, self.pending, {})
            pools[name] = Pool(name, capacity, shares)
        return Snapshot(1, 1, 0.0, pools, hosts, self.reserve)

    def ask(self, request: Request, pool: str | None = None) -> Answer:
        return why_not(self.snapshot(), request, self.policies, self.tasks_of, pool)

    def lets_in(self, request: Request) -> bool:
        return try_out(self.snapshot(), request, self.hosts).fits

    def with_weight(self, framework: str, weight: Number) -> Cluster:
        return replace(self, weights={**self.weights, framework: weight})

    def without(self, host: str, task: Task) -> Cluster:
        left = tuple(each for each in self.tasks[host] if each is not task)
        return replace(self, tasks={**self.tasks, host: left})

    def with_move(self, source: str, target: str, task: Task) -> Cluster | None:
        """Move a task; None where there is no room for it."""
        goal = self.snapshot().hosts[target]
        # What a host does not declare it does not ration.
        if not fits(rationed(task.demand, goal.capacity), goal.free):
            return None
        gone = self.without(source, task)
        return replace(gone, tasks={**gone.tasks, target: (*self.tasks_of(target), task)})


def mb(amount: int, vcpu: int = 0) -> Resources:
    return Resources(vcpu=vcpu, memory_mb=amount)


def host(name: str, memory_mb: int = 100, vcpu: int = 0, **changes: object) -> Host:
    return Host(name, mb(memory_mb, vcpu), **changes)


def task(uuid: str, memory_mb: int, framework: str = CONTAINER, **changes: object) -> Task:
    return Task(uuid, framework, mb(memory_mb), **{"movable": True, **changes})


def cluster(*hosts: Host, **tasks: list[Task]) -> Cluster:
    return Cluster({each.name: each for each in hosts}, {n: tuple(t) for n, t in tasks.items()})


def request(memory_mb: int, framework: str = CONTAINER, count: int = 1, vcpu: int = 0) -> Request:
    return Request("new", framework, mb(memory_mb, vcpu), count)


def one(answer: Answer, kind: type) -> Change:
    (found,) = [change for change in answer.changes if isinstance(change, kind)]
    return found


@pytest.mark.parametrize("framework", BOTH)
def test_what_fits_is_sent_where_the_order_would(framework: str) -> None:
    made = cluster(host("a"), host("b"), a=[task("t", 60)])
    answer = made.ask(request(50, framework))
    assert (answer.fits, answer.host, answer.changes) == (True, "b", ())
    assert answer.text.startswith("it fits and would go to host b: head (")
    assert [(each.host, each.rule) for each in answer.hosts] == [("b", None), ("a", Rule.HOST_ROOM)]


def test_equal_hosts_go_by_name() -> None:
    assert cluster(host("b"), host("a"), host("c")).ask(request(50)).host == "a"


def test_each_host_has_its_rule() -> None:
    made = cluster(
        host("full"), host("silent", fresh=False), host("far", pool="gold"), full=[task("t", 90)]
    )
    answer = made.ask(request(20), pool="")
    rules = {each.host: each.rule for each in answer.hosts}
    assert rules == {
        "full": Rule.HOST_ROOM,
        "silent": Rule.NO_FRESH_REPORT,
        "far": Rule.OTHER_POOL,
    }
    assert answer.text == "it does not fit: stopped by host_room and no_fresh_report"
    assert made.ask(request(20)).host == "far"


def test_where_nothing_helps_that_is_said() -> None:
    answer = cluster(host("silent", fresh=False)).ask(request(20))
    assert answer.changes == ()
    assert answer.text.endswith("no single change of those that are looked for would let it in")
    assert cluster().ask(request(1)).text.startswith("it does not fit: there is no host")


def test_the_largest_memory_and_the_most_cores_that_fit_are_named_where_either_helps() -> None:
    # Room for 40 MiB beside 8 cores on one host and for 100 MiB beside 2 cores on the other.
    tight, roomy = host("tight", 40, 8), host("roomy", 100, 2)
    answer = cluster(tight, roomy).ask(request(60, vcpu=4))
    found = [change for change in answer.changes if isinstance(change, FlavorChange)]
    assert [(change.demand, change.host) for change in found] == [
        (mb(40, 4), "tight"),
        (mb(60, 2), "roomy"),
    ]
    assert found[0].text == (
        "ask for 40 instead of 60 memory_mb, with 4 vcpu as asked: it would go to host tight"
    )


def test_two_resources_are_reduced_together_where_one_does_not_help() -> None:
    answer = cluster(host("a", 30, 4)).ask(request(60, vcpu=6))
    (found,) = answer.changes
    assert isinstance(found, FlavorChange)
    # Half of both, and then as much as there is.
    assert found.demand == mb(30, 4)
    assert found.reduced == {"vcpu": 6, "memory_mb": 60}


def lends_nothing(made: Cluster, **weights: Number) -> Cluster:
    return replace(
        made, lending=dict.fromkeys(BOTH, 0), weights={**dict.fromkeys(BOTH, 1), **weights}
    )


def test_the_smallest_weight_is_named_with_its_command() -> None:
    made = lends_nothing(cluster(host("a"), host("b"), a=[task("t", 60)]))
    found = one(made.ask(request(60)), WeightChange)
    # 120 of 200 MiB are 60 %: the weight must be 3/2 of the other.
    assert (found.pool, found.weight, found.before, found.host) == ("", Fraction(3, 2), 1, "b")
    assert "hybrid-sched-manage framework set-weight container 1.5)" in found.text


def test_a_weight_that_is_no_decimal_is_rounded_up() -> None:
    made = lends_nothing(cluster(host("a", 150)))
    found = one(made.ask(request(100)), WeightChange)
    assert found.weight == 2
    made = lends_nothing(cluster(host("a", 130)), hypervisor=3)
    found = one(made.ask(request(100)), WeightChange)
    assert found.weight == 10
    made = lends_nothing(cluster(host("a", 130)))
    assert decimal(one(made.ask(request(100)), WeightChange).weight) == "3.334"


def test_no_weight_is_named_where_no_weight_helps() -> None:
    made = lends_nothing(cluster(host("a"), a=[task("g", 30, HYPERVISOR)]))
    assert not [each for each in made.ask(request(80)).changes if isinstance(each, WeightChange)]


def test_reservations_charge_a_request_as_on_the_best_host() -> None:
    slow = host("slow", 100, score=Fraction(1, 2))
    made = lends_nothing(cluster(slow))
    assert made.ask(request(50)).fits
    strict = replace(made, reserve=ReserveMode.STRICT)
    assert {each.rule for each in strict.ask(request(50)).hosts} == {Rule.FRAMEWORK_SHARE}
    assert one(strict.ask(request(50)), FlavorChange).demand == mb(25)


def test_the_smallest_task_that_makes_room_is_moved() -> None:
    tasks = [
        task("small", 5),
        task("fits", 20),
        task("large", 45),
        task("stuck", 15, movable=False),
    ]
    made = cluster(host("a"), host("b", 60), a=tasks, b=[task("u", 30)])
    found = one(made.ask(request(33)), MoveChange)
    assert (found.task.uuid, found.source, found.target, found.host) == ("fits", "a", "b", "a")
    assert found.text == (
        "move the task fits of framework container with 20 memory_mb from host a to host b: it would go to host a"
    )
    # An end is a loss that a move spares.
    assert not [each for each in made.ask(request(33)).changes if isinstance(each, EndChange)]


def test_the_end_of_the_smallest_task_is_named_where_no_move_helps() -> None:
    made = cluster(host("a"), a=[task("small", 5), task("web", 20, name="shop"), task("large", 75)])
    found = one(made.ask(request(15)), EndChange)
    assert (found.task.uuid, found.source, found.host) == ("web", "a", "a")
    assert "the task web (shop) of framework container" in found.text


def test_an_end_gives_the_share_back_too() -> None:
    made = lends_nothing(cluster(host("a"), host("b"), a=[task("t", 60), task("u", 30)]))
    found = one(made.ask(request(40)), EndChange)
    assert (found.task.uuid, found.host) == ("u", "b")


def test_several_tasks_are_let_in_together_or_not_at_all() -> None:
    made = cluster(host("a"), host("b"), a=[task("t", 60)], b=[task("u", 30)])
    answer = made.ask(request(45, count=2))
    assert answer.text == "1 of 2 fit: stopped by host_room"
    assert one(answer, FlavorChange).demand == mb(40)
    assert {each.host: each.rule for each in answer.hosts} == {"b": None, "a": Rule.HOST_ROOM}
    assert answer.hosts[0].text == "host b has room for 1 of 2 (weight 70)"
    assert made.ask(request(35, count=3)).fits


amounts = st.integers(0, 12)
demands = st.builds(lambda vcpu, memory_mb: mb(memory_mb, vcpu), amounts, st.integers(1, 20))
weights = st.sampled_from([1, 2, 5, Fraction(1, 3), Fraction(7, 4), 2000])
lendings = st.sampled_from([0, Fraction(1, 3), 1])


@st.composite
def clusters(draw: st.DrawFn, *, scores: tuple[Number, ...], moves: bool = True) -> Cluster:
    hosts, tasks = {}, {}
    for name in "abc"[: draw(st.integers(1, 3))]:
        capacity = mb(draw(st.integers(10, 40)), draw(st.integers(0, 16)))
        score = draw(st.sampled_from(scores))
        hosts[name] = Host(name, capacity, score, fresh=draw(st.integers(0, 9)) > 0)
        held = []
        for number in range(draw(st.integers(0, 4))):
            new = Task(
                f"{name}{number}",
                draw(st.sampled_from(BOTH)),
                draw(demands),
                movable=moves and draw(st.booleans()),
            )
            if fits(total([each.demand for each in (*held, new)], 6), capacity):
                held.append(new)
        tasks[name] = tuple(held)
    both = st.fixed_dictionaries
    return Cluster(
        hosts,
        tasks,
        draw(both(dict.fromkeys(BOTH, weights))),
        draw(both(dict.fromkeys(BOTH, lendings))),
        draw(both(dict.fromkeys(BOTH, demands))) if draw(st.booleans()) else {},
        draw(st.sampled_from([ReserveMode.NONE, ReserveMode.NONE, ReserveMode.STRICT])),
    )


requests = st.builds(Request, st.just("new"), st.sampled_from(BOTH), demands, st.integers(1, 3))
UNEQUAL = (1, Fraction(3, 4), Fraction(1, 2))


def size(made: Cluster, task: Task) -> tuple[Number, str]:
    return dominant_share(task.demand, made.snapshot().pools[""].capacity), task.uuid


def all_tasks(made: Cluster) -> list[tuple[str, Task]]:
    pairs = [(name, each) for name, tasks in made.tasks.items() for each in tasks]
    return sorted(pairs, key=lambda pair: size(made, pair[1]))


@given(made=clusters(scores=UNEQUAL), asked=requests)
@settings(max_examples=300, deadline=None)
def test_a_change_that_is_named_lets_the_request_in(made: Cluster, asked: Request) -> None:
    answer = made.ask(asked)
    assert answer.fits is made.lets_in(asked)
    for change in answer.changes:
        match change:
            case FlavorChange():
                assert made.lets_in(replace(asked, demand=change.demand))
                assert fits(change.demand, asked.demand)
            case WeightChange():
                after = made.with_weight(asked.framework, change.weight)
                assert after.lets_in(asked)
                assert Fraction(decimal(change.weight)) == change.weight
            case MoveChange():
                moved = made.with_move(change.source, change.target, change.task)
                assert moved is not None
                assert moved.lets_in(asked)
            case EndChange():
                assert made.without(change.source, change.task).lets_in(asked)


@given(made=clusters(scores=UNEQUAL), asked=requests)
@settings(max_examples=300, deadline=None)
def test_a_smaller_change_of_demand_or_weight_does_not(made: Cluster, asked: Request) -> None:
    answer = made.ask(asked)
    for change in answer.changes:
        for name in change.reduced if isinstance(change, FlavorChange) else ():
            demand = change.demand._replace(**{name: getattr(change.demand, name) + 1})
            assert fits(demand, asked.demand)
            assert not made.lets_in(replace(asked, demand=demand))
        if isinstance(change, WeightChange):
            step = Fraction(1)
            while step * 1000 > change.before:
                step /= 10
            less = change.weight - step
            assert not made.with_weight(asked.framework, max(less, change.before)).lets_in(asked)


@given(made=clusters(scores=UNEQUAL), asked=requests)
@settings(max_examples=200, deadline=None)
def test_where_less_of_one_resource_helps_it_is_named(made: Cluster, asked: Request) -> None:
    answer = made.ask(asked)
    named = {tuple(change.reduced) for change in answer.changes if isinstance(change, FlavorChange)}
    for name, amount in asked.demand.declared().items():
        one_less = asked.demand._replace(**{name: 1})
        helps = amount > 1 and made.lets_in(replace(asked, demand=one_less))
        assert ((name,) in named) is (helps and not answer.fits)


@given(made=clusters(scores=(1,)), asked=requests)
@settings(max_examples=200, deadline=None)
def test_no_smaller_move_helps_than_the_one_that_is_named(made: Cluster, asked: Request) -> None:
    answer = made.ask(asked)
    if answer.fits:
        return
    helping = [
        each
        for source, each in all_tasks(made)
        for target in made.hosts
        if each.movable
        and source != target
        and made.hosts[source].fresh
        and made.hosts[target].fresh
        and (moved := made.with_move(source, target, each))
        and moved.lets_in(asked)
    ]
    named = [change.task for change in answer.changes if isinstance(change, MoveChange)]
    assert named == helping[:1]


@given(made=clusters(scores=UNEQUAL, moves=False), asked=requests)
@settings(max_examples=200, deadline=None)
def test_no_smaller_end_helps_than_the_one_that_is_named(made: Cluster, asked: Request) -> None:
    answer = made.ask(asked)
    if answer.fits:
        return
    helping = [
        each
        for source, each in all_tasks(made)
        if made.hosts[source].fresh and made.without(source, each).lets_in(asked)
    ]
    named = [change.task for change in answer.changes if isinstance(change, EndChange)]
    assert named == helping[:1]


@given(made=clusters(scores=UNEQUAL))
@settings(max_examples=100, deadline=None)
def test_charges_follow_a_task_that_goes(made: Cluster) -> None:
    """What is worked out on a copy of the snapshot is what a cycle works out from scratch."""
    snapshot = made.snapshot()
    for source, each in all_tasks(made):
        ended = without_task(snapshot, made.policies, source, each)
        after = made.without(source, each).snapshot()
        assert ended.pools == after.pools
        assert {n: h.free for n, h in ended.hosts.items()} == {
            n: h.free for n, h in after.hosts.items()
        }
        for target in made.hosts:
            if target != source and (moved := made.with_move(source, target, each)):
                copy = with_task_moved(snapshot, made.policies, source, target, each)
                assert copy.pools == moved.snapshot().pools
