# SPDX-License-Identifier: Apache-2.0
"""Rows that are too old go a few at a time, so that no other writer of the database waits for long."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from hybrid_sched.db.database import Database
from hybrid_sched.db.terms import fenced

#: Rows of one transaction.
AT_ONCE = 500


def forget_before(
    database: Database, moment: sa.Column[Any], before_s: float, term: int, most: int = AT_ONCE
) -> int:
    """Forget the oldest rows of a table in one transaction; rows of the same moment go together.

    :param moment: column with the Unix time of a row; its table is meant.
    :param before_s: Unix time; what is older goes.
    :param term: of the writer.
    :param most: that go at once.
    :returns: how many went; call again when it is ``most`` or more.
    :raises DatabaseError: when it cannot be done.
    :raises Deposed: when another engine leads.
    """
    is_old = moment < before_s
    last = sa.select(moment).where(is_old).order_by(moment).offset(most - 1).limit(1)

    def work(connection: sa.Connection) -> int:
        fenced(connection, term)
        until = connection.scalar(last)
        goes = is_old if until is None else moment <= until
        return connection.execute(sa.delete(moment.table).where(goes)).rowcount

    return database.write(work)
