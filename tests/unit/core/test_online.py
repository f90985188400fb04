# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from clusters import host, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.cluster import (
    CONTAINER,
    DEFAULT_POOL,
    HYPERVISOR,
    Framework,
    Host,
    Pool,
    Snapshot,
)
from hybrid_sched.core.online import PLANNED, Ranking, Role, Rule, rank
from hybrid_sched.core.resources import Number, Resources

HOSTS = [
    host("half", guests_mb=50),
    host("full", guests_mb=10, containers_mb=80),
    host("empty", memory_mb=90),
    host("wide", memory_mb=200),
    host("tight", containers_mb=60),
]


def best_first(memory_mb: int, demands_mb: Sequence[int], names: Sequence[str]) -> list[str]:
    made = snapshot(HOSTS, demands_mb=demands_mb)
    weights = rank(made, CONTAINER, Resources(memory_mb=memory_mb), names).weights
    return [name for _, name in sorted(zip(weights, names, strict=True), reverse=True)]


NAMES = [each.name for each in HOSTS]


def test_a_head_goes_where_most_is_free() -> None:
    assert best_first(40, [10, 20, 40], NAMES) == ["wide", "empty", "half", "tight", "full"]


def test_a_filler_goes_to_the_fullest_open_host_and_opens_none_before_that() -> None:
    assert best_first(10, [10, 20, 40], NAMES) == ["full", "tight", "half", "wide", "empty"]


def test_a_host_without_a_fresh_report_is_last() -> None:
    made = snapshot([host("old", fresh=False), host("full", containers_mb=100)])
    weights = rank(made, CONTAINER, Resources(memory_mb=1), ["old", "new", "full"]).weights
    assert (weights[0], weights[1]) == (-1, -1)
    assert weights[2] == 0


def test_the_first_task_of_a_framework_is_a_head() -> None:
    made = snapshot(HOSTS)
    assert rank(made, CONTAINER, Resources(memory_mb=1), NAMES).rule.role is Role.HEAD


def test_the_ranking_tells_its_rule() -> None:
    made = snapshot(HOSTS, demands_mb=[10, 20, 40])
    assert rank(made, CONTAINER, Resources(memory_mb=10), NAMES).text == (
        "filler (1.69% of the pool, heads from 3.39%): open host with least memory_mb free first"
    )


@pytest.mark.parametrize(
    ("demands_mb", "threshold"),
    [
        ([], 0),
        ([30], Fraction(3, 10)),
        ([10, 30], Fraction(3, 10)),
        ([30, 10, 20], Fraction(2, 10)),
    ],
)
def test_heads_are_the_large_half(demands_mb: list[int], threshold: Fraction) -> None:
    made = snapshot([host("a")], demands_mb=demands_mb)
    assert made.pools[DEFAULT_POOL].frameworks[CONTAINER].head_threshold == threshold


@given(st.lists(st.integers(1, 100), min_size=1), st.permutations(NAMES))
def test_at_least_half_are_heads_and_the_order_of_hosts_changes_nothing(
    demands_mb: list[int], names: list[str]
) -> None:
    made = snapshot(HOSTS, demands_mb=demands_mb)
    roles = [rank(made, CONTAINER, Resources(memory_mb=d), NAMES).rule.role for d in demands_mb]
    assert 2 * roles.count(Role.HEAD) >= len(demands_mb)
    here = rank(made, CONTAINER, Resources(memory_mb=5), names).weights
    there = rank(made, CONTAINER, Resources(memory_mb=5), NAMES).weights
    assert dict(zip(names, here, strict=True)) == dict(zip(NAMES, there, strict=True))


POOL = Resources(vcpu=40, memory_mb=400)
VCPU, MEMORY = 0, 1
ALWAYS_HEAD, ALWAYS_FILLER = 0, 1


def cluster(
    *hosts: Host, threshold: Number = ALWAYS_HEAD, wanted: tuple[int, int] = (0, 0)
) -> Snapshot:
    """Make a cluster of which only what ranking reads is set."""
    framework = Framework(
        HYPERVISOR, 1, Resources(), Resources(*wanted), Fraction(1, 2), 0, 0, threshold
    )
    by_name = {each.name: each for each in hosts}
    pool = Pool(DEFAULT_POOL, POOL, {HYPERVISOR: framework})
    return Snapshot(1, 1, 0.0, {DEFAULT_POOL: pool}, by_name)


def room(
    name: str, vcpu: Number = 0, memory_mb: int = 0, tasks: int = 0, *, fresh: bool = True
) -> Host:
    """Make a host with so much free."""
    used = {HYPERVISOR: Resources(10 - vcpu, 100 - memory_mb)}
    return Host(name, Resources(10, 100), used=used, task_count=tasks, fresh=fresh)


