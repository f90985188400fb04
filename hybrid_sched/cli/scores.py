# SPDX-License-Identifier: Apache-2.0
"""How scores of hardware are shown and given."""

from __future__ import annotations

import argparse
import re
from typing import Any

from hybrid_sched.cli.columns import Amount
from hybrid_sched.cli.errors import UserError
from hybrid_sched.core.hardware import ANY, ScoreRow
from hybrid_sched.core.resources import Number, exact
from hybrid_sched.rpc.wire import number_to_wire

COLUMNS = ("CPU model", "Memory kind", "Score", "Note")
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,20}|/\d{1,20})?")


def parse_score(text: str) -> Number:
    """Read a score.

    :param text: for example ``0.85`` or ``3/4``.
    :raises ValueError: when it is no number of that form.
    """
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"score: {text!r} is not a number: write it as 0.85 or 3/4")
    try:
        return exact(text.strip())
    except ValueError as error:
        raise ValueError(f"score: {error}") from None


def cells(row: ScoreRow) -> tuple[Any, ...]:
    """Give the columns of one row."""
    return row.cpu_model, row.memory_kind, Amount(number_to_wire(row.score)), row.note


def add_pattern_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a row."""
    parser.add_argument(
        "cpu_model",
        metavar="CPU_MODEL",
        help="glob pattern of the processor's name as /proc/cpuinfo gives it; case does not matter",
    )
    parser.add_argument(
        "--memory-kind",
        default=ANY,
        metavar="KIND",
        help="glob pattern of the kind of memory, for example DDR4 (default: any)",
    )


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a row."""
    add_pattern_arguments(parser)
    parser.add_argument("score", metavar="SCORE", help="above 0 and at most 1: 0.85 or 3/4")
    parser.add_argument("--note", default="", metavar="TEXT", help="for people")


def score_row(parsed_args: argparse.Namespace) -> ScoreRow:
    """Make a row of the arguments of :func:`add_score_arguments`.

    :raises UserError: when they make none.
    """
    try:
        return ScoreRow(
            parsed_args.cpu_model,
            parsed_args.memory_kind,
            parse_score(parsed_args.score),
            parsed_args.note,
        )
    except ValueError as error:
        raise UserError(f"The score cannot be set: {error}.") from None
