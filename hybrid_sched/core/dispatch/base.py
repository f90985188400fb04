# SPDX-License-Identifier: Apache-2.0
"""The contract of a rule of dispatch: who of those that wait starts now, and where."""

from __future__ import annotations

from typing import Protocol

from hybrid_sched.core.dispatch.floor import Floor


class Dispatch(Protocol):
    """Start waiting tasks whenever tasks have come or ended.

    A rule keeps nothing between calls that the floor does not tell, knows no durations, and does the same for the same floor.
    """

    def __call__(self, floor: Floor) -> None:
        """Start tasks by :meth:`Floor.start` until the rule wants no other to start now."""
