# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time

import pytest

from hybrid_sched.clients.batch import Batch


def test_answers_come_in_the_order_of_the_questions_and_no_more_are_under_way_than_threads() -> (
    None
):
    under_way = 0
    most = 0
    lock = threading.Lock()
    pair = threading.Barrier(2)

    def ask(number: int) -> int:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        pair.wait(10)
        with lock:
            under_way -= 1
        return -number

    with Batch(2, deadline_s=20) as batch:
        assert batch.map(ask, range(6)) == [0, -1, -2, -3, -4, -5]
        assert batch.map(ask, []) == []
    assert most == 2


def test_nobody_waits_longer_than_the_deadline() -> None:
    hung = threading.Event()
    try:
        began_s = time.monotonic()
        with pytest.raises(TimeoutError), Batch(1, deadline_s=0.05) as batch:
            batch.map(lambda _: hung.wait(30), range(3))
        with pytest.raises(TimeoutError), Batch(1, deadline_s=30) as batch:
            batch.call(lambda: hung.wait(30), limit_s=0.05)
        assert time.monotonic() - began_s < 10
    finally:
        hung.set()


def test_what_fails_ends_the_batch() -> None:
    def ask(number: int) -> int:
        raise ValueError(number)

    with pytest.raises(ValueError, match="0"), Batch(2, deadline_s=10) as batch:
        batch.map(ask, range(3))
