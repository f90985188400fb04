# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.hardware import Hardware, HostScore, ScoreRow, score_of

HALF, THIRD, QUARTER = Fraction(1, 2), Fraction(1, 3), Fraction(1, 4)
MILAN = Hardware("AMD EPYC 7763 64-Core Processor", "DDR4")

patterns = st.text(alphabet="ab?*[]! ", min_size=1, max_size=6).filter(lambda t: t == t.strip())
scores = st.fractions(0, 1, max_denominator=20).filter(bool)
tables = st.lists(
    st.builds(ScoreRow, patterns, patterns, scores), max_size=12, unique_by=lambda row: row.key
)
hosts = st.builds(
    Hardware, st.text(alphabet="ab !]", max_size=5), st.text(alphabet="ab", max_size=3)
)


@given(hosts, tables, scores, st.randoms(use_true_random=False))
def test_a_score_is_in_range_and_does_not_depend_on_the_order_of_rows(host, rows, default, shuffle):
    found = score_of(host, rows, default)
    shuffled = list(rows)
    shuffle.shuffle(shuffled)
    assert score_of(host, shuffled, default) == found == score_of(host, iter(rows), default)
    assert 0 < found.score <= 1
    matching = [row for row in rows if row.matches(host)]
    if matching:
        assert found.row in matching
        assert found.score == found.row.score
    else:
        assert found == HostScore(default, None)


@given(hosts, tables)
def test_no_other_row_that_matches_has_more_literal_characters(host, rows):
    plain = [row for row in rows if not set("[]!") & set(row.cpu_model + row.memory_kind)]

    def literals(row):
        return tuple(len(p.replace("*", "").replace("?", "")) for p in row.key)

    found = score_of(host, plain).row
    assert all(literals(row) <= literals(found) for row in plain if row.matches(host))


@pytest.mark.parametrize(
    ("rows", "score"),
    [
        ([], 1),
        ([ScoreRow("Intel*", "*", HALF)], 1),
        ([ScoreRow("*", "*", HALF)], HALF),
        ([ScoreRow("amd epyc 77?3*", "ddr4", HALF)], HALF),
        ([ScoreRow("AMD EPYC 7[0-6]63*", "*", HALF)], 1),
        ([ScoreRow("AMD EPYC 7[!0-6]63*", "*", HALF)], HALF),
        ([ScoreRow("EPYC", "*", HALF)], 1),
        ([ScoreRow("*EPYC 7763*", "*", HALF), ScoreRow("AMD EPYC*", "*", QUARTER)], HALF),
        ([ScoreRow("AMD*", "DDR4", HALF), ScoreRow("AMD E*", "*", QUARTER)], QUARTER),
        ([ScoreRow("AMD*", "DDR4", HALF), ScoreRow("AMD*", "DDR*", QUARTER)], HALF),
        ([ScoreRow("AMD*", "DDR3", HALF), ScoreRow("AMD*", "*", QUARTER)], QUARTER),
        # As many literal characters: the texts decide.
        ([ScoreRow("AMD*r", "*", HALF), ScoreRow("AMD*o*", "*", QUARTER)], QUARTER),
    ],
)
def test_the_most_specific_row_counts(rows, score):
    assert score_of(MILAN, rows).score == score
    assert score_of(MILAN, rows[::-1]).score == score


def test_unknown_hardware_has_the_default_score_and_no_row():
    assert score_of(Hardware("new", "DDR6"), [ScoreRow("old*", "*", HALF)], THIRD) == HostScore(
        THIRD, None
    )
    assert score_of(Hardware(), [ScoreRow("?*", "*", HALF)]).row is None
    assert score_of(Hardware("any"), [ScoreRow("*", "DDR4", HALF)]).row is None


def test_a_score_is_kept_exactly():
    assert ScoreRow("*", "*", 0.1).score == Fraction(1, 10)
    assert ScoreRow("*", "*", 1.0).score == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("", "*", 1), "cpu_model: it is empty"),
        (("a*", " ", 1), "memory_kind: it is empty"),
        ((" a*", "*", 1), "cpu_model: ' a*' begins or ends with a space"),
        (("a\n*", "*", 1), "cpu_model: 'a\\n*' begins"),
        (("a" * 256, "*", 1), "cpu_model: it is longer than 255"),
        (("a", "*", 0), "score: 0 is out of range: give a number above 0 and at most 1"),
        (("a", "*", Fraction(101, 100)), "score: 101/100 is out of range"),
        (("a", "*", -1), "score: -1 is out of range"),
        (("a", "*", True), "score: True is not a number"),
        (("a", "*", float("nan")), "score: nan is not finite"),
        (("a", "*", Fraction(1, 10**70)), "score: the number has too many digits"),
        (("a", "*", 1, "n" * 256), "note: it is longer than 255"),
    ],
)
def test_a_row_that_cannot_be_used_names_its_field(row, said):
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is looked at
        ScoreRow(*row)
    assert str(refused.value).startswith(said)
