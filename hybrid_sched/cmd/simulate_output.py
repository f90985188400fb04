# SPDX-License-Identifier: Apache-2.0
"""How the commands of ``hybrid-sched-simulate`` write their results."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

Rows = Sequence[Mapping[str, Any]]


def add_format(command: Any) -> None:
    """Add the option that says how the output looks."""
    command.add_argument(
        "-f", "--format", choices=("table", "json", "csv"), default="table", help="of the output"
    )


def rows_of(results: Sequence[Any]) -> Rows:
    """Make rows of data classes, with four digits of each figure."""
    return [{name: _rounded(value) for name, value in asdict(each).items()} for each in results]


def write(rows: Rows, form: str, table: Callable[[Rows], None]) -> None:
    """Write rows of the same names to standard output.

    :param rows: at least one.
    :param form: ``json``, ``csv`` or ``table``.
    :param table: shows them to people.
    """
    if form == "json":
        json.dump(rows, sys.stdout)
        sys.stdout.write("\n")
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        table(rows)


def show_figures(rows: Rows, by: str) -> None:
    """Show a line a figure, where there are more figures than rows.

    :param by: what a row goes by, which heads its column.
    """
    table = Table("figure", *[row[by] for row in rows])
    for name in rows[0]:
        if name != by:
            table.add_row(name, *[shown(row[name]) for row in rows])
    Console(width=max(80, 30 + 16 * len(rows))).print(table)


def shown(value: object) -> str:
    """Give a figure as a cell; a dash where it cannot be told."""
    return "-" if value is None else str(value)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
