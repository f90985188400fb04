# SPDX-License-Identifier: Apache-2.0
"""``share``: what each framework holds and may hold."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cliff.lister import Lister

from hybrid_sched.cmd.manage.columns import Amount, Share


class ListShares(Lister):
    """List each framework's weight and dominant shares."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        shares = ("used", "wanted", "fair", "entitled", "floor")
        rows = self.app.ask("shares")
        return (
            ("Framework", "Weight", *(share.capitalize() for share in shares)),
            (
                (row["framework"], Amount(row["weight"]), *(Share(row[share]) for share in shares))
                for row in rows
            ),
        )
