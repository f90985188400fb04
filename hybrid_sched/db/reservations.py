# SPDX-License-Identifier: Apache-2.0
"""Reservations: what is promised outlives the engine that promised it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hybrid_sched.core.resources import Resources
from hybrid_sched.db.database import Database
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.db.schema import RESERVATIONS
from hybrid_sched.db.terms import fenced

# A statement can have so many parameters everywhere.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StoredReservation:
    """Demand that is promised and not on a host yet.

    :param request_uuid: of the guest or container.
    :param framework: who asked.
    :param pool: in which it counts.
    :param demand: of each task, unscored.
    :param count: tasks of the request.
    :param created_at_s: Unix time.
    :param expires_at_s: Unix time at which it ends if the task has not appeared.
    """

    request_uuid: str
    framework: str
    pool: str
    demand: Resources
    count: int
    created_at_s: float
    expires_at_s: float


class ReservationStore:
    """Keep the reservations. Each write is on disk when it returns, and is the leader's alone.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, reservation: StoredReservation, term: int) -> None:
        """Keep one, in place of one for the same request."""
        self.put_many([reservation], term)

    def put_many(self, reservations: Iterable[StoredReservation], term: int) -> None:
        """Keep several, all or none, in place of those for the same requests."""
        rows = {each.request_uuid: _to_row(each, term) for each in reservations}

        def work(connection: sa.Connection) -> None:
            fenced(connection, term)
            _delete(connection, rows)
            if rows:
                connection.execute(RESERVATIONS.insert(), list(rows.values()))

        self._database.write(work)

    def remove(self, uuids: Collection[str], term: int) -> int:
        """End those of some requests; says how many there were."""

        def work(connection: sa.Connection) -> int:
            fenced(connection, term)
            return _delete(connection, uuids)

        return self._database.write(work)

    def all(self) -> tuple[StoredReservation, ...]:
        """Give all of them, the oldest first."""
        query = sa.select(RESERVATIONS).order_by(
            RESERVATIONS.c.created_at, RESERVATIONS.c.request_uuid
        )
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        return tuple(map(_from_row, rows))


def _delete(connection: sa.Connection, uuids: Collection[str]) -> int:
    names = list(uuids)
    parts = (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
    return sum(
        connection.execute(
            RESERVATIONS.delete().where(RESERVATIONS.c.request_uuid.in_(part))
        ).rowcount
        for part in parts
    )


def _to_row(reservation: StoredReservation, term: int) -> dict[str, Any]:
    demand = {
        name: amount if isinstance(amount, int) else str(amount)
        for name, amount in reservation.demand.declared().items()
    }
    return {
        "request_uuid": reservation.request_uuid,
        "framework": reservation.framework,
        "pool": reservation.pool,
        "demand": json.dumps(demand),
        "count": reservation.count,
        "created_at": reservation.created_at_s,
        "expires_at": reservation.expires_at_s,
        "term": term,
    }


def _from_row(row: sa.RowMapping) -> StoredReservation:
    try:
        demand = Resources.parse(json.loads(row["demand"]))
    except (ValueError, AttributeError) as error:
        raise DatabaseError(
            f"The reservation of {row['request_uuid']} has a demand that cannot be read ({error}): delete its row of the "
            "table reservations."
        ) from None
    return StoredReservation(
        row["request_uuid"],
        row["framework"],
        row["pool"],
        demand,
        row["count"],
        row["created_at"],
        row["expires_at"],
    )
