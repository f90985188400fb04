# SPDX-License-Identifier: Apache-2.0
"""``shares``: what each framework holds and may hold."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cliff.lister import Lister

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.columns import Amount, Share

_SHARES = ("used", "wanted", "fair", "entitled", "floor", "borrowed", "owed")


class ListShares(Lister):
    """List each framework's weight and dominant shares, in each pool."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        columns = ("Pool", "Framework", "Weight", *(each.capitalize() for each in _SHARES), "Key")
        return (
            (*columns, "Head from", "Rung", "Reserved"),
            (
                (
                    row["pool"] or "default",
                    row["framework"],
                    Amount(row["weight"]),
                    *(Share(row[share]) for share in _SHARES),
                    Share(row["key"]),
                    Share(row["head_from"]),
                    row["rung"],
                    row["reservations"],
                )
                for row in self.app.ask("shares")
            ),
        )


class ListCandidates(Lister):
    """List the tasks whose move would give back what is borrowed, the youngest first."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
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


def rows_of_framework(rows: list[dict[str, Any]], framework: str) -> list[dict[str, Any]]:
    """Choose the rows of one framework.

    :raises ManageError: when there are none.
    """
    found = [row for row in rows if row["framework"] == framework]
    if not found:
        known = " or ".join(dict.fromkeys(row["framework"] for row in rows)) or "none yet"
        raise ManageError(f"There is no framework {framework!r}: give {known}.")
    return found
