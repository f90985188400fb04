# SPDX-License-Identifier: Apache-2.0
"""Insert or update, in SQL that all databases understand."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    key: Mapping[str, object],
    values: Mapping[str, object],
) -> None:
    """Set the values of the row with a key, which is made when it is missing."""
    is_it = sa.and_(*(table.c[name] == value for name, value in key.items()))
    # SQLAlchemy's drivers count the rows that match, also where MySQL would count those that change.
    if not connection.execute(table.update().where(is_it).values(**values)).rowcount:
        connection.execute(table.insert().values(**key, **values))
