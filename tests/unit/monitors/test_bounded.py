# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest

from hybrid_sched.monitors.bounded import Bounded


def test_the_answer_and_the_error_of_a_call_come_through() -> None:
    assert Bounded(lambda: 7, timeout_s=5)() == 7

    def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        Bounded(fail, timeout_s=5)()


def test_a_call_that_hangs_is_given_up_and_its_late_answer_thrown_away() -> None:
    go_on = threading.Event()
    begun = []

    def call() -> int:
        begun.append(None)
        number = len(begun)
        if number == 1:
            go_on.wait(10)
        return number

    bounded = Bounded(call, timeout_s=0.05)
    with pytest.raises(TimeoutError):
        bounded()
    with pytest.raises(TimeoutError):
        bounded()
    assert len(begun) == 1
    go_on.set()
    bounded._running.result(10)  # type: ignore[union-attr] # its end, which nobody else can see
    assert bounded() == 2
