# SPDX-License-Identifier: Apache-2.0
"""Calls into libraries that may wait for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Bounded:
    """Makes calls that are given up after a time.

    Each runs in a thread of its own. One that hangs is left alone, and its late answer is thrown away.

    :param timeout_s: how long to wait for a call.
    :param hanging_at_most: while so many hang, no other is begun.
    """

    def __init__(self, timeout_s: float, hanging_at_most: int) -> None:
        self._timeout_s = timeout_s
        self._hanging_at_most = hanging_at_most
        self._begun: list[Future[Any]] = []

    def __call__(self, call: Callable[[], T]) -> T:
        """Make a call.

        :raises TimeoutError: when it does not end in time, or too many earlier ones still hang.
        """
        self._begun = [each for each in self._begun if not each.done()]
        if len(self._begun) >= self._hanging_at_most:
            raise TimeoutError
        future: Future[T] = Future()
        self._begun.append(future)
        # A daemon thread, so that a hanging call does not keep the program from ending.
        threading.Thread(target=_run, args=(call, future), daemon=True).start()
        return future.result(self._timeout_s)


def _run(call: Callable[[], T], future: Future[T]) -> None:
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
