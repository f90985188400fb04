# SPDX-License-Identifier: Apache-2.0
"""``framework``: the frameworks and their weights."""

from __future__ import annotations

import argparse

from cliff.command import Command
from cliff.lister import Lister

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.shares import (
    add_weight_arguments,
    framework_cells,
    framework_table,
    pool_of,
    rows_of_framework,
    weight_of,
    weight_text,
)
from hybrid_sched.cmd.manage.app import ManageError


class ListFrameworks(Lister):
    """List the frameworks with their weights."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> Table:
        """Ask the quota service."""
        return (
            ("Framework", "Pool", "Weight", "Fair", "Used"),
            map(framework_cells, self.app.ask("shares")),
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
    ) -> Table:
        """Ask the quota service."""
        return framework_table(rows_of_framework(self.app.ask("shares"), parsed_args.framework))


class SetWeight(Command):
    """Set the weight of a framework, in the default pool or another; the next cycle uses it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_weight_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Tell the quota service."""
        answer = self.app.ask(
            "set_weight",
            pool=pool_of(parsed_args.pool),
            framework=parsed_args.framework,
            weight=weight_of(parsed_args.weight),
        )
        if answer is not None:
            raise ManageError(f"The weight was not set: {answer['fault']}.")
        self.app.stdout.write(weight_text(parsed_args))
