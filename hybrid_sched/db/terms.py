# SPDX-License-Identifier: Apache-2.0
"""Terms of office of the leader: fencing tokens (Kleppmann, "Designing Data-Intensive Applications", section 8)."""

from __future__ import annotations

import sqlalchemy as sa

from hybrid_sched.db.database import Database
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.db.schema import TERMS

_THE_ROW = TERMS.c.id == 1


class Deposed(Exception):
    """Another leader has begun a newer term; nothing was written."""


class Terms:
    """Count the terms. Each leader begins one, and the writes of all earlier leaders are refused from then on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, holder: str, now_s: float) -> int:
        """Begin the next term.

        :param holder: who begins it, for people.
        :param now_s: Unix time.
        :returns: its number, greater than all before; no two calls get the same.
        :raises DatabaseError: when the database cannot be used.
        """

        def work(connection: sa.Connection) -> int:
            # The update locks the row until the commit, so that the number which is read is ours.
            step = TERMS.update().where(_THE_ROW)
            connection.execute(step.values(term=TERMS.c.term + 1, holder=holder, since=now_s))
            return _newest(connection)

        return self._database.write(work)

    def newest(self) -> int:
        """Give the number of the newest term; 0 before the first.

        :raises DatabaseError: when the database cannot be used.
        """
        return self._database.read(_newest)


def fenced(session: sa.Connection, term: int) -> None:
    """Open a write of the leader: from here to the commit no newer term can begin.

    :param session: within the transaction of the write, as its first statement.
    :param term: of the writer.
    :raises Deposed: when it is not the newest any more.
    """
    # An update that changes nothing locks the row as any other does, also in SQL dialects without SELECT ... FOR UPDATE.
    touch = TERMS.update().where(_THE_ROW, TERMS.c.term == term).values(term=TERMS.c.term)
    if not session.execute(touch).rowcount:
        raise Deposed(f"Term {term} is over: the newest is {_newest(session)}.")


def _newest(connection: sa.Connection) -> int:
    term = connection.scalar(sa.select(TERMS.c.term).where(_THE_ROW))
    if term is None:
        raise DatabaseError(
            "The table terms has lost its row: restore the database from a copy, or drop all tables and run "
            "`hybrid-sched-manage db sync`."
        )
    return int(term)
