# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.rpc.task_figures import TaskFigures

NAMES = ("a", "b", "c")
FIGURES = {"t": {"a": 1.0, "b": 2.0}, "u": {"b": 3.0}}

_figures = st.dictionaries(
    st.sampled_from("tuvw"),
    st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1e18), min_size=1),
)


@given(_figures)
def test_figures_are_those_that_were_given(figures: dict[str, dict[str, float]]) -> None:
    made = TaskFigures.of(figures)
    assert dict(made) == figures
    assert made == figures
    assert len(made) == len(figures)


def test_figures_in_this_form_stay_as_they_are() -> None:
    made = TaskFigures.of(FIGURES)
    assert TaskFigures.of(made) is made


def test_a_task_without_figures_is_not_there() -> None:
    with pytest.raises(KeyError, match="v"):
        TaskFigures.of(FIGURES)["v"]


@given(
    _figures,
    st.lists(st.sampled_from("tuvwx"), unique=True),
    st.lists(st.sampled_from((*NAMES, "d")), unique=True, min_size=1),
)
def test_a_selection_has_what_is_known_at_its_place(
    figures: dict[str, dict[str, float]], uuids: list[str], names: Sequence[str]
) -> None:
    wanted = [[figures.get(uuid, {}).get(name, math.nan) for name in names] for uuid in uuids]
    selected = TaskFigures.of(figures).select(uuids, names)
    np.testing.assert_array_equal(selected, np.array(wanted).reshape(len(uuids), len(names)))


def test_a_selection_can_be_changed_without_harm() -> None:
    made = TaskFigures.of(FIGURES)
    made.select(["t", "u"], ["a", "b"])[:] = 7
    assert made == FIGURES


@pytest.mark.parametrize(
    ("name", "most", "found"),
    [("b", 1.5, ("t", 2.0)), ("b", 2, ("u", 3.0)), ("b", 3, None), ("a", 1, None), ("d", 0, None)],
)
def test_the_first_above_a_bound_is_named(
    name: str, most: float, found: tuple[str, float] | None
) -> None:
    assert TaskFigures.of(FIGURES).above(name, most) == found
