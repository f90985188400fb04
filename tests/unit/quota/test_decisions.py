# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from values import decision

from hybrid_sched.core.decision import Stage
from hybrid_sched.quota.decisions import DecisionBook


def test_the_newest_requests_are_kept_each_with_its_steps_in_order() -> None:
    book = DecisionBook(kept=2)
    gate, order = decision("a"), decision("a", Stage.ORDER)
    for step in (decision("b"), gate, decision("c"), order):
        book.add(step)
    assert book.of("a") == (gate, order)
    assert book.of("b") == ()
    assert [each.request_uuid for each in book.newest(5)] == ["a", "c"]
    assert book.newest(1) == [order]


def test_a_request_that_is_tried_for_ever_keeps_its_last_steps() -> None:
    book = DecisionBook(kept=2)
    steps = [decision("a", decided_at_s=float(second)) for second in range(15)]
    for step in steps:
        book.add(step)
    assert book.of("a") == tuple(steps[-DecisionBook.STEPS_KEPT :])


def test_the_newest_come_first_up_to_a_limit() -> None:
    book = DecisionBook(kept=9)
    for uuid in "abc":
        book.add(decision(uuid))
    assert book.newest(9) == [decision("c"), decision("b"), decision("a")]
    assert book.newest(2) == [decision("c"), decision("b")]
    assert book.newest(0) == []
    assert book.of("unknown") == ()


def test_a_book_of_no_pages_keeps_nothing() -> None:
    book = DecisionBook(kept=0)
    book.add(decision("a"))
    assert (book.of("a"), book.newest(9)) == ((), [])


@pytest.mark.parametrize("kept", [1, 2, 5])
@given(uuids=st.lists(st.sampled_from("abcdefg"), max_size=60))
@settings(deadline=None)
def test_what_is_kept_is_the_tail_of_what_came(kept: int, uuids: list[str]) -> None:
    story = [decision(uuid, decided_at_s=float(second)) for second, uuid in enumerate(uuids)]
    book = DecisionBook(kept)
    for step in story:
        book.add(step)
    last = {step.request_uuid: step for step in story}
    newest = sorted(last.values(), key=lambda step: -step.decided_at_s)[:kept]
    assert book.newest(99) == newest
    for uuid, step in last.items():
        steps = book.of(uuid)
        assert bool(steps) is (step in newest)
        # A request that was dropped meanwhile starts anew, so what is kept is a tail of its steps.
        own = [each for each in story if each.request_uuid == uuid]
        assert list(steps) == own[len(own) - len(steps) :]
        assert len(steps) <= DecisionBook.STEPS_KEPT
