# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, with a name for what did not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, timeout_s: float = 20) -> T:
    """Wait for a condition.

    :param condition: asked again and again; its first true value ends the wait.
    :param what: the condition in words, for the failure.
    :param timeout_s: how long to wait.
    :returns: the true value.
    """
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)
    return value
