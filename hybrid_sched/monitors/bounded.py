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

    It runs in a thread of its own. One that hangs is left alone, its late answer is thrown away, and until it ends no other
    is begun.

    :param call: to be made.
    :param timeout_s: how long to wait for it.
    """

    def __init__(self, call: Callable[[], T], timeout_s: float) -> None:
        self._call = call
        self._timeout_s = timeout_s
        self._running: Future[T] | None = None

    def __call__(self) -> T:
        """Make the call.

        :raises TimeoutError: when it does not end in time, or an earlier one still hangs.
        """
        if self._running is not None and not self._running.done():
            raise TimeoutError
        self._running = Future()
        # A daemon thread, so that a hanging call does not keep the program from ending.
        threading.Thread(target=self._run, args=(self._running,), daemon=True).start()
        return self._running.result(self._timeout_s)

    def _run(self, future: Future[T]) -> None:
        try:
            future.set_result(self._call())
        except Exception as error:
            future.set_exception(error)
