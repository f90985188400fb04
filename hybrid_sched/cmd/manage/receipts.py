# SPDX-License-Identifier: Apache-2.0
"""``receipt``: what was promised to each task, and what it got."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.receipts import add_list_arguments, receipt_fields, receipts_table
from hybrid_sched.cmd.manage.app import ManageError


class ShowReceipt(ShowOne):
    """Show what was promised to a guest or container, what it got in the last hour, and whether that was kept.

    Of each resource it shows the mean and the largest mean of a period, what was promised, and a verdict.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("uuid", metavar="UUID", help="of the server or container")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        answer = _ask(self.app, "receipt", uuid=parsed_args.uuid.lower())
        receipt = answer["receipt"]
        if receipt is None:
            raise ManageError(
                f"There is no receipt of {parsed_args.uuid}: give the UUID of a server or container that an agent reports. "
                "See `hybrid-sched-manage receipt list`."
            )
        fields = receipt_fields(receipt, answer["window_s"], answer["since_s"])
        return tuple(fields), tuple(fields.values())


class ListReceipts(Lister):
    """List what was promised to each guest and container against what it got in the last hour."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        add_list_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the quota service."""
        return receipts_table(
            _pages(
                self.app,
                host=parsed_args.host,
                framework=parsed_args.framework,
                broken=parsed_args.broken,
            )
        )


def _pages(app: Any, **arguments: Any) -> Iterator[dict[str, Any]]:
    marker = ""
    while page := _ask(app, "receipts", marker=marker, **arguments)["receipts"]:
        yield from page
        marker = page[-1]["uuid"]


def _ask(app: Any, method: str, **arguments: Any) -> dict[str, Any]:
    """Ask for receipts.

    :raises ManageError: when there is no answer, or it is that there are none.
    """
    answer: dict[str, Any] = app.ask(method, **arguments)
    if fault := answer.get("fault"):
        raise ManageError(f"The quota service refuses it: {fault}.")
    if not answer["window_s"]:
        raise ManageError(
            "The quota service keeps no receipts: set [quota] receipt_window_s above 0 and restart it."
        )
    return answer
