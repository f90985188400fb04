# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest

from hybrid_sched.core.resources import (
    Resources,
    dominant_resource,
    dominant_share,
    exact,
    fits,
    total,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        ("3/4", Fraction(3, 4)),
        ("8/4", 2),
        ("0.25", Fraction(1, 4)),
        (0.1, Fraction(1, 10)),
        (2.0, 2),
        (Fraction(6, 3), 2),
    ],
)
def test_exact_reads_numbers_as_they_are_written(value, number):
    assert exact(value) == number
    assert isinstance(exact(value), type(number))


@pytest.mark.parametrize("value", [True, None, "", "x", "1/0", float("nan"), float("inf"), [1]])
def test_exact_refuses_what_is_no_number(value):
    with pytest.raises(ValueError, match="is not"):
        exact(value)


@pytest.mark.parametrize(
    ("amounts", "fault"),
    [({"gpu": 1}, "gpu"), ({"vcpu": -1}, "vcpu.*negative"), ({"memory_mb": "x"}, "memory_mb")],
)
def test_parse_names_the_resource_at_fault(amounts, fault):
    with pytest.raises(ValueError, match=fault):
        Resources.parse(amounts)


def test_parse_and_declared_are_inverse():
    amounts = {"vcpu": Fraction(1, 2), "net_in_bps": 10}
    assert Resources.parse(amounts).declared() == amounts


def test_ties_of_the_dominant_resource_go_to_the_lowest_index():
    assert dominant_resource((1, 2, 2), (4, 4, 4)) == 1
    assert dominant_resource((), ()) == 0


def test_a_resource_of_which_there_is_none_is_not_counted():
    assert dominant_share((1, 5), (4, 0)) == Fraction(1, 4)
    assert dominant_share((), ()) == 0


def test_a_third_of_a_core_three_times_fills_a_core_exactly():
    third = Fraction(1, 3)
    assert total([(third,)] * 3, 1) == (1,)
    assert fits((third,), (1 - 2 * third,))
