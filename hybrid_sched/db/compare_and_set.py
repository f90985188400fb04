# SPDX-License-Identifier: Apache-2.0
"""Writes of the leader that hold only while a row is in the state that the writer knew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from hybrid_sched.db.database import Database
from hybrid_sched.db.terms import fenced


def compare_and_set(
    database: Database,
    table: sa.Table,
    uuid: str,
    *,
    expected: str,
    changes: Mapping[str, Any],
    term: int,
) -> bool:
    """Write what changes of a row, if its state is still the expected one.

    :param table: with the columns ``uuid`` and ``state``.
    :param uuid: of the row.
    :param expected: state that the writer knew.
    :param changes: values by column.
    :param term: of the writer.
    :returns: whether it was written.
    :raises Deposed: when the term is over.
    :raises DatabaseError: when the database cannot be used.
    """
    is_it = table.c.uuid == uuid
    statement = table.update().where(is_it, table.c.state == expected).values(dict(changes))

    def work(connection: sa.Connection) -> bool:
        fenced(connection, term)
        if connection.execute(statement).rowcount:
            return True
        # When the connection is lost at the commit this runs again, and finds what it has written itself.
        found = connection.execute(sa.select(table).where(is_it)).mappings().first()
        return found is not None and all(found[name] == value for name, value in changes.items())

    return database.write(work)
