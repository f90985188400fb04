# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest

from hybrid_sched.bounded import Bounded


def test_the_answer_and_the_error_of_a_call_come_through() -> None:
    assert Bounded(timeout_s=5, hanging_at_most=1)(lambda: 7) == 7

    def fail() -> None:
        raise LookupError("gone")

    bounded = Bounded(timeout_s=5, hanging_at_most=1)
    for _ in range(3):
        with pytest.raises(LookupError, match="gone"):
            bounded(fail)


def test_calls_that_hang_are_given_up_and_their_late_answers_thrown_away() -> None:
    go_on = threading.Event()
    ended = threading.Semaphore(0)
    begun: list[int] = []

    def call() -> int:
        number = len(begun)
        begun.append(number)
        if number < 2:
            go_on.wait(10)
            ended.release()
        return number

    bounded = Bounded(timeout_s=0.05, hanging_at_most=2)
    for _ in range(4):
        with pytest.raises(TimeoutError):
            bounded(call)
    assert begun == [0, 1], "the third and the fourth call must wait for those that hang"
    go_on.set()
    for _ in range(2):
        assert ended.acquire(timeout=10)
    for future in bounded._begun:
        future.result(10)
    assert bounded(call) == 2


def test_a_call_is_made_while_fewer_hang_than_may() -> None:
    go_on = threading.Event()
    begun: list[int] = []

    def call() -> int:
        begun.append(len(begun))
        if len(begun) == 1:
            go_on.wait(10)
        return len(begun)

    bounded = Bounded(timeout_s=0.05, hanging_at_most=2)
    with pytest.raises(TimeoutError):
        bounded(call)
    assert bounded(call) == 2
    go_on.set()
