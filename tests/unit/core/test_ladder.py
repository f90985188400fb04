# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Framework, Rung, Task
from hybrid_sched.core.ladder import Ladder, LadderRules, candidates
from hybrid_sched.core.resources import Resources

RULES = LadderRules(squeeze_after_s=10, relieve_after_s=20, least_squeeze=Fraction(1, 10))
POOL = Resources(memory_mb=100)


def framework(name: str, entitled: int = 50, borrowed: int = 0, owed: int = 0) -> Framework:
    """Make one whose shares are in hundredths."""
    return Framework(
        name,
        weight=1,
        used=Resources(memory_mb=entitled + borrowed - owed),
        wanted=Resources(),
        fair_share=Fraction(1, 2),
        entitlement=Fraction(entitled, 100),
        floor=0,
        head_threshold=0,
        borrowed=Fraction(borrowed, 100),
        owed=Fraction(owed, 100),
    )


def pair(borrowed: int, owed: int) -> dict[str, Framework]:
    return {
        CONTAINER: framework(CONTAINER, borrowed=borrowed),
        HYPERVISOR: framework(HYPERVISOR, owed=owed),
    }


def rungs(ladder: Ladder, frameworks: dict[str, Framework], *times_s: float) -> list[Rung]:
    return [ladder.climb(frameworks, RULES, now_s)[CONTAINER].rung for now_s in times_s]


def test_the_rungs_come_in_order_each_after_its_grace_period() -> None:
    steps = rungs(Ladder(), pair(20, 20), 100, 109.9, 110, 129.9, 130, 1000)
    assert steps == [
        Rung.NO_GRANTS,
        Rung.NO_GRANTS,
        Rung.SQUEEZE,
        Rung.SQUEEZE,
        Rung.RELIEVE,
        Rung.RELIEVE,
    ]


@pytest.mark.parametrize(("borrowed", "owed"), [(0, 20), (20, 0), (0, 0)])
def test_nobody_climbs_who_borrows_nothing_or_keeps_nothing_from_others(
    borrowed: int, owed: int
) -> None:
    assert rungs(Ladder(), pair(borrowed, owed), 0, 1000) == [Rung.NONE, Rung.NONE]


def test_one_that_gave_back_begins_from_the_first_rung_again() -> None:
    ladder = Ladder()
    assert rungs(ladder, pair(20, 20), 0, 10) == [Rung.NO_GRANTS, Rung.SQUEEZE]
    assert rungs(ladder, pair(20, 0), 11) == [Rung.NONE]
    assert rungs(ladder, pair(20, 20), 12, 21.9, 22) == [
        Rung.NO_GRANTS,
        Rung.NO_GRANTS,
        Rung.SQUEEZE,
    ]


def test_the_squeeze_is_in_proportion_to_what_is_borrowed_and_has_a_least() -> None:
    def factor(entitled: int, borrowed: int) -> object:
        frameworks = pair(0, 10) | {CONTAINER: framework(CONTAINER, entitled, borrowed)}
        ladder = Ladder()
        ladder.climb(frameworks, RULES, 0)
        return ladder.climb(frameworks, RULES, 10)[CONTAINER].squeeze

    assert factor(50, 25) == Fraction(2, 3)
    assert factor(4, 96) == Fraction(1, 10)
    assert factor(0, 20) == Fraction(1, 10)


def test_the_lender_is_left_alone() -> None:
    ladder = Ladder()
    ladder.climb(pair(20, 20), RULES, 0)
    lender = ladder.climb(pair(20, 20), RULES, 500)[HYPERVISOR]
    assert (lender.rung, lender.squeeze) == (Rung.NONE, 1)


def test_without_a_last_rung_nothing_is_named() -> None:
    ladder, rules = Ladder(), replace(RULES, relieve_after_s=None)
    ladder.climb(pair(20, 20), rules, 0)
    assert ladder.climb(pair(20, 20), rules, 10**6)[CONTAINER].rung is Rung.SQUEEZE


def task(uuid: str, memory_mb: int, created_at_s: float, *, movable: bool = True) -> Task:
    return Task(
        uuid,
        CONTAINER,
        Resources(memory_mb=memory_mb),
        created_at_s=created_at_s,
        movable=movable,
    )


def test_the_youngest_movable_tasks_are_named_as_few_as_are_enough() -> None:
    tasks = [
        (task("old", 30, 1), 1),
        (task("young", 10, 9), 1),
        (task("bound", 50, 10, movable=False), 1),
        (task("middle", 10, 5), 1),
        (task("unknown", 90, 0), 1),
    ]
    borrower = framework(CONTAINER, borrowed=20)
    assert [each.uuid for each in candidates(borrower, POOL, tasks)] == ["young", "middle"]
    more = framework(CONTAINER, borrowed=21)
    assert [each.uuid for each in candidates(more, POOL, tasks)] == ["young", "middle", "old"]


def test_on_a_host_of_a_low_score_a_task_gives_back_less() -> None:
    tasks = [(task("poor", 20, 9), Fraction(1, 2)), (task("rich", 20, 8), 1)]
    borrower = framework(CONTAINER, borrowed=20)
    assert [each.uuid for each in candidates(borrower, POOL, tasks)] == ["poor", "rich"]


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5), st.booleans()), max_size=8),
    st.integers(0, 60),
)
def test_no_named_task_is_needless(shape: list[tuple[int, int, bool]], borrowed: int) -> None:
    tasks = [(task(str(i), mb, at, movable=m), 1) for i, (mb, at, m) in enumerate(shape)]
    named = candidates(framework(CONTAINER, borrowed=borrowed), POOL, tasks)
    given_back = [each.demand.memory_mb for each in named]
    assert sum(given_back[:-1]) < borrowed or not named
    movable = sum(each.demand.memory_mb for each, _ in tasks if each.movable)
    assert sum(given_back) >= min(borrowed, movable)
