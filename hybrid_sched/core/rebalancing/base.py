# SPDX-License-Identifier: Apache-2.0
"""The contract of a strategy of the watchdog: entry points of ``hybrid_sched.rebalancing``."""

from __future__ import annotations

from abc import ABC, abstractmethod

from hybrid_sched.core.rebalancing.board import Board

#: The entry point that is taken where none is named.
DEFAULT_STRATEGY = "relieve"


class Strategy(ABC):
    """Which tasks to move, and where.

    A strategy keeps nothing between calls and gives the same decisions for the same board; its constructor works without
    arguments. It says what it wants; what a move must never do is seen to by the board, whatever the strategy: it offers no
    task and no target that a cooldown, a cap, a group or the schedulers' gate forbids, and makes no move that does not lower
    the score by its cost.
    """

    @abstractmethod
    def decide(self, board: Board) -> None:
        """Make decisions on the board, and note there why hosts are left alone that would want more.

        For each it asks the board for tasks (:meth:`~Board.movable`), for targets (:meth:`~Board.targets`), has a move worked
        out (:meth:`~Board.tried`) and makes it (:meth:`~Board.decide`).
        """