def order(ranking: Ranking, names: Sequence[str]) -> list[str]:
    """Sort hosts as the schedulers do."""
    weighed = sorted(zip(ranking.scores, names, strict=True), key=lambda each: -each[0])
    assert ranking.best_first()[0] == tuple(name for _, name in weighed)
    return [name for _, name in weighed]


@pytest.mark.parametrize(
    ("vcpu", "role"), [(9, Role.FILLER), (10, Role.HEAD), (11, Role.HEAD), (0, Role.FILLER)]
)
def test_a_task_as_large_as_the_threshold_is_a_head(vcpu: int, role: Role) -> None:
    made = cluster(threshold=Fraction(1, 4))
    assert rank(made, HYPERVISOR, Resources(vcpu=vcpu), []).rule.role is role


def test_a_head_goes_to_the_host_with_the_most_of_its_dominant_resource_free() -> None:
    names = ["few", "most", "gone", "some", "silent", "overfull", "none"]
    made = cluster(
        room("few", vcpu=2, memory_mb=90, tasks=1),
        room("most", vcpu=8, memory_mb=10, tasks=3),
        room("some", vcpu=Fraction(9, 2)),
        room("silent", vcpu=10, fresh=False),
        room("overfull", vcpu=-3),
        room("none", vcpu=0),
    )
    ranking = rank(made, HYPERVISOR, Resources(vcpu=5, memory_mb=5), names)
    text = "head (12.50% of the pool, heads from 0.00%): most vcpu free first"
    assert ranking.rule == Rule(Role.HEAD, VCPU, text)
    assert ranking.weights == (2, 8, -1, Fraction(9, 2), -1, 0, 0)
    assert ranking.text == text


def test_a_filler_goes_to_open_hosts_least_free_first_and_then_to_empty_ones() -> None:
    names = ["empty", "open-most", "gone", "open-least", "silent", "emptier", "open-some"]
    made = cluster(
        room("empty", vcpu=9, memory_mb=1),
        room("open-most", vcpu=10, memory_mb=2, tasks=1),
        room("open-least", vcpu=1, memory_mb=3, tasks=5),
        room("silent", vcpu=1, tasks=1, fresh=False),
        room("emptier", vcpu=10, memory_mb=0),
        room("open-some", vcpu=4, memory_mb=4, tasks=2),
        threshold=Fraction(1, 3),
    )
    ranking = rank(made, HYPERVISOR, Resources(vcpu=1), names)
    assert order(ranking, names) == [
        "open-least",
        "open-some",
        "open-most",
        "emptier",
        "empty",
        "gone",
        "silent",
    ]
    assert ranking.weights == (9, 11, -1, 20, -1, 10, 17)
    assert (ranking.rule.role, ranking.rule.resource, ranking.text) == (
        Role.FILLER,
        VCPU,
        "filler (2.50% of the pool, heads from 33.33%): open host with least vcpu free first",
    )


@pytest.mark.parametrize(
    ("wanted", "demand", "resource"),
    [
        ((0, 0), (1, 11), MEMORY),
        # A tie goes to the first resource.
        ((0, 0), (1, 10), VCPU),
        # What the framework as a whole wants decides, with this task.
        ((4, 0), (1, 20), VCPU),
        ((4, 0), (1, 51), MEMORY),
    ],
)
@pytest.mark.parametrize("threshold", [ALWAYS_HEAD, ALWAYS_FILLER])
def test_hosts_are_ranked_by_the_resource_that_its_framework_wants_most(
    wanted: tuple[int, int], demand: tuple[int, int], resource: int, threshold: int
) -> None:
    one, two = room("one", vcpu=3, memory_mb=7, tasks=1), room("two", vcpu=7, memory_mb=3, tasks=1)
    made = cluster(one, two, threshold=threshold, wanted=wanted)
    ranking = rank(made, HYPERVISOR, Resources(*demand), ["one", "two"])
    assert ranking.rule.resource == resource
    assert Resources._fields[resource] in ranking.text
    assert (ranking.weights[0] > ranking.weights[1]) is (
        (resource == MEMORY) is (ranking.rule.role is Role.HEAD)
    )


def test_the_task_of_an_unknown_framework_is_a_head_by_its_own_demand() -> None:
    made = cluster(room("one", vcpu=3, memory_mb=7), threshold=ALWAYS_FILLER)
    ranking = rank(made, "bare_metal", Resources(vcpu=1, memory_mb=100), ["one"])
    assert (ranking.rule.role, ranking.rule.resource, ranking.weights) == (Role.HEAD, MEMORY, (7,))


_AMOUNTS = st.integers(-1, 10) | st.fractions(0, 10)
_HOSTS = st.builds(
    room,
    name=st.just("?"),
    vcpu=_AMOUNTS,
    memory_mb=st.just(0),
    tasks=st.integers(0, 2),
    fresh=st.booleans(),
)


