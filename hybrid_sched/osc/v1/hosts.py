# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid host``: what is known of each host."""

from __future__ import annotations

import argparse

from osc_lib.command import command

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.hosts import host_fields, hosts_table
from hybrid_sched.cli.shares import pool_of
from hybrid_sched.osc.commands import Fields, api, one


class ListHosts(command.Lister):
    """List the hosts: how fresh their reports are, what they have, and what guests and containers hold of it."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--pool", metavar="POOL", help="only in this pool (default: in all)")
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "--fresh",
            action="store_true",
            default=None,
            help="only hosts whose report is young enough to be relied on",
        )
        which.add_argument(
            "--stale", action="store_false", dest="fresh", help="only the other hosts"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        return hosts_table(
            api(self).rows("hosts", pool=pool_of(parsed_args.pool), fresh=parsed_args.fresh)
        )


class ShowHost(command.ShowOne):
    """Show one host: hardware, score, declared and measured use, and its tasks with what they use."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="as Nova and Zun know it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        """Ask the API."""
        return one(host_fields(api(self).get("hosts", parsed_args.host)["host"]))
