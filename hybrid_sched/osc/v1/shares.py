# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid share``: what each framework holds and may hold."""

from __future__ import annotations

import argparse
import itertools
import re
import time

from osc_lib.command import command

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.errors import UserError
from hybrid_sched.cli.shares import (
    add_weight_arguments,
    framework_table,
    history_table,
    pool_of,
    shares_table,
    weight_of,
    weight_text,
)
from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.osc.commands import api
from hybrid_sched.queue.fields import BadField, moment, seconds_of

# Of a page.
_MOST_ROWS = 1000
_UNIX_TIME = re.compile(r"\d{1,15}(\.\d+)?", re.ASCII)


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


class ShareHistory(command.Lister):
    """List what each framework held and might hold, in each pool, the newest record first.

    TIME is a date and time, of UTC where it names no zone, or Unix time as -f json shows it, or how long ago: 2h, '1d12h ago'.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--framework", choices=FRAMEWORKS, help="only of guests (hypervisor) or of containers"
        )
        parser.add_argument("--pool", metavar="POOL", help="only in this pool (default: in all)")
        parser.add_argument("--since", metavar="TIME", help="only from then on")
        parser.add_argument("--until", metavar="TIME", help="only from before then")
        parser.add_argument(
            "--limit",
            type=int,
            default=100,
            metavar="N",
            help="rows at most (default: 100); 0 for all",
        )
        parser.add_argument(
            "--marker",
            metavar="TIME:FRAMEWORK:POOL",
            help="only what follows this row, with its time as -f json shows it",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        if parsed_args.limit < 0:
            raise UserError(f"--limit: {parsed_args.limit} is below 0: give 0 for all rows.")
        now_s, limit = time.time(), parsed_args.limit or None
        found = api(self).rows(
            "shares",
            "history",
            framework=parsed_args.framework,
            pool=pool_of(parsed_args.pool),
            since_s=_unix_time("--since", parsed_args.since, now_s),
            until_s=_unix_time("--until", parsed_args.until, now_s),
            limit=None if limit is None else min(limit, _MOST_ROWS),
            marker=parsed_args.marker,
        )
        return history_table(itertools.islice(found, limit))


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


def _unix_time(option: str, text: str | None, now_s: float) -> int | None:
    """Read a time as it is sent.

    :raises UserError: when it is none.
    """
    if text is None:
        return None
    if _UNIX_TIME.fullmatch(text):
        return int(float(text))
    ago_s = seconds_of(text.removesuffix("ago").strip().removeprefix("-"))
    try:
        return int(max(0, moment(text, option) if ago_s is None else now_s - ago_s))
    except BadField:
        raise UserError(
            f"{option}: {text!r} is no time: write 2026-12-01T00:00:00Z, Unix time, or how long ago, such as 2h or "
            "'1d12h ago'."
        ) from None
