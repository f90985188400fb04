# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from hybrid_sched.simulation.blind import Fairness, Kind, earliest_end_min, least_running
from hybrid_sched.simulation.optimum import NoSolver

TEN_MINUTES = Kind(2, 1, 10, 10)


@pytest.mark.usefixtures("without_or_tools")
def test_without_the_solver_it_says_what_to_install():
    with pytest.raises(NoSolver, match=r"hybrid-sched\[optimum\]"):
        least_running([TEN_MINUTES], 2, 10)


@pytest.mark.parametrize(("memory", "end_min"), [(2, 10), (1, 20), (0.5, 40)])
def test_known_durations_take_as_long_as_their_work(memory, end_min):
    pytest.importorskip("ortools")
    assert earliest_end_min([TEN_MINUTES], memory, None) == end_min


def test_what_is_expected_to_run_is_what_was_started_and_lasts():
    pytest.importorskip("ortools")
    # In the middle of the step from 5 to 6.25 minutes.
    assert least_running([Kind(1, 1, 0, 10)], 1, 5) == pytest.approx(1 - 5.625 / 10)


def test_a_spread_of_durations_costs_time():
    pytest.importorskip("ortools")
    spread = [Kind(40, 1, 5, 15)]
    assert earliest_end_min(spread, 20, None) > earliest_end_min([Kind(40, 1, 10, 10)], 20, None)


def test_nobody_may_be_started_ahead_of_fair_shares():
    pytest.importorskip("ortools")
    both = [TEN_MINUTES, TEN_MINUTES]
    assert least_running(both, 2, 20, Fairness(0, 11.25)) == pytest.approx(0)
    # The second kind is to start before the others have any share.
    assert least_running(both, 2, 20, Fairness(0, 5)) == math.inf
    assert least_running(both, 2, 20, Fairness(1, 5)) == pytest.approx(0)


def test_fairness_costs_no_less_the_smaller_the_gap():
    pytest.importorskip("ortools")
    kinds = [Kind(6, 2, 30, 30), Kind(12, 1, 10, 10)]
    ends = [earliest_end_min(kinds, 6, gap, (20, 30, 40)) for gap in (0, 0.2, 0.5)]
    assert ends == sorted(ends, reverse=True)
    assert ends[0] > earliest_end_min(kinds, 6, None)
