# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hybrid_sched.core.steering import planned_host, planned_text


@pytest.mark.parametrize("hint", ["host-1", "h" * 255, ""])
def test_a_name_is_taken_as_it_is(hint: str) -> None:
    assert planned_host(hint) == hint


@pytest.mark.parametrize("hint", [None, [], ["a", "b"], {"a": "b"}, 7, "h" * 256, "a\nb"])
def test_what_can_be_no_host_plans_nothing(hint: object) -> None:
    assert not planned_host(hint)


def test_the_record_says_what_became_of_a_plan() -> None:
    assert planned_text("a", passed=True) == "planned for host a"
    assert planned_text("a", passed=False) == (
        "planned for host a, which was not among the hosts that passed"
    )
