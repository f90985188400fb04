# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

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
