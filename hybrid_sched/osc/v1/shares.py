# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid share``: what each framework holds and may hold."""

from __future__ import annotations

import argparse

from osc_lib.command import command

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.shares import (
    add_weight_arguments,
    framework_table,
    pool_of,
    shares_table,
    weight_of,
    weight_text,
)
from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.osc.commands import api


class ListShares(command.Lister):
    """List each framework's weight and dominant shares, in each pool."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--pool", metavar="POOL", help="only in this pool (default: in all)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        return shares_table(api(self).rows("frameworks", pool=pool_of(parsed_args.pool)))


class ShowShare(command.Lister):
    """Show one framework in each pool."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("framework", choices=FRAMEWORKS, help="guests or containers")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        answer = api(self).get("frameworks", parsed_args.framework)
        return framework_table(answer["framework"]["pools"])


class SetShare(command.Command):
    """Set the weight of a framework, in the default pool or another; the next cycle uses it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_weight_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Tell the API."""
        weight, pool = weight_of(parsed_args.weight), pool_of(parsed_args.pool)
        path = ("frameworks", parsed_args.framework, "weight")
        if weight is None:
            api(self).delete(*path, pool=pool)
        else:
            api(self).put(*path, body={"weight": weight, "pool": pool})
        self.app.stdout.write(weight_text(parsed_args))