def by_the_book(found: Host, role: Role) -> tuple[int, Number, str]:
    """Say by which key hosts are sorted, in words as in the design: smaller is better, and equals go by name."""
    if not found.fresh:
        return (2, 0, "")
    free = max(0, found.free[VCPU])
    if role is Role.HEAD:
        return (0, -free, found.name)
    return (0, free, found.name) if found.task_count else (1, -free, found.name)


@given(
    st.lists(_HOSTS, max_size=8),
    st.sampled_from([ALWAYS_HEAD, ALWAYS_FILLER]),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_scores_order_any_hosts_exactly_as_the_rules_say(
    drawn: list[Host], threshold: int, shuffler: random.Random
) -> None:
    named = {f"h{index}": replace(each, name=f"h{index}") for index, each in enumerate(drawn)}
    made = cluster(*named.values(), threshold=threshold)
    names = list(named)
    shuffler.shuffle(names)
    ranking = rank(made, HYPERVISOR, Resources(vcpu=1), names)
    keys = {name: by_the_book(each, ranking.rule.role) for name, each in named.items()}
    assert order(ranking, names) == sorted(names, key=keys.__getitem__)
    weight_of = dict(zip(names, ranking.weights, strict=True))
    for one in named:
        for other in named:
            assert (weight_of[one] == weight_of[other]) is (keys[one][:2] == keys[other][:2])
    assert all((weight_of[name] == -1) is not each.fresh for name, each in named.items())
    assert all(0 <= score <= 1 for score in ranking.scores)
    assert ranking.best_first()[1] == tuple(sorted(ranking.weights, reverse=True))


def test_hosts_with_the_same_room_differ_by_next_to_nothing_and_by_name() -> None:
    names = [f"host-{index:04d}" for index in range(1000)]
    made = cluster(*(room(name, vcpu=5, tasks=1) for name in names))
    for asked in (names, names[:2], names[::-500]):
        ranking = rank(made, HYPERVISOR, Resources(vcpu=1), asked)
        assert max(ranking.scores) < 1e-8
        assert order(ranking, asked) == sorted(asked)


def test_scores_are_spread_in_proportion_to_the_room() -> None:
    made = cluster(*(room(name, vcpu=vcpu) for name, vcpu in (("a", 2), ("b", 5), ("c", 8))))
    assert rank(made, HYPERVISOR, Resources(vcpu=1), ["c", "a", "b"]).scores == [1.0, 0.0, 0.5]
    # Hosts that are not candidates change nothing.
    assert rank(made, HYPERVISOR, Resources(vcpu=1), ["a", "b"]).scores == [0.0, 1.0]


def test_a_planned_host_that_passed_is_the_first_and_leaves_the_others_as_they_are() -> None:
    made = cluster(*(room(name, vcpu=vcpu) for name, vcpu in (("a", 2), ("b", 5), ("c", 8))))
    names = ["c", "a", "b"]
    ranking = rank(made, HYPERVISOR, Resources(vcpu=1), names, planned_host="a")
    assert order(ranking, names) == ["a", "c", "b"]
    assert (ranking.planned, ranking.scores) == (1, [1.0, PLANNED, 0.5])
    assert ranking.weights == (8, 9, 5)
    assert ranking.text.startswith("planned for host a; head (2.50% of the pool")


def test_a_planned_host_that_did_not_pass_leaves_the_rule() -> None:
    made = cluster(*(room(name, vcpu=vcpu) for name, vcpu in (("a", 2), ("b", 5), ("c", 8))))
    ranking = rank(made, HYPERVISOR, Resources(vcpu=1), ["a", "b"], planned_host="c")
    assert order(ranking, ["a", "b"]) == ["b", "a"]
    assert ranking.planned is None
    assert ranking.text.startswith(
        "planned for host c, which was not among the hosts that passed; head ("
    )


def test_a_task_for_several_pools_is_judged_by_that_of_the_first_host_by_name() -> None:
    made = cluster(room("a", vcpu=1, memory_mb=2), room("b", vcpu=2, memory_mb=1))
    narrow = Pool("narrow", Resources(vcpu=1, memory_mb=1000), {})
    hosts = {"a": replace(made.hosts["a"], pool="narrow"), "b": made.hosts["b"]}
    made = replace(made, pools={**made.pools, "narrow": narrow}, hosts=hosts)
    for names in (["a", "b"], ["b", "a"]):
        ranking = rank(made, HYPERVISOR, Resources(vcpu=1, memory_mb=100), names)
        assert ranking.rule.resource == VCPU
    assert rank(made, HYPERVISOR, Resources(vcpu=1, memory_mb=100), ["b"]).rule.resource == MEMORY
