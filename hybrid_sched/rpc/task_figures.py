# SPDX-License-Identifier: Apache-2.0
"""Figures of many tasks in one array, and on the wire as one text.

A busy host has hundreds of tasks, and the engine reads a thousand hosts: to read hundreds of numbers of JSON one by one took
longer than all else in a report.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hybrid_sched.rpc import wire
from hybrid_sched.rpc.wire import BadMessage, Wire

#: Figures of one host or task.
MAX_FIGURES = 64
Floats = npt.NDArray[np.float64]
# IEEE 754, eight bytes, the least significant one first.
_PACKED = np.dtype("<f8")


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

    @property
    def names(self) -> list[str]:
        """Give the names of the figures that some task may have."""
        return list(self._column)

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


def to_wire(figures: Mapping[str, Mapping[str, float]], uuids: Sequence[str]) -> Wire:
    """Write figures of tasks.

    :param figures: by uuid, then by name.
    :param uuids: of the tasks whose figures are written, in an order that the reader knows.
    :returns: ``{"names", "table"}``: the names of the columns, and the base64 of the rows one after another, each number as an
        IEEE 754 double with the least significant byte first, nan where not known.
    """
    made = TaskFigures.of(figures)
    names = sorted(made.names)
    table = made.select(uuids, names).astype(_PACKED)
    return {"names": names, "table": base64.b64encode(table.tobytes()).decode("ascii")}


def from_wire(message: object, where: str, uuids: Sequence[str]) -> TaskFigures:
    """Read and check figures of tasks; of a message without a table there are none.

    :param where: name of the field, for the error.
    :param uuids: of the tasks in the order of the rows.
    :raises BadMessage: when a field is wrong; its name is in the text.
    """
    fields = wire.mapping(message, where)
    entries = wire.sequence(fields.get("names", []), f"{where}.names", MAX_FIGURES)
    names = [wire.text(name, f"{where}.names", 64) for name in entries]
    if "table" not in fields:
        return TaskFigures.of({})
    table = _unpacked(fields["table"], f"{where}.table", (len(uuids), len(names)))
    known = ~np.isnan(table)
    # Whatever is no nan must be a number that could be sent as one.
    wrong = known & ~((table >= 0) & (table < wire.LARGEST))
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        wire.measure(float(table[row, column]), f"{where}.{names[column]} of task {uuids[row]}")
    some = np.asarray(known.any(axis=1))
    if some.all():
        return TaskFigures(names, uuids, table)
    return TaskFigures(names, [uuids[row] for row in np.flatnonzero(some).tolist()], table[some])


def _unpacked(value: object, where: str, shape: tuple[int, int]) -> Floats:
    if not isinstance(value, str):
        raise BadMessage(f"{where}: is not a string")
    size = shape[0] * shape[1] * _PACKED.itemsize
    # Looked at before it is unpacked: a message may be large and hostile.
    if len(value) != 4 * -(-size // 3):
        raise BadMessage(
            f"{where}: {len(value)} characters are not the base64 of {shape[0]} tasks with {shape[1]} figures each"
        )
    try:
        packed = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise BadMessage(f"{where}: is no base64") from None
    if len(packed) != size:
        raise BadMessage(f"{where}: is {len(packed)} bytes and not {size}")
    return np.frombuffer(packed, _PACKED).reshape(shape).astype(np.float64, copy=False)
