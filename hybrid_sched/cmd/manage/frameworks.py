# SPDX-License-Identifier: Apache-2.0
"""``framework``: the frameworks and their weights."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cliff.command import Command
from cliff.lister import Lister

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.columns import Amount, Share
from hybrid_sched.cmd.manage.shares import rows_of_framework
from hybrid_sched.core.resources import exact
from hybrid_sched.rpc.wire import number_to_wire


class ListFrameworks(Lister):
    """List the frameworks with their weights."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        return (
            ("Framework", "Pool", "Weight", "Fair", "Used"),
            (_row(row) for row in self.app.ask("shares")),
        )


class ShowFramework(Lister):
    """Show one framework in each pool."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("framework", metavar="FRAMEWORK", help="hypervisor or container")
        return parser

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        rows = rows_of_framework(self.app.ask("shares"), parsed_args.framework)
        columns = ("Framework", "Pool", "Weight", "Fair", "Used", "Entitled", "Borrowed", "Owed")
        return (
            (*columns, "Rung", "Squeeze"),
            (
                (
                    *_row(row),
                    *(Share(row[name]) for name in ("entitled", "borrowed", "owed")),
                    row["rung"],
                    Amount(row["squeeze"]),
                )
                for row in rows
            ),
        )


class SetWeight(Command):
    """Set the weight of a framework, in the default pool or another; the next cycle uses it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("framework", metavar="FRAMEWORK", help="hypervisor or container")
        parser.add_argument(
            "weight",
            metavar="WEIGHT",
            help="a number above 0 such as 2, 0.5 or 3/4; 'default' goes back to [quota] weights",
        )
        parser.add_argument(
            "--pool", default="", metavar="POOL", help="where it counts (default: the default pool)"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Tell the quota service."""
        weight = None if parsed_args.weight == "default" else _weight(parsed_args.weight)
        answer = self.app.ask(
            "set_weight",
            pool="" if parsed_args.pool == "default" else parsed_args.pool,
            framework=parsed_args.framework,
            weight=weight,
        )
        if answer is not None:
            raise ManageError(f"The weight was not set: {answer['fault']}.")
        self.app.stdout.write(
            f"The weight of {parsed_args.framework} in pool {parsed_args.pool or 'default'} is {parsed_args.weight} "
            "from the next cycle on.\n"
        )


def _weight(text: str) -> int | str:
    try:
        number = exact(text)
    except ValueError as error:
        raise ManageError(f"WEIGHT: {error}.") from None
    if number <= 0:
        raise ManageError(f"WEIGHT: {text} is not above 0: give a number such as 2, 0.5 or 3/4.")
    return number_to_wire(number)


def _row(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["framework"],
        row["pool"] or "default",
        Amount(row["weight"]),
        Share(row["fair"]),
        Share(row["used"]),
    )
