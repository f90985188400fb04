# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.overcommit import Lending
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.relieve import Relieve
from hybrid_sched.core.resources import Resources
from hybrid_sched.simulation.load_series import LoadSeries
from hybrid_sched.simulation.overcommit import (
    Day,
    bound,
    judge,
    learn,
    place_by_hindsight,
    place_by_ratio,
    place_by_use,
    world_of,
)
from hybrid_sched.simulation.rebalance import Nothing, Watchdog
from hybrid_sched.simulation.rebalance_world import ScenarioError, Shapes

SHAPES = Shapes(hosts=(Resources(8, 65536),), guests=(Resources(4, 4096),))
LENDING = Lending(margin=0.0, deviations=2.0)


def day(rows, learned=12, shapes=SHAPES):
    use = np.array(rows, dtype=float)
    return Day(LoadSeries(tuple(f"g{n:02}" for n in range(len(use))), use), shapes, learned)


def load_of(day, placed):
    return np.bincount(placed, weights=[float(SHAPES.guests[0].vcpu)] * len(placed))


def test_without_overcommit_no_host_has_more_declared_than_it_has():
    made = day(np.full((8, 24), 0.1))
    assert load_of(made, place_by_ratio(made, 1)).tolist() == [8] * 4
    assert load_of(made, place_by_ratio(made, 2)).tolist() == [16] * 2


def test_guests_are_lent_what_others_leave_idle():
    made = day(np.full((16, 24), 0.25))
    history = learn(made, Parameters())
    # Each uses one of its 4 CPUs all the time.
    placed = place_by_use(made, LENDING, history)
    assert np.bincount(placed).tolist() == [8, 8]
    half = place_by_use(made, Lending(margin=0.5, deviations=2.0), history)
    assert np.bincount(half).tolist() == [4] * 4


def test_what_varies_is_lent_less():
    steady = day(np.full((16, 24), 0.25))
    varied = day(np.tile([0.0, 0.5], (16, 12)))
    hosts = [
        max(place_by_use(each, LENDING, learn(each, Parameters()))) for each in (steady, varied)
    ]
    assert hosts[0] < hosts[1]


def test_a_guest_that_was_measured_for_too_short_a_time_is_lent_nothing():
    made = day(np.full((8, 24), 0.25), learned=3)
    placed = place_by_use(made, LENDING, learn(made, Parameters()))
    assert placed == place_by_ratio(made, 1)


def test_memory_is_never_overcommitted():
    shapes = Shapes(hosts=(Resources(8, 8192),), guests=(Resources(4, 4096),))
    made = day(np.full((8, 24), 0.01), shapes=shapes)
    for placed in (
        place_by_ratio(made, 8),
        place_by_use(made, LENDING, learn(made, Parameters())),
        place_by_hindsight(made),
    ):
        assert np.bincount(placed).tolist() == [2] * 4


def test_the_net_takes_back_what_was_lent_to_a_host_that_needs_it():
    rows = np.full((16, 48), 0.25)
    made = day(rows)
    placed = place_by_use(made, Lending(margin=0.25, deviations=2.0), learn(made, Parameters()))
    # Guests of the first host become busier than anybody could tell.
    rows[np.array(placed) == 0, 12:] = 0.4
    made = day(rows)
    history = learn(made, Parameters())
    parameters = Parameters(deviations=0.0, limits=(0.98, *Parameters().limits[1:]))
    without = judge("p", "none", Nothing(), world_of(made, placed, 16), 12)
    watchdog = Watchdog(Relieve(), parameters, history)
    with_net = judge("p", "relieve", watchdog, world_of(made, placed, 16), 12)
    assert without.overload_part == pytest.approx(1 / 3)
    assert with_net.moves > 0
    assert with_net.overload_host_minutes < without.overload_host_minutes / 4
    assert with_net.cpu_util >= without.cpu_util
    assert without.missed_part == pytest.approx((9.6 - 8) / (9.6 + 10))


def test_figures_are_of_the_hosts_in_use():
    made = day(np.full((8, 24), 0.25))
    outcome = judge("p", "none", Nothing(), world_of(made, place_by_ratio(made, 2), 2), 12)
    assert (outcome.hosts_first, outcome.hosts_mean, outcome.hosts_peak) == (2, 2.0, 2)
    assert outcome.cpu_util == pytest.approx(0.5)
    assert outcome.memory_declared == pytest.approx(0.25)
    assert outcome.overload_part == outcome.missed_part == outcome.moves == 0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(4, 20))
def test_nobody_betters_the_bound_without_overload(seed, guests):
    use = np.random.default_rng(seed).random((guests, 18)) ** 3
    made = day(use)
    least = bound(made)
    history = learn(made, Parameters())
    for placed in (
        place_by_ratio(made, 1),
        place_by_use(made, LENDING, history),
        place_by_hindsight(made),
    ):
        outcome = judge("p", "none", Nothing(), world_of(made, placed, 16), 12)
        if outcome.missed_part == 0:
            assert outcome.hosts_mean >= least.hosts_mean
            assert outcome.cpu_util <= least.cpu_util + 1e-9


def test_hindsight_is_not_overloaded_and_needs_no_more_than_no_overcommit():
    use = np.random.default_rng(7).random((40, 40)) ** 3
    made = day(use)
    placed = place_by_hindsight(made)
    assert max(placed) < max(place_by_ratio(made, 1))
    assert judge("h", "none", Nothing(), world_of(made, placed, 16), 12).missed_part == 0


@pytest.mark.parametrize("learned", [0, 24])
def test_a_day_without_periods_to_judge_is_refused(learned):
    with pytest.raises(ScenarioError, match="periods to learn from"):
        day(np.full((2, 24), 0.1), learned=learned)


def test_a_guest_larger_than_a_host_is_refused():
    shapes = Shapes(hosts=(Resources(2, 65536),), guests=(Resources(4, 4096),))
    with pytest.raises(ScenarioError, match=r"guest 1 of 4 CPUs .* has no room"):
        place_by_ratio(day(np.full((1, 24), 0.1), shapes=shapes), 1)
