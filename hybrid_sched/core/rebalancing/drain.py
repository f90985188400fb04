# SPDX-License-Identifier: Apache-2.0
"""A strategy for maintenance: empty the hosts that an operator names."""

from __future__ import annotations

from hybrid_sched.core.rebalancing.base import Strategy
from hybrid_sched.core.rebalancing.board import Board
from hybrid_sched.core.rebalancing.choice import empty_host


class Drain(Strategy):
    """Move what is movable off the drained hosts, a few tasks at once, onto hosts that stay within their targets."""

    def decide(self, board: Board) -> None:
        """Empty the drained hosts, by name."""
        for host in sorted(board.situation.drained):
            place = board.place(host)
            if place is None:
                board.leave_alone(host, f"host {host} is to be emptied; it has no fresh report")
                continue
            reason = f"host {host} is to be emptied"
            stay = empty_host(board, place, reason)
            if stay:
                board.leave_alone(host, f"{reason}; {'; '.join(stay)}")
