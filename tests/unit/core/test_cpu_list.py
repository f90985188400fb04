# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core import cpu_list


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("", set()), ("\n", set()), ("0\n", {0}), ("0-3,7", {0, 1, 2, 3, 7}), ("5,2-2", {2, 5})],
)
def test_a_list_of_the_kernel_is_read(text: str, cpus: set[int]) -> None:
    assert cpu_list.of_text(text) == cpus


@pytest.mark.parametrize("text", ["max", "0-", "1;2", "-1"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        cpu_list.of_text(text)


@given(st.frozensets(st.integers(0, 8191)))
def test_a_list_that_was_written_is_read_back(cpus: frozenset[int]) -> None:
    assert cpu_list.of_text(cpu_list.to_text(cpus)) == cpus
