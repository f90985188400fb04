# SPDX-License-Identifier: Apache-2.0
"""Weights of the frameworks that were set at run time."""

from __future__ import annotations

import sqlalchemy as sa

from hybrid_sched.core.resources import Number, exact
from hybrid_sched.db.database import Database
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.db.schema import FRAMEWORK_WEIGHTS, LONGEST_NAME
from hybrid_sched.db.terms import fenced
from hybrid_sched.db.upsert import upsert


class WeightStore:
    """Keep weights by pool (``""`` is the default one) and framework.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used. With a term a write is
    the leader's, and :class:`~hybrid_sched.db.terms.Deposed` when that is over; without one it is anybody's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, dict[str, Number]]:
        """Give the weights by framework, by pool."""
        query = sa.select(FRAMEWORK_WEIGHTS)
        weights: dict[str, dict[str, Number]] = {}
        for row in self._database.read(lambda connection: connection.execute(query).all()):
            try:
                weights.setdefault(row.pool, {})[row.framework] = exact(row.weight)
            except ValueError as error:
                raise DatabaseError(
                    f"The weight of framework {row.framework!r} in pool {row.pool!r} cannot be read ({error}): set it again."
                ) from None
        return weights

    def set(self, pool: str, framework: str, weight: Number, term: int | None = None) -> None:
        """Set a weight.

        :raises ValueError: when it is not above 0, or a text is too long.
        """
        if weight <= 0:
            raise ValueError(f"weight: {weight} is out of range: give a number above 0")
        if max(map(len, (pool, framework, str(weight)))) > LONGEST_NAME:
            raise ValueError(
                f"pool, framework, weight: one has more than {LONGEST_NAME} characters: shorten it"
            )

        def work(connection: sa.Connection) -> None:
            if term is not None:
                fenced(connection, term)
            key = {"pool": pool, "framework": framework}
            upsert(connection, FRAMEWORK_WEIGHTS, key, {"weight": str(weight)})

        self._database.write(work)

    def unset(self, pool: str, framework: str, term: int | None = None) -> bool:
        """Forget a weight; says whether there was one."""
        columns = FRAMEWORK_WEIGHTS.c

        def work(connection: sa.Connection) -> bool:
            if term is not None:
                fenced(connection, term)
            is_it = (columns.pool == pool, columns.framework == framework)
            return connection.execute(FRAMEWORK_WEIGHTS.delete().where(*is_it)).rowcount > 0

        return self._database.write(work)
