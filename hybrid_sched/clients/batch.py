# SPDX-License-Identifier: Apache-2.0
"""Many questions at once, all answered within one deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batch:
    """A few threads that ask; used with ``with``.

    :param threads: questions under way at once.
    :param deadline_s: seconds from now in which all must be answered.
    """

    def __init__(self, threads: int, deadline_s: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
        self._until_s = time.monotonic() + deadline_s

    def __enter__(self) -> Batch:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End. A call that is under way ends by its own time limit; nobody waits for it."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def map(self, ask: Callable[[Question], Answer], about: Iterable[Question]) -> list[Answer]:
        """Ask about several things.

        :returns: the answers in the order of ``about``.
        :raises TimeoutError: when the deadline is over; what ``ask`` raises otherwise.
        """
        return list(self._pool.map(ask, about, timeout=self._left_s()))

    def call(self, ask: Callable[[], Answer], limit_s: float = float("inf")) -> Answer:
        """Ask one question.

        :param limit_s: seconds for it, where they end before the deadline.
        :raises TimeoutError: when they are over; what ``ask`` raises otherwise.
        """
        return self._pool.submit(ask).result(timeout=min(limit_s, self._left_s()))

    def _left_s(self) -> float:
        return max(0.0, self._until_s - time.monotonic())
