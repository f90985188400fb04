# SPDX-License-Identifier: Apache-2.0
"""``decision``: why a request went where it went, or nowhere."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from cliff.lister import Lister

from hybrid_sched.cli.columns import Moment, Names, Reasons
from hybrid_sched.cmd.manage.app import ManageError

_DEFAULT_LIMIT = 50
_LARGEST_LIMIT = 1000


class ListDecisions(Lister):
    """List the newest requests with their last step, newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--limit",
            type=int,
            choices=range(1, _LARGEST_LIMIT + 1),
            default=_DEFAULT_LIMIT,
            metavar=f"1..{_LARGEST_LIMIT}",
            help=f"how many requests (default: {_DEFAULT_LIMIT})",
        )
        parser.add_argument(
            "--long",
            action="store_true",
            help="name the hosts, and show the rule and the reasons too",
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        decisions = self.app.ask("decisions", limit=parsed_args.limit)
        columns = ("Request", "Framework", "Time", "Step", "First host", "Passed", "Refused")
        if parsed_args.long:
            columns += ("Hosts", "Reasons", "Rule")
        return columns, (_row(decision, long=parsed_args.long) for decision in decisions)


class ShowDecision(Lister):
    """Show each step of one request: the hosts that passed, best first, and why the others did not."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("uuid", metavar="UUID", help="of the server or the container")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        decisions = self.app.ask("decisions", request_uuid=parsed_args.uuid)
        if not decisions:
            raise ManageError(
                f"There is no decision on {parsed_args.uuid}: give the UUID of a server or container that was scheduled "
                "lately; [quota] decisions_kept says how many are kept."
            )
        return (
            ("Step", "Time", "Snapshot", "Snapshot age s", "Hosts", "Refused", "Rule"),
            (
                (
                    decision["stage"],
                    Moment(decision["decided_at_s"]),
                    decision["snapshot_version"],
                    None
                    if decision["snapshot_age_s"] is None
                    else round(decision["snapshot_age_s"], 1),
                    Names(decision["hosts"]),
                    Reasons(decision["refused"]),
                    decision["text"],
                )
                for decision in decisions
            ),
        )


def _row(decision: dict[str, Any], *, long: bool) -> tuple[Any, ...]:
    row = (
        decision["request_uuid"],
        decision["framework"],
        Moment(decision["decided_at_s"]),
        decision["stage"],
        next(iter(decision["hosts"]), ""),
        len(decision["hosts"]),
        len(decision["refused"]),
    )
    if not long:
        return row
    return (*row, Names(decision["hosts"]), Reasons(decision["refused"]), decision["text"])
