# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core import cpu_time
from hybrid_sched.core.limits import LEAST_SHARES, MOST_SHARES

_shares = st.integers(LEAST_SHARES, MOST_SHARES)
_weights = st.integers(cpu_time.LEAST_WEIGHT, cpu_time.MOST_WEIGHT)


@pytest.mark.parametrize(
    ("cores", "quota_and_period"),
    [
        (1, (20_000, 20_000)),
        (Fraction(3, 2), (30_000, 20_000)),
        (Fraction(1, 3), (6_667, 20_001)),
        (Fraction(307, 1024), (6_140, 20_480)),
        # A thousandth of a core is the least that the kernel takes.
        (Fraction(1, 1000), (1_000, 1_000_000)),
        (Fraction(1, 5000), (1_000, 1_000_000)),
        (Fraction(1, 2_000_001), (1_000, 1_000_000)),
        (1000, (20_000_000, 20_000)),
    ],
)
def test_a_quota_is_a_whole_number_of_a_period_near_the_wanted_one(
    cores: Fraction, quota_and_period: tuple[int, int]
) -> None:
    assert cpu_time.bandwidth(cores) == quota_and_period


@given(st.integers(1, 1024 * 512), st.integers(1, 100))
def test_cores_of_shares_and_percent_come_back_exactly(shares: int, percent: int) -> None:
    cores = Fraction(shares, 1024) * Fraction(percent, 100)
    quota_us, period_us = cpu_time.bandwidth(cores)
    assert 1_000 <= period_us <= 1_000_000
    assert quota_us >= 1_000
    if cores >= Fraction(1, 500):
        assert cpu_time.cores_of(quota_us, period_us) == cores


@given(st.integers(1_000, 10**6), st.integers(1_000, 10**6))
def test_cores_of_any_quota_of_the_kernel_come_back_exactly(quota_us: int, period_us: int) -> None:
    cores = cpu_time.cores_of(quota_us, period_us)
    assert cpu_time.cores_of(*cpu_time.bandwidth(cores)) == cores


def test_whole_cores_keep_their_shares_on_the_kernels_scale() -> None:
    for cores in range(1, 101):
        assert cpu_time.weight_of(1024 * cores) == 100 * cores
        assert cpu_time.shares_of(100 * cores) == 1024 * cores


@given(_shares)
def test_weights_on_either_scale_are_within_the_kernels_range(shares: int) -> None:
    for weight in (cpu_time.weight_of(shares), cpu_time.oci_weight_of(shares)):
        assert cpu_time.LEAST_WEIGHT <= weight <= cpu_time.MOST_WEIGHT


@given(_weights)
def test_a_weight_comes_back_from_its_shares_on_either_scale(weight: int) -> None:
    assert cpu_time.weight_of(cpu_time.shares_of(weight)) == weight
    assert cpu_time.oci_weight_of(cpu_time.oci_shares_of(weight)) == weight


@pytest.mark.parametrize(
    ("shares", "weight", "newer"),
    [(2, 1, 1), (1024, 39, 100), (262144, 10000, 10000)],
)
def test_weights_are_those_of_container_runtimes(shares: int, weight: int, newer: int) -> None:
    assert cpu_time.oci_weight_of(shares) == weight
    assert cpu_time.newer_oci_weight_of(shares) == newer


@given(st.fractions(Fraction(1, 100_000), 4096, max_denominator=100_000))
def test_bandwidth_is_the_amount_of_cpu_in_what_the_kernel_takes(cores: Fraction) -> None:
    quota_us, period_us = cpu_time.bandwidth(cores)
    assert 1_000 <= period_us <= 1_000_000
    assert quota_us >= 1_000
    # The quota is whole microseconds, and a thousandth of a core is the least.
    assert abs(quota_us - max(cores, Fraction(1, 1000)) * period_us) <= Fraction(1, 2)
