# SPDX-License-Identifier: Apache-2.0
"""``hosts``: what is known of each host."""

from __future__ import annotations

import argparse
from typing import Any

from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.hosts import host_fields, hosts_table
from hybrid_sched.cmd.manage.app import ManageError


class ListHosts(Lister):
    """List the hosts: how fresh their reports are, what they have, and what guests and containers hold of it."""

    def take_action(
        self,
        parsed_args: argparse.Namespace,
    ) -> Table:
        """Ask the quota service."""
        return hosts_table(self.app.ask("hosts"))


class ShowHost(ShowOne):
    """Show one host: hardware, score, declared and measured use, and its tasks with what they use."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", metavar="HOST", help="as Nova and Zun know it")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        rows = self.app.ask("hosts", names=[parsed_args.host])
        if not rows:
            raise ManageError(
                f"No report of host {parsed_args.host!r} is known: check hybrid-sched-agent there, and its [agent] host."
            )
        fields = host_fields(rows[0])
        return tuple(fields), tuple(fields.values())
