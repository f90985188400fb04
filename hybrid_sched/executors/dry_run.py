# SPDX-License-Identifier: Apache-2.0
"""An executor that moves nothing, to see what the watchdog would do."""

from __future__ import annotations

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.interfaces.executor import MigrationExecutor, Step


class DryRunExecutor(MigrationExecutor):
    """Say that a move is done. Cooldowns hold after it as after a real one, so that the ledger shows a lifelike pace."""

    frameworks = frozenset({HYPERVISOR, CONTAINER})
    steps = ("move nothing",)
    is_real = False

    def advance(self, move: MoveRecord) -> Step:
        """Do nothing."""
        return Step(MoveState.DONE, "dry_run", text="Nothing was moved: the watchdog runs dry.")

    def cancel(self, move: MoveRecord) -> Step:
        """Undo nothing."""
        return Step(MoveState.CANCELLED, "dry_run", text="Cancelled; nothing had been moved.")
