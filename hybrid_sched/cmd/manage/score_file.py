# SPDX-License-Identifier: Apache-2.0
"""The CSV file of hardware scores."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from hybrid_sched.cli.scores import parse_score
from hybrid_sched.core.hardware import ANY, ScoreRow

COLUMNS = ("cpu_model", "memory_kind", "score", "note")
_MOST_FAULTS_SHOWN = 20


class ScoreFileError(ValueError):
    """A file that cannot be used; the message names line, field and remedy of each fault."""


def read_scores(path: Path) -> list[ScoreRow]:
    """Read a file with the columns of :data:`COLUMNS`, in any order; lines that begin with ``#`` are left out.

    :raises ScoreFileError: when it cannot be read or any line cannot be used.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except OSError as error:
        raise ScoreFileError(
            f"{path} cannot be read ({error.strerror}): name a readable file."
        ) from None
    except UnicodeDecodeError as error:
        raise ScoreFileError(f"{path} is not UTF-8 ({error.reason}): save it as UTF-8.") from None
    return _parse(path, io.StringIO(text, newline=""))


def _parse(path: Path, file: Iterable[str]) -> list[ScoreRow]:
    lines = csv.reader(file, strict=True)
    header: list[str] | None = None
    rows: dict[tuple[str, str], tuple[ScoreRow, int]] = {}
    faults = []
    try:
        for cells in lines:
            if not any(map(str.strip, cells)) or cells[0].startswith("#"):
                continue
            if header is None:
                header = _header(cells)
                continue
            try:
                row = _row(header, cells)
                if row.key in rows:
                    raise ValueError(
                        f"cpu_model, memory_kind: the same patterns are in line {rows[row.key][1]}: keep one of the lines"
                    )
                rows[row.key] = row, lines.line_num
            except ValueError as error:
                faults.append(f"line {lines.line_num}, {error}")
        if header is None:
            raise ValueError(f"it is empty: begin with the line {','.join(COLUMNS)}")
    except (csv.Error, ValueError) as error:
        faults.append(f"line {max(1, lines.line_num)}, {error}")
    if faults:
        shown = "".join(f"\n  {fault}" for fault in faults[:_MOST_FAULTS_SHOWN])
        more = len(faults) - _MOST_FAULTS_SHOWN
        raise ScoreFileError(
            f"{path} cannot be used:{shown}" + (f"\n  and {more} more" if more > 0 else "")
        )
    return [row for row, _ in rows.values()]


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(set(names)) != len(names) or not {"cpu_model", "score"} <= set(names) <= set(COLUMNS):
        raise ValueError(
            f"header: {','.join(names)} are not the columns: write {','.join(COLUMNS)} (memory_kind and note may be left out)"
        )
    return names


def _row(header: list[str], cells: list[str]) -> ScoreRow:
    if len(cells) != len(header):
        raise ValueError(
            f"fields: there are {len(cells)}, not {len(header)}: write {','.join(header)}, with quotes around commas"
        )
    fields = dict(zip(header, (cell.strip() for cell in cells), strict=True))
    return ScoreRow(
        fields["cpu_model"],
        fields.get("memory_kind", "") or ANY,
        parse_score(fields["score"]),
        fields.get("note", ""),
    )
