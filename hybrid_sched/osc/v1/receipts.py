# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid receipt``: what was promised to each task, and what it got."""

from __future__ import annotations

import argparse

from osc_lib.command import command

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.receipts import add_list_arguments, receipt_fields, receipts_table
from hybrid_sched.osc.commands import Fields, api, one


class ListReceipts(command.Lister):
    """List what was promised to each guest and container against what it got in the last hour."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        add_list_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        return receipts_table(
            api(self).rows(
                "receipts",
                host=parsed_args.host,
                framework=parsed_args.framework,
                broken=parsed_args.broken or None,
            )
        )


class ShowReceipt(command.ShowOne):
    """Show what was promised to a guest or container, what it got in the last hour, and whether that was kept.

    Of each resource it shows the mean and the largest mean of a period, what was promised, and a verdict.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("uuid", metavar="UUID", help="of the server or container")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        """Ask the API."""
        receipt = api(self).get("receipts", parsed_args.uuid.lower())["receipt"]
        return one(receipt_fields(receipt, receipt["window_s"], receipt["since_s"]))
