# SPDX-License-Identifier: Apache-2.0
"""CPU quotas and CPU weights in the units of the kernel's control groups, and back."""

from __future__ import annotations

import math
from fractions import Fraction

from hybrid_sched.core.limits import LEAST_SHARES, MOST_SHARES, SHARES_A_CORE
from hybrid_sched.core.resources import Number, simplest

#: The kernel's limits and its default, microseconds; a quota and a period have the same lower one.
SHORTEST_US = 1_000
LONGEST_PERIOD_US = 1_000_000
DEFAULT_PERIOD_US = 100_000
#: The period that is wanted. Tasks that used up their quotas all start again with the period, and are in each other's way until
#: they are held back again: the shorter it is, the sooner a neighbour has its turn.
WANTED_PERIOD_US = 20_000
#: ``cpu.weight`` of version 2; the default stands for one core, as 1024 shares do in version 1.
LEAST_WEIGHT, DEFAULT_WEIGHT, MOST_WEIGHT = 1, 100, 10_000


def bandwidth(cores: Number) -> tuple[int, int]:
    """Give a quota and a period, microseconds, that allow so many cores.

    The period is the one nearest to :data:`WANTED_PERIOD_US` of which the quota is a whole number of microseconds, so that
    :func:`cores_of` gives back the same cores. Where there is none (the denominator of the cores is above a million), or where
    the kernel takes no quota so small (below 1/1000 of a core), it is the nearest that the kernel takes.

    :param cores: above 0.
    """
    wanted = Fraction(cores)
    # Both are this many times the numerator and the denominator.
    least = max(-(-SHORTEST_US // wanted.numerator), -(-SHORTEST_US // wanted.denominator))
    most = LONGEST_PERIOD_US // wanted.denominator
    if least <= most:
        times = min(most, max(least, round(Fraction(WANTED_PERIOD_US, wanted.denominator))))
        return wanted.numerator * times, wanted.denominator * times
    return max(SHORTEST_US, round(wanted * LONGEST_PERIOD_US)), LONGEST_PERIOD_US


def cores_of(quota_us: int, period_us: int) -> Number:
    """Give the cores that a quota of each period allows."""
    return simplest(Fraction(quota_us, period_us))


def weight_of(shares: int) -> int:
    """Give ``cpu.weight`` for CPU shares on the kernel's own scale, which makes 100 of 1024 (``sched_weight_to_cgroup``)."""
    weight = round(Fraction(shares * DEFAULT_WEIGHT, SHARES_A_CORE))
    return min(MOST_WEIGHT, max(LEAST_WEIGHT, weight))


def shares_of(weight: int) -> int:
    """Give CPU shares for ``cpu.weight`` on the kernel's own scale; exact for whole cores up to 100."""
    return round(Fraction(weight * SHARES_A_CORE, DEFAULT_WEIGHT))


def oci_weight_of(shares: int) -> int:
    """Give ``cpu.weight`` for CPU shares as runc up to 1.3 does, which maps the two ranges linearly: 39 of 1024."""
    return 1 + (shares - LEAST_SHARES) * (MOST_WEIGHT - 1) // (MOST_SHARES - LEAST_SHARES)


def newer_oci_weight_of(shares: int) -> int:
    """Give ``cpu.weight`` for CPU shares as newer runc and crun do, which make the kernel's default 100 of 1024."""
    power = math.log2(shares)
    return math.ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def oci_shares_of(weight: int) -> int:
    """Give the least CPU shares that :func:`oci_weight_of` makes this weight of."""
    steps = (weight - 1) * (MOST_SHARES - LEAST_SHARES)
    return LEAST_SHARES + -(-steps // (MOST_WEIGHT - 1))
