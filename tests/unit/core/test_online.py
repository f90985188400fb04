# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from clusters import host, snapshot
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.online import Role, head_threshold, rank
from hybrid_sched.core.resources import Resources

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
    assert rank(made, CONTAINER, Resources(memory_mb=1), NAMES).role is Role.HEAD


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
    demands = [Resources(memory_mb=each) for each in demands_mb]
    assert head_threshold(demands, Resources(memory_mb=100)) == threshold


@given(st.lists(st.integers(1, 100), min_size=1), st.permutations(NAMES))
def test_at_least_half_are_heads_and_the_order_of_hosts_changes_nothing(
    demands_mb: list[int], names: list[str]
) -> None:
    made = snapshot(HOSTS, demands_mb=demands_mb)
    roles = [rank(made, CONTAINER, Resources(memory_mb=d), NAMES).role for d in demands_mb]
    assert 2 * roles.count(Role.HEAD) >= len(demands_mb)
    here = rank(made, CONTAINER, Resources(memory_mb=5), names).weights
    there = rank(made, CONTAINER, Resources(memory_mb=5), NAMES).weights
    assert dict(zip(names, here, strict=True)) == dict(zip(NAMES, there, strict=True))
