# SPDX-License-Identifier: Apache-2.0
"""``shares``: what each framework holds and may hold."""

from __future__ import annotations

import argparse

from cliff.lister import Lister

from hybrid_sched.cli.columns import Amount, Table
from hybrid_sched.cli.shares import shares_table


class ListShares(Lister):
    """List each framework's weight and dominant shares, in each pool."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> Table:
        """Ask the quota service."""
        return shares_table(self.app.ask("shares"))


class ListCandidates(Lister):
    """List the tasks whose move would give back what is borrowed, the youngest first."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> Table:
        """Ask the quota service."""
        return (
            ("Pool", "Framework", "Task", "Name", "vCPU", "Memory MiB"),
            (
                (
                    row["pool"] or "default",
                    row["framework"],
                    task["uuid"],
                    task.get("name", ""),
                    *(Amount(task["demand"].get(name, 0)) for name in ("vcpu", "memory_mb")),
                )
                for row in self.app.ask("candidates")
                for task in row["tasks"]
            ),
        )
