# SPDX-License-Identifier: Apache-2.0
"""Shares of the frameworks as they were: how the cluster was shared last week."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from hybrid_sched.db.database import Database
from hybrid_sched.db.forgetting import AT_ONCE, forget_before
from hybrid_sched.db.schema import SHARE_HISTORY
from hybrid_sched.db.terms import fenced

_COLUMNS = SHARE_HISTORY.c
_KEY = (_COLUMNS.taken_at, _COLUMNS.framework, _COLUMNS.pool)

#: What tells one row from all others: Unix time, framework and pool.
Key = tuple[float, str, str]


@dataclass(frozen=True, slots=True)
class SharesThen:
    """What a framework held and might hold of a pool at some time.

    :param taken_at_s: Unix time.
    :param framework: its name.
    :param pool: its name; empty for the default one.
    :param figures: by name, in the form that messages have: exact numbers as integers or ``a/b``.
    """

    taken_at_s: float
    framework: str
    pool: str
    figures: Mapping[str, int | str]

    @property
    def key(self) -> Key:
        """Give what tells it from all others."""
        return self.taken_at_s, self.framework, self.pool


class ShareHistory:
    """Keep what the shares were.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, taken_at_s: float, rows: Iterable[SharesThen], term: int) -> None:
        """Keep all rows of one moment, in place of those that are there."""
        new = [
            {
                "taken_at": each.taken_at_s,
                "framework": each.framework,
                "pool": each.pool,
                "figures": json.dumps(dict(each.figures), separators=(",", ":")),
            }
            for each in rows
        ]

        def work(connection: sa.Connection) -> None:
            fenced(connection, term)
            # A transaction whose connection was lost as it was committed is run again.
            connection.execute(SHARE_HISTORY.delete().where(_COLUMNS.taken_at == taken_at_s))
            if new:
                connection.execute(SHARE_HISTORY.insert(), new)

        self._database.write(work)

    def forget_before(self, taken_at_s: float, term: int, most: int = AT_ONCE) -> int:
        """Forget what is older, a few rows at once; call again when ``most`` or more went."""
        return forget_before(self._database, _COLUMNS.taken_at, taken_at_s, term, most)

    def page(
        self,
        limit: int,
        *,
        after: Key | None = None,
        descending: bool = True,
        framework: str | None = None,
        pool: str | None = None,
        since_s: float | None = None,
        until_s: float | None = None,
    ) -> list[SharesThen]:
        """Give rows in order of their keys.

        :param limit: of rows.
        :param after: key of the last row of the page before, which need not be there any more; None to begin.
        :param descending: the newest first.
        :param framework: only of it.
        :param pool: only of it.
        :param since_s: Unix time from which on they are taken.
        :param until_s: Unix time before which they are taken.
        """
        query = sa.select(SHARE_HISTORY).limit(limit)
        query = query.order_by(*(each.desc() if descending else each for each in _KEY))
        if after is not None:
            key, marker = sa.tuple_(*_KEY), sa.tuple_(*map(sa.literal, after))
            # MySQL finds the place in the index by the time alone.
            taken_at = _COLUMNS.taken_at
            query = query.where(
                *(
                    (taken_at <= after[0], key < marker)
                    if descending
                    else (taken_at >= after[0], key > marker)
                )
            )
        if framework is not None:
            query = query.where(_COLUMNS.framework == framework)
        if pool is not None:
            query = query.where(_COLUMNS.pool == pool)
        if since_s is not None:
            query = query.where(_COLUMNS.taken_at >= since_s)
        if until_s is not None:
            query = query.where(_COLUMNS.taken_at < until_s)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [
            SharesThen(row.taken_at, row.framework, row.pool, json.loads(row.figures))
            for row in rows
        ]
