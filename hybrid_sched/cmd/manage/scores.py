# SPDX-License-Identifier: Apache-2.0
"""``scores``: what hardware is worth. These commands work on the database; no service is needed."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cli.scores import (
    COLUMNS,
    add_pattern_arguments,
    add_score_arguments,
    cells,
    score_row,
)
from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.db import ready_database
from hybrid_sched.cmd.manage.score_file import ScoreFileError, read_scores
from hybrid_sched.core.hardware import ScoreRow
from hybrid_sched.db.scores import ScoreStore


class ListScores(Lister):
    """List the scores of hardware. The row with most literal characters that matches a host counts."""

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Read the database."""
        return COLUMNS, map(cells, ScoreStore(ready_database()).all())


class SetScore(ShowOne):
    """Set the score of a kind of hardware."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_score_arguments(parser)
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Write to the database."""
        row = score_row(parsed_args)
        ScoreStore(ready_database()).import_rows([row])
        return COLUMNS, cells(row)


class RemoveScore(Command):
    """Forget the score of a kind of hardware."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_pattern_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write to the database."""
        store = ScoreStore(ready_database())
        if not store.remove(parsed_args.cpu_model, parsed_args.memory_kind):
            raise ManageError(
                f"There is no score of {parsed_args.cpu_model!r} with memory {parsed_args.memory_kind!r}: give the patterns as "
                "`hybrid-sched-manage scores list` shows them, in quotes, and --memory-kind unless it is '*'."
            )


class ImportScores(Lister):
    """Set the scores of a CSV file and list what changes; a file with a bad line changes nothing."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "file",
            type=Path,
            metavar="FILE",
            help="with the columns cpu_model,memory_kind,score,note",
        )
        parser.add_argument(
            "--replace", action="store_true", help="forget the scores that are not in the file"
        )
        parser.add_argument("--dry-run", action="store_true", help="only list what would change")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Read the file, then write to the database."""
        try:
            rows = read_scores(parsed_args.file)
        except ScoreFileError as error:
            raise ManageError(f"{error}\nNothing was imported.") from None
        store = ScoreStore(ready_database())
        before = store.all()
        if not parsed_args.dry_run:
            store.import_rows(rows, replace=parsed_args.replace)
        return ("Change", *COLUMNS), changes(before, rows, replace=parsed_args.replace)


def changes(
    before: Iterable[ScoreRow], rows: Iterable[ScoreRow], *, replace: bool
) -> Iterator[tuple[Any, ...]]:
    """Say what an import does to each row: ``added``, ``changed`` or ``removed``; what stays is left out.

    :returns: the change, then the cells of the row.
    """
    old = {row.key: row for row in before}
    for row in rows:
        known = old.pop(row.key, None)
        if known != row:
            yield ("added" if known is None else "changed", *cells(row))
    if replace:
        yield from (("removed", *cells(row)) for row in old.values())
