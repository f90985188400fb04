# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core import drf
from hybrid_sched.core.dispatch.fair import FairFill, FairPacking
from hybrid_sched.core.dispatch.floor import Floor, FloorHost, FloorTask
from hybrid_sched.core.packing.ffd import FirstFitDecreasing

DEMAND = st.tuples(st.integers(1, 4), st.integers(1, 4))
WEIGHT = st.sampled_from([1, 2, Fraction(1, 3), Fraction(5, 2)])


def floor_of(tasks, hosts, weights=(1, 1)):
    floor = Floor(
        [FloorTask(*task) for task in tasks], [FloorHost(*host) for host in hosts], weights
    )
    for task in range(len(tasks)):
        floor.arrive(task)
    return floor


@settings(deadline=None)
@given(
    queues=st.lists(st.lists(DEMAND, max_size=6), min_size=2, max_size=2),
    weights=st.tuples(WEIGHT, WEIGHT),
)
def test_turns_are_those_of_weighted_drf(queues, weights):
    """On one host with room for all, the order of starts is that of the discrete filling."""
    tasks = [(framework, demand) for framework, queue in enumerate(queues) for demand in queue]
    capacity = (100, 100)
    floor = floor_of(tasks, [(capacity,)], weights)
    backlogs = [
        drf.Backlog(str(framework), queue, weight)
        for framework, (queue, weight) in enumerate(zip(queues, weights, strict=True))
    ]
    expected = drf.discrete([drf.ScoredHost(capacity)], backlogs)
    FairPacking(FirstFitDecreasing())(floor)
    assert [Fraction(key, floor.unit) for key in floor.keys] == list(expected.keys)
    assert [floor.share(f) for f in (0, 1)] == list(expected.shares)


@settings(deadline=None)
@given(
    queues=st.lists(st.lists(DEMAND, min_size=1, max_size=8), min_size=2, max_size=2),
    weights=st.tuples(WEIGHT, WEIGHT),
    capacity=st.tuples(st.integers(4, 12), st.integers(4, 12)),
)
def test_a_full_pool_is_shared_as_the_discrete_filling_shares_it(queues, weights, capacity):
    """The first turns that fit one after the other are granted alike."""
    tasks = [(framework, demand) for framework, queue in enumerate(queues) for demand in queue]
    floor = floor_of(tasks, [(capacity,)], weights)
    backlogs = [
        drf.Backlog(str(framework), queue, weight)
        for framework, (queue, weight) in enumerate(zip(queues, weights, strict=True))
    ]
    strict = drf.discrete([drf.ScoredHost(capacity)], backlogs, strict=True)
    FairPacking(FirstFitDecreasing())(floor)
    started = [task for task, _ in floor.take_started()]
    for framework, granted in enumerate(strict.granted):
        first = sum(map(len, queues[:framework]))
        assert set(range(first, first + granted)) <= set(started)


def test_scores_scale_what_is_charged():
    floor = floor_of([(0, (2, 2)), (1, (2, 2))], [((4, 4), Fraction(1, 2)), ((4, 4), 1)])
    floor.start(0, 0)
    floor.start(1, 1)
    assert (floor.share(0), floor.share(1)) == (Fraction(1, 6), Fraction(1, 3))


def test_no_task_starts_where_it_must_not():
    floor = floor_of([(0, (2, 2)), (0, (2, 2)), (1, (5, 1))], [((4, 4), 1, 0), ((4, 4), 1, 1)])
    for task, host in ((1, 0), (2, 1), (0, 1)):
        with pytest.raises(ValueError, match=r"task|host"):
            floor.start(task, host)
    floor.start(0, 0)
    assert floor.free == [(2, 2), (4, 4)]
    floor.end(0)
    assert floor.free == [(4, 4), (4, 4)]
    assert floor.keys == [0, 0]


def test_those_who_last_longest_are_known_by_what_ended_and_by_what_still_runs():
    floor = floor_of([(0, (1, 1)), (1, (1, 1)), (1, (2, 1))], [((8, 8),)])
    assert floor.lasting() == 0
    for task in range(3):
        floor.start(task, 0)
    floor.now_s = 10.0
    floor.end(1)
    assert floor.lasting() == 0
    floor.now_s = 12.0
    floor.end(0)
    floor.now_s = 100.0
    floor.end(2)
    assert floor.lasting() == 1


def test_best_fit_takes_the_largest_task_and_the_fullest_host():
    floor = floor_of([(0, (1, 1)), (0, (1, 3))], [((4, 8),), ((4, 3),), ((4, 4),)])
    FairFill()(floor)
    assert floor.take_started() == [(1, 1), (0, 2)]


def test_a_lead_is_no_less_than_0():
    with pytest.raises(ValueError, match="give 0 or more"):
        FairFill(Fraction(-1))
