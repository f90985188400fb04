# SPDX-License-Identifier: Apache-2.0
"""Calls into libraries that may wait for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """A call that is given up after a time.

    It runs in a thread of its own. One that hangs is left alone, and its late answer is thrown away.

    :param call: to be made.
    :param timeout_s: how long to wait for it.
    :param hanging_at_most: while so many hang, no other is begun.
    """

    def __init__(self, call: Callable[[], T], timeout_s: float, hanging_at_most: int) -> None:
        self._call = call
        self._timeout_s = timeout_s
        self._hanging_at_most = hanging_at_most
        self._begun: list[Future[T]] = []

    def __call__(self) -> T:
        """Make the call.

        :raises TimeoutError: when it does not end in time, or too many earlier ones still hang.
        """
        self._begun = [each for each in self._begun if not each.done()]
        if len(self._begun) >= self._hanging_at_most:
            raise TimeoutError
        future: Future[T] = Future()
        self._begun.append(future)
        # A daemon thread, so that a hanging call does not keep the program from ending.
        threading.Thread(target=self._run, args=(future,), daemon=True).start()
        return future.result(self._timeout_s)

    def _run(self, future: Future[T]) -> None:
        try:
            future.set_result(self._call())
        except Exception as error:
            future.set_exception(error)
