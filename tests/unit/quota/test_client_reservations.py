# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any

import pytest
from emulators import GRANTED, LIMIT_S, EngineEmulator, wait_until
from values import request

from hybrid_sched.quota import client as client_module
from hybrid_sched.quota.client import QuotaClient


def reserve(
    client: QuotaClient, uuid: str, timeout_s: float = LIMIT_S, *, patient: bool = False
) -> dict[str, Any] | None:
    return client.reserve(request(uuid, 1), [""], timeout_s, patient=patient)


def test_a_reservation_is_asked_for_and_answered(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.reservation = {"granted": False, "text": "no share is left", "pool": ""}
    answer = client_of().reserve(request("r", 5, count=3), ["b", ""], LIMIT_S, patient=False)
    assert answer == emulator.reservation
    asked, pools = emulator.reserved.get(timeout=LIMIT_S)
    assert asked == {
        "uuid": "r",
        "framework": "container",
        "demand": {"memory_mb": 5},
        "count": 3,
        "is_move": False,
    }
    assert pools == ["b", ""]
    assert emulator.released.empty()


def test_reservations_of_several_requests_do_not_wait_for_each_other(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    client = client_of()
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(reserve, client, uuid) for uuid in "abcd"]
        asked = {emulator.reserved.get(timeout=LIMIT_S)[0]["uuid"] for _ in calls}
        emulator.open.set()
        assert [call.result(LIMIT_S) for call in calls] == [GRANTED] * 4
    assert asked == set("abcd")


def test_an_engine_that_is_silent_costs_one_wait_until_it_is_heard_again(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.talks.clear()
    client = client_of(refresh_period_s=0.1)
    emulator.open.clear()
    assert reserve(client, "first", 0.05) is None
    assert emulator.reserved.get(timeout=LIMIT_S)[0]["uuid"] == "first"
    emulator.open.set()
    # It would answer now, and nobody asks: with a patience of half a minute each returns at once.
    before_s = time.monotonic()
    assert [reserve(client, uuid) for uuid in "abc"] == [None] * 3
    assert time.monotonic() - before_s < LIMIT_S
    assert emulator.reserved.empty()
    emulator.talks.set()
    wait_until(lambda: reserve(client, "heard") == GRANTED)


def test_a_patient_reservation_is_asked_for_while_the_engine_is_known_to_be_silent(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.talks.clear()
    client = client_of()
    emulator.open.clear()
    assert reserve(client, "first", 0.05) is None
    emulator.open.set()
    assert reserve(client, "impatient") is None
    assert reserve(client, "patient", patient=True) == GRANTED


def test_an_answer_to_a_question_of_before_the_silence_does_not_end_it(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    turns = threading.Semaphore(0)
    emulator.talks = SimpleNamespace(
        wait=lambda limit_s: turns.acquire(timeout=limit_s), set=lambda: turns.release(99)
    )
    client = client_of(refresh_period_s=10_000.0)
    assert emulator.asked.get(timeout=LIMIT_S) is None
    emulator.open.clear()
    assert reserve(client, "first", 0.05) is None
    emulator.open.set()
    # It was asked before the silence began; another question is on its way at once.
    turns.release()
    assert emulator.asked.get(timeout=LIMIT_S) is None
    assert reserve(client, "silent") is None
    emulator.talks.set()
    wait_until(lambda: reserve(client, "heard") == GRANTED)


def test_who_is_patient_asks_again_after_a_fault(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.faults = [RuntimeError("not now")]
    client = client_of()
    assert reserve(client, "a", patient=True) == GRANTED
    uuids = [emulator.reserved.get_nowait()[0]["uuid"] for _ in range(2)]
    assert uuids == ["a", "a"]
    assert emulator.released.empty()


def test_a_reservation_that_goes_on_failing_has_no_answer_and_stops_no_other(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.faults = [RuntimeError("not now")] * 1000
    client = client_of()
    assert reserve(client, "failed", 0.5, patient=True) is None
    # Nobody knows what became of it.
    assert emulator.released.get(timeout=LIMIT_S) == "failed"
    emulator.faults = []
    assert reserve(client, "next", patient=True) == GRANTED
    assert emulator.released.empty()


@pytest.mark.parametrize("patient", [True, False])
def test_a_grant_that_comes_too_late_is_given_back_where_nothing_is_placed_without_it(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient], *, patient: bool
) -> None:
    client = client_of()
    emulator.open.clear()
    # It gives up while the engine is at work.
    assert reserve(client, "late", 0.5, patient=patient) is None
    assert emulator.reserved.get(timeout=LIMIT_S)[0]["uuid"] == "late"
    emulator.open.set()
    if patient:
        assert emulator.released.get(timeout=LIMIT_S) == "late"
    # The threads that ask for reservations have all come back.
    with ThreadPoolExecutor() as threads:
        uuids = [str(number) for number in range(client_module._RESERVATIONS_AT_ONCE)]
        calls = [threads.submit(reserve, client, uuid, patient=True) for uuid in uuids]
        assert [call.result(LIMIT_S) for call in calls] == [GRANTED] * len(calls)
    assert emulator.released.empty()


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_RESERVATIONS_AT_ONCE", 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_a_reservation_that_nobody_waits_for_any_more_is_not_asked_for(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    client = client_of()
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(reserve, client, "slow")
        assert emulator.reserved.get(timeout=LIMIT_S)[0]["uuid"] == "slow"
        assert reserve(client, "given up", 0.01, patient=True) is None
        emulator.open.set()
        assert slow.result(LIMIT_S) == GRANTED
    assert reserve(client, "last", patient=True) == GRANTED
    assert emulator.reserved.get_nowait()[0]["uuid"] == "last"
    assert emulator.reserved.empty()


@pytest.mark.usefixtures("one_at_a_time")
def test_with_too_many_reservations_waiting_there_is_no_answer(
    emulator: EngineEmulator,
    client_of: Callable[..., QuotaClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "_RESERVATIONS_WAITING", 1)
    client = client_of()
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(reserve, client, "slow")]
        assert emulator.reserved.get(timeout=LIMIT_S)[0]["uuid"] == "slow"
        # One of the two finds no place, and is told so while nothing moves.
        calls += [threads.submit(reserve, client, each) for each in "ab"]
        done, _ = wait(calls, LIMIT_S, FIRST_COMPLETED)
        assert [call.result() for call in done] == [None]
        emulator.open.set()
        answers = [call.result(LIMIT_S) for call in calls]
    assert answers[0] == GRANTED
    assert sorted(answers[1:], key=bool) == [None, GRANTED]
