# SPDX-License-Identifier: Apache-2.0
"""An engine on the bus that answers as a test says, and what tests of its clients need beside it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import oslo_messaging

from hybrid_sched.rpc import bus

#: How long to wait for what must happen; nothing is slept away.
LIMIT_S = 30
GRANTED = {"granted": True, "text": "", "pool": ""}


class EngineEmulator:
    """An engine on the bus that keeps what it is asked, and answers what and when a test says."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self) -> None:
        self.asked: queue.Queue[Any] = queue.Queue()
        self.reserved: queue.Queue[Any] = queue.Queue()
        self.released: queue.Queue[str] = queue.Queue()
        self.recorded: queue.Queue[list[str]] = queue.Queue()
        self.first_answers: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"age_s": 0.0, "snapshot": None}
        self.reservation: dict[str, Any] = GRANTED
        self.faults: list[Exception] = []
        self.open = threading.Event()
        self.open.set()
        self.talks: Any = threading.Event()
        self.talks.set()

    def snapshot(self, _context: Any, known: list[int] | None) -> Any:
        self.asked.put(known)
        assert self.talks.wait(LIMIT_S)
        return self.first_answers.pop(0) if self.first_answers else self.answer

    def reserve(self, _context: Any, request: Any, pools: list[str]) -> Any:
        self.reserved.put((request, pools))
        self._wait()
        return self.reservation

    def release(self, _context: Any, request_uuid: str) -> bool:
        self.released.put(request_uuid)
        return True

    def record_decisions(self, _context: Any, decisions: list[Any]) -> None:
        self.recorded.put(decisions)
        self._wait()

    def _wait(self) -> None:
        assert self.open.wait(LIMIT_S)
        if self.faults:
            raise self.faults.pop()


def wait_until(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < until_s, "it did not come"
        threading.Event().wait(0.02)
