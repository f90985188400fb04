# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.agent.differences import differing, everywhere, is_near, merged
from hybrid_sched.agent.records import Record, limits_from_json, limits_to_json
from hybrid_sched.core.limits import Aspect, Limits

rates = st.none() | st.integers(1, 2**40)
limits = st.builds(
    Limits,
    cpu_quota=st.none() | st.fractions(0, 512).filter(bool),
    cpu_weight=st.none() | st.integers(2, 262_144),
    cpus=st.none() | st.frozensets(st.integers(0, 255)),
    memory_mb=st.none() | st.integers(1, 2**30),
    memory_low_mb=st.none() | st.integers(1, 2**30),
    disk_read_bps=rates,
    disk_write_bps=rates,
    net_in_bps=rates,
    net_out_bps=rates,
)
aspects = st.frozensets(st.sampled_from(Aspect))


@given(limits)
def test_limits_come_back_from_the_file_as_they_were(some: Limits) -> None:
    assert limits_from_json(limits_to_json(some)) == some


@given(limits, limits, aspects)
def test_what_is_merged_differs_in_nothing_that_was_taken(
    onto: Limits, other: Limits, some: frozenset[Aspect]
) -> None:
    result = merged(onto, other, some)
    assert not result.differing(other, some)
    assert not result.differing(onto, set(Aspect) - some)


@given(limits, limits, aspects)
def test_without_a_record_whatever_is_not_equal_differs(
    wanted: Limits, actual: Limits, some: frozenset[Aspect]
) -> None:
    assert differing(wanted, actual, some, None) == wanted.differing(actual, some)


@given(limits, limits, limits, aspects)
def test_what_was_confirmed_is_right_as_it_was_read_then_and_in_no_other_way(
    wanted: Limits, settled: Limits, other: Limits, some: frozenset[Aspect]
) -> None:
    record = Record("made", confirmed=some, held=wanted, settled=settled)
    assert not differing(wanted, settled, some, record)
    assert differing(wanted, other, Aspect, record) == {
        each
        for each in wanted.differing(other, Aspect)
        if each not in some or settled.differing(other, [each])
    }


@pytest.mark.parametrize(
    ("aspect", "wanted", "actual", "near"),
    [
        (Aspect.CPU_QUOTA, Fraction(1, 3), Fraction(33333, 100000), True),
        (Aspect.CPU_QUOTA, Fraction(1, 3), Fraction(1, 2), False),
        # Shares 1024 are a weight of 39 or 40 in version 2 of control groups.
        (Aspect.CPU_WEIGHT, 1024, 998, True),
        (Aspect.CPU_WEIGHT, 1024, 512, False),
        (Aspect.MEMORY, 64, 64, True),
        (Aspect.MEMORY, 64, 128, False),
        (Aspect.MEMORY, 64, None, False),
        (Aspect.MEMORY, None, 64, False),
        (Aspect.MEMORY, None, None, True),
        (Aspect.CPUS, frozenset({1}), frozenset({1}), True),
        (Aspect.CPUS, frozenset({1}), frozenset({1, 2}), False),
        (Aspect.NET_IN, 10**7, 10**7 + 10**5, True),
        (Aspect.NET_IN, 10**7, 2 * 10**7, False),
    ],
)
def test_only_what_the_kernel_rounds_is_near(
    aspect: Aspect, wanted: object, actual: object, near: bool
) -> None:
    assert is_near(wanted, actual, aspect) is near


def test_no_limit_of_cpus_is_all_of_them() -> None:
    cpus = frozenset({0, 1})
    assert everywhere(Limits(), cpus) == everywhere(Limits(cpus=cpus | {9}), cpus)
    assert everywhere(Limits(cpus=frozenset({1})), cpus).cpus == {1}
