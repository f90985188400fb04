# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import json
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.resources import Resources
from hybrid_sched.rpc import wire
from hybrid_sched.rpc.wire import LARGEST, BadMessage

numbers = st.integers(0, LARGEST - 1) | st.fractions(0, 1000, max_denominator=10**9)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@given(numbers)
def test_a_number_comes_back_exactly(number: Any) -> None:
    written = json.loads(json.dumps(wire.number_to_wire(number)))
    read = wire.number_from_wire(written, "n")
    assert read == number
    # Whole ones are integers on both sides.
    assert isinstance(written, int) is isinstance(read, int) is (number.denominator == 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "n: True is no exact number: send an integer or 'a/b'"),
        (0.5, "n: 0.5 is no exact number: send an integer or 'a/b'"),
        ("0.5", "n: '0.5' is no exact number: send an integer or 'a/b'"),
        ("-1/2", "n: '-1/2' is no exact number: send an integer or 'a/b'"),
        (" 1/2", "n: ' 1/2' is no exact number: send an integer or 'a/b'"),
        ("1/2\n", r"n: '1/2\n' is no exact number: send an integer or 'a/b'"),
        ("9" * 21 + "/1", "n: '" + "9" * 21 + "/1' is no exact number: send an integer or 'a/b'"),
        ("1/0", "n: '1/0' divides by zero"),
        (-1, "n: -1 is out of range: send 0 or more, below 2**63"),
        (2**63, "n: an integer of 2**63 or more is out of range: send 0 or more, below 2**63"),
        (
            "99999999999999999999/1",
            "n: '99999999999999999999/1' is out of range: send 0 or more, below 2**63",
        ),
    ],
)
def test_what_is_no_exact_number_is_refused(value: object, said: str) -> None:
    with pytest.raises(BadMessage) as refused:
        wire.number_from_wire(value, "n")
    assert str(refused.value) == said


@given(st.builds(Resources, *[numbers] * 6))
def test_a_vector_comes_back_exactly_and_without_its_zeros(vector: Resources) -> None:
    written = json.loads(json.dumps(wire.resources_to_wire(vector)))
    assert written.keys() == vector.declared().keys()
    assert wire.resources_from_wire(written, "v") == vector


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"gold": 1}, "v: unknown resource 'gold': send one of vcpu, memory_mb, "),
        ({"vcpu": -1}, "v.vcpu: -1 is out of range"),
        ({"memory_mb": 0.5}, "v.memory_mb: 0.5 is no exact number"),
        ({"vcpu": True}, "v.vcpu: True is no exact number"),
        ({"vcpu": []}, "v.vcpu: [] is no exact number"),
        ([], "v: [] is not an object with names"),
        ({1: 2}, "v: {1: 2} is not an object with names"),
    ],
)
def test_what_is_no_vector_is_refused_by_the_name_of_its_field(value: object, said: str) -> None:
    # Also when the same was asked before: what was read is remembered.
    for _ in range(2):
        with pytest.raises(BadMessage) as refused:
            wire.resources_from_wire(value, "v")
        assert str(refused.value).startswith(said)


def test_a_vector_that_is_remembered_is_that_of_its_field_and_its_amounts() -> None:
    assert wire.resources_from_wire({"vcpu": 1}, "a") == Resources(vcpu=1)
    # True equals 1 and is none.
    with pytest.raises(BadMessage):
        wire.resources_from_wire({"vcpu": True}, "a")
    with pytest.raises(BadMessage, match=r"^b\.vcpu: "):
        wire.resources_from_wire({"vcpu": "x"}, "b")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: wire.sequence({}, "s", 1), "s: {} is not an array"),
        (lambda: wire.sequence([1, 2], "s", 1), "s: 2 entries, at most 1 are taken"),
        (lambda: wire.text(None, "t", 3), "t: None is not a string"),
        (lambda: wire.text("", "t", 3), "t: is empty"),
        (lambda: wire.text("long", "t", 3), "t: 4 characters, at most 3 are taken"),
        (
            lambda: wire.text("a\nb", "t", 3),
            r"t: 'a\nb' has characters that cannot be printed",
        ),
        (lambda: wire.integer(1.0, "i", 0, 5), "i: 1.0 is not an integer"),
        (lambda: wire.integer(True, "i", 0, 5), "i: True is not an integer"),
        (lambda: wire.integer(6, "i", 0, 5), "i: 6 is not between 0 and 5"),
        (lambda: wire.integer(-1, "i", 0, 5), "i: -1 is not between 0 and 5"),
        (lambda: wire.measure("1", "m"), "m: '1' is not a number"),
        (lambda: wire.measure(True, "m"), "m: True is not a number"),
        (lambda: wire.measure(math.nan, "m"), "m: nan is not a finite number of 0 or more"),
        (lambda: wire.measure(math.inf, "m"), "m: inf is not a finite number of 0 or more"),
        (lambda: wire.measure(-0.5, "m"), "m: -0.5 is not a finite number of 0 or more"),
        (lambda: wire.flag(1, "f"), "f: 1 is neither true nor false"),
    ],
)
def test_what_does_not_fit_is_refused_by_the_name_of_its_field(read: Any, said: str) -> None:
    with pytest.raises(BadMessage) as refused:
        read()
    assert str(refused.value) == said


def test_what_is_just_within_its_bounds_is_taken() -> None:
    assert wire.sequence((1, 2), "s", 2) == [1, 2]
    assert wire.text("abc", "t", 3) == "abc"
    assert wire.text("", "t", 3, may_be_empty=True) == ""
    assert [wire.integer(each, "i", 0, 5) for each in (0, 5)] == [0, 5]
    assert [wire.measure(each, "m") for each in (0, 0.0, 2**62)] == [0.0, 0.0, float(2**62)]
    assert wire.flag(False, "f") is False


def test_what_is_quoted_of_a_message_is_cut() -> None:
    with pytest.raises(BadMessage) as refused:
        wire.flag("x" * 1000, "f")
    assert len(str(refused.value)) < 120


@given(anything)
def test_whatever_comes_is_read_or_refused_by_a_bad_message(value: object) -> None:
    readers: list[Any] = [
        lambda: wire.number_from_wire(value, "x"),
        lambda: wire.resources_from_wire(value, "x"),
        lambda: wire.mapping(value, "x"),
        lambda: wire.sequence(value, "x", 1),
        lambda: wire.text(value, "x", 2),
        lambda: wire.integer(value, "x", 0, 9),
        lambda: wire.measure(value, "x"),
        lambda: wire.flag(value, "x"),
    ]
    for read in readers:
        with contextlib.suppress(BadMessage):
            read()


def test_fractions_are_written_in_lowest_terms() -> None:
    assert wire.number_to_wire(Fraction(6, 4)) == "3/2"
    assert wire.number_to_wire(Fraction(4, 2)) == 2
