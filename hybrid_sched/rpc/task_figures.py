# SPDX-License-Identifier: Apache-2.0
"""Figures of many tasks in one array: a busy host has hundreds of tasks, and the engine reads a thousand hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class TaskFigures(Mapping[str, Mapping[str, float]]):
    """Figures by the task's uuid, then by name; a figure that is not known of a task is not in it.

    :param names: of the figures, in the order of the columns.
    :param uuids: of the tasks, in the order of the rows.
    :param table: shape (tasks, figures); nan where not known.
    """

    __slots__ = ("_column", "_row", "_table", "_uuids")

    def __init__(self, names: Sequence[str], uuids: Sequence[str], table: Floats) -> None:
        self._column = {name: index for index, name in enumerate(names)}
        self._uuids = list(uuids)
        self._table = table
        self._row: dict[str, int] | None = None

    @classmethod
    def of(cls, figures: Mapping[str, Mapping[str, float]]) -> TaskFigures:
        """Give figures in this form."""
        if isinstance(figures, cls):
            return figures
        names = sorted({name for of_task in figures.values() for name in of_task})
        rows = [[of_task.get(name, np.nan) for name in names] for of_task in figures.values()]
        table = np.array(rows, dtype=np.float64).reshape(len(figures), len(names))
        return cls(names, list(figures), table)

    def __getitem__(self, uuid: str) -> dict[str, float]:
        """Give the figures of one task.

        :raises KeyError: when there are none.
        """
        row = self._table[self._rows()[uuid]].tolist()
        named = ((name, row[column]) for name, column in self._column.items())
        return {name: value for name, value in named if value == value}  # noqa: PLR0124 - nan is not known

    def __iter__(self) -> Iterator[str]:
        return iter(self._uuids)

    def __len__(self) -> int:
        return len(self._uuids)

    def select(self, uuids: Sequence[str], names: Sequence[str]) -> Floats:
        """Give some figures of some tasks.

        :returns: shape (uuids, names); nan where not known.
        """
        columns = [self._column.get(name, -1) for name in names]
        found = (
            self._table[:, columns] if self._column else np.full((len(self), len(names)), np.nan)
        )
        found[:, [column < 0 for column in columns]] = np.nan
        if self._uuids == uuids:
            return found
        rows = self._rows()
        chosen = np.array([rows.get(uuid, -1) for uuid in uuids], dtype=np.intp)
        if not len(self):
            return np.full((len(uuids), len(names)), np.nan)
        found = found[chosen]
        found[chosen < 0] = np.nan
        return found

    def above(self, name: str, most: float) -> tuple[str, float] | None:
        """Give the first task of which a figure is above a bound, and the figure; None when there is none."""
        column = self._column.get(name)
        if column is None:
            return None
        over = self._table[:, column] > most
        if not over.any():
            return None
        row = int(over.argmax())
        return self._uuids[row], float(self._table[row, column])

    def _rows(self) -> dict[str, int]:
        if self._row is None:
            self._row = {uuid: index for index, uuid in enumerate(self._uuids)}
        return self._row
