# SPDX-License-Identifier: Apache-2.0
"""Scores of hardware (paper 4.2: "a CPU model or a memory type has a score")."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from hybrid_sched.core.hardware import ScoreRow
from hybrid_sched.core.resources import Number, exact
from hybrid_sched.db.database import Database
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.db.schema import HARDWARE_SCORES
from hybrid_sched.db.upsert import upsert

_COLUMNS = HARDWARE_SCORES.c


class ScoreStore:
    """Keep the scores.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[ScoreRow, ...]:
        """Give all rows by their patterns."""
        query = sa.select(HARDWARE_SCORES).order_by(_COLUMNS.cpu_model, _COLUMNS.memory_kind)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return tuple(map(_from_row, rows))

    def set(self, cpu_model: str, memory_kind: str, score: Number, note: str = "") -> None:
        """Set the score of a kind of hardware.

        :raises ValueError: when a value cannot be used; the message names it.
        """
        self.import_rows([ScoreRow(cpu_model, memory_kind, score, note)])

    def remove(self, cpu_model: str, memory_kind: str) -> bool:
        """Forget the score of a kind of hardware; says whether there was one."""
        statement = HARDWARE_SCORES.delete().where(
            _COLUMNS.cpu_model == cpu_model, _COLUMNS.memory_kind == memory_kind
        )
        return self._database.write(lambda connection: connection.execute(statement).rowcount > 0)

    def import_rows(self, rows: Iterable[ScoreRow], *, replace: bool = False) -> None:
        """Set many scores, all or none.

        :param replace: forget all others.
        """
        known = list(rows)

        def work(connection: sa.Connection) -> None:
            if replace:
                connection.execute(HARDWARE_SCORES.delete())
            for row in known:
                key = {"cpu_model": row.cpu_model, "memory_kind": row.memory_kind}
                values = {"score": str(row.score), "note": row.note}
                upsert(connection, HARDWARE_SCORES, key, values)

        self._database.write(work)


def _from_row(row: sa.Row[tuple[int, str, str, str, str]]) -> ScoreRow:
    try:
        return ScoreRow(row.cpu_model, row.memory_kind, exact(row.score), row.note)
    except ValueError as error:
        raise DatabaseError(
            f"The score of {row.cpu_model!r} with memory {row.memory_kind!r} cannot be used ({error}): set it again with "
            "`hybrid-sched-manage scores set`."
        ) from None
