# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.isolators import group_values as values


@given(st.fractions(min_value=Fraction(1, 1000), max_value=4096, max_denominator=1000))
def test_a_quota_is_exact_and_within_the_kernels_bounds(cores: Fraction) -> None:
    quota, period = values.quota_and_period(cores)
    assert values.cores(quota, period) == cores
    assert quota >= 1_000
    assert 1_000 <= period <= 1_000_000


@given(st.fractions(min_value=Fraction(1, 10**9), max_value=4096))
def test_any_quota_is_one_that_the_kernel_takes_and_within_a_millionth(cores: Fraction) -> None:
    quota, period = values.quota_and_period(cores)
    assert quota >= 1_000
    assert 1_000 <= period <= 1_000_000
    assert abs(Fraction(quota, period) - max(cores, Fraction(1, 1000))) <= Fraction(1, 10**6)


def test_usual_quotas_have_the_usual_period() -> None:
    assert values.quota_and_period(Fraction(3, 2)) == (150_000, 100_000)
    assert values.quota_and_period(2) == (200_000, 100_000)
    assert values.cores(200_000, 100_000) == 2


@given(st.frozensets(st.integers(min_value=0, max_value=300)))
def test_cpus_are_read_as_they_were_written(cpus: frozenset[int]) -> None:
    assert values.cpus_from_text(values.cpus_to_text(cpus)) == cpus


def test_ranges_of_cpus_are_read() -> None:
    assert values.cpus_from_text("0-2,5\n") == {0, 1, 2, 5}
    assert values.cpus_from_text("\n") == frozenset()


@pytest.mark.parametrize(
    ("number", "mib"),
    [(0, 0), (2**20, 1), (2**20 + 1, 2), (9223372036854771712, None), (2**63 - 1, None)],
)
def test_bytes_in_mib(number: int, mib: int | None) -> None:
    assert values.mib(number) == mib
