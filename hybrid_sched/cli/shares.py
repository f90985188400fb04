# SPDX-License-Identifier: Apache-2.0
"""How the shares of the frameworks are shown."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hybrid_sched.cli.columns import Amount, Moment, Share, Table
from hybrid_sched.cli.errors import UserError
from hybrid_sched.core.resources import exact
from hybrid_sched.rpc.wire import number_to_wire

_SHARES = ("used", "wanted", "fair", "entitled", "floor", "borrowed", "owed")

Row = Mapping[str, Any]


def shares_table(rows: Iterable[Row]) -> Table:
    """Show each framework's weight and dominant shares, in each pool.

    :param rows: as the quota service gives them.
    """
    columns = ("Pool", "Framework", "Weight", *(each.capitalize() for each in _SHARES), "Key")
    return (
        (*columns, "Head from", "Rung", "Reserved"),
        (
            (
                row["pool"] or "default",
                row["framework"],
                Amount(row["weight"]),
                *(Share(row[share]) for share in _SHARES),
                Share(row["key"]),
                Share(row["head_from"]),
                row["rung"],
                row["reservations"],
            )
            for row in rows
        ),
    )


def framework_table(rows: Iterable[Row]) -> Table:
    """Show one framework in each pool.

    :param rows: of it, as :func:`rows_of_framework` gives them.
    """
    columns = ("Framework", "Pool", "Weight", "Fair", "Used", "Entitled", "Borrowed", "Owed")
    return (
        (*columns, "Rung", "Squeeze"),
        (
            (
                *framework_cells(row),
                *(Share(row[name]) for name in ("entitled", "borrowed", "owed")),
                row["rung"],
                Amount(row["squeeze"]),
            )
            for row in rows
        ),
    )


def history_table(rows: Iterable[Row]) -> Table:
    """Show what each framework held and might hold, in each pool.

    :param rows: as the API gives them.
    """
    shares = tuple(share for share in _SHARES if share != "floor")
    columns = ("Time", "Framework", "Pool", "Weight", *(each.capitalize() for each in shares))
    return (
        (*columns, "Rung", "Squeeze"),
        (
            (
                Moment(row["taken_at_s"]),
                row["framework"],
                row["pool"] or "default",
                Amount(row["weight"]),
                *(Share(row[share]) for share in shares),
                row["rung"],
                Amount(row["squeeze"]),
            )
            for row in rows
        ),
    )


def framework_cells(row: Row) -> tuple[Any, ...]:
    """Give framework, pool, weight, fair share and use."""
    return (
        row["framework"],
        row["pool"] or "default",
        Amount(row["weight"]),
        Share(row["fair"]),
        Share(row["used"]),
    )


def rows_of_framework(rows: Sequence[Row], framework: str) -> list[Row]:
    """Choose the rows of one framework.

    :raises UserError: when there are none.
    """
    found = [row for row in rows if row["framework"] == framework]
    if not found:
        known = " or ".join(dict.fromkeys(row["framework"] for row in rows)) or "none yet"
        raise UserError(f"There is no framework {framework!r}: give {known}.")
    return found


def add_weight_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that set a weight."""
    parser.add_argument("framework", metavar="FRAMEWORK", help="hypervisor or container")
    parser.add_argument(
        "weight",
        metavar="WEIGHT",
        help="a number above 0 such as 2, 0.5 or 3/4; 'default' goes back to [quota] weights",
    )
    parser.add_argument(
        "--pool", default="", metavar="POOL", help="where it counts (default: the default pool)"
    )


def weight_text(parsed_args: argparse.Namespace) -> str:
    """Say that a weight was set."""
    return (
        f"The weight of {parsed_args.framework} in pool {parsed_args.pool or 'default'} is {parsed_args.weight} "
        "from the next cycle on.\n"
    )


def weight_of(text: str) -> int | str | None:
    """Read a weight as it is sent; None for ``default``.

    :raises UserError: when it is none.
    """
    if text == "default":
        return None
    try:
        number = exact(text)
    except ValueError as error:
        raise UserError(f"WEIGHT: {error}.") from None
    if number <= 0:
        raise UserError(f"WEIGHT: {text} is not above 0: give a number such as 2, 0.5 or 3/4.")
    return number_to_wire(number)


def pool_of(text: str | None) -> str | None:
    """Give the name of a pool as it is sent: that of the default pool is empty."""
    return "" if text == "default" else text
