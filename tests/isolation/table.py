# SPDX-License-Identifier: Apache-2.0
"""What was declared and what was measured, as the table of the suite."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

#: Measured and declared differ by this part at most.
TOLERANCE = 0.10
#: Rows that a test fills, with their units.
ROWS = {
    "CPU quota": "cores",
    "cpuset": "CPUs",
    "memory": "MiB",
    "disk read": "MB/s",
    "disk write": "MB/s",
    "NIC in": "MB/s",
    "NIC out": "MB/s",
}
COLUMNS = ("guest v1", "container v1", "guest v2", "container v2")


@dataclass(frozen=True)
class Cell:
    """One measurement.

    :param row: of :data:`ROWS`.
    :param column: of :data:`COLUMNS`.
    :param declared: the limit, in the unit of the row; of the cpuset the number of CPUs.
    :param measured: what the task got under full load, in the same unit.
    :param without: what it got without the limit; None where that is not measured.
    :param by: what held it.
    """

    row: str
    column: str
    declared: float
    measured: float
    without: float | None
    by: str

    @property
    def holds(self) -> bool:
        """Say whether it was held as declared."""
        return abs(self.measured / self.declared - 1) <= TOLERANCE


def save(cells: Iterable[Cell], file: Path) -> None:
    """Write cells as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([asdict(cell) for cell in cells], indent=1) + "\n")


def load(file: Path) -> list[Cell]:
    """Read cells; none where there is no file."""
    return [Cell(**fields) for fields in json.loads(file.read_text())] if file.exists() else []


def lines(cells: Iterable[Cell]) -> list[str]:
    """Give the table as text: declared and measured, in each cell."""
    known: dict[tuple[str, str], Cell] = {}
    for cell in cells:
        # Several isolators hold the same: the first that was measured is shown, all are in the file.
        known.setdefault((cell.row, cell.column), cell)
    width = 25
    told = [f"{'declared / measured':<19}" + "".join(f"{column:>{width}}" for column in COLUMNS)]
    for row, unit in ROWS.items():
        texts = (_text(known.get((row, column))) for column in COLUMNS)
        told.append(f"{row + ', ' + unit:<19}" + "".join(f"{text:>{width}}" for text in texts))
    return told


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    mark = "" if cell.holds else " !"
    return f"{cell.declared:.4g} / {cell.measured:.4g} ({cell.measured / cell.declared:.0%}){mark}"
