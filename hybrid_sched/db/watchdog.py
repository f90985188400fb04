# SPDX-License-Identifier: Apache-2.0
"""What operators and the watchdog have set for good: hosts that are being emptied, strategies that are switched off."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from hybrid_sched.db.database import Database
from hybrid_sched.db.schema import DRAINED_HOSTS, STRATEGIES
from hybrid_sched.db.terms import fenced
from hybrid_sched.db.upsert import upsert


@dataclass(frozen=True, slots=True)
class StrategySwitch:
    """Whether a strategy may decide.

    :param since_s: Unix time at which it was switched last; 0 for never.
    :param off_text: why it is off, as a sentence; empty while it is on.
    """

    since_s: float = 0.0
    off_text: str = ""


class WatchdogStore:
    """Keep the settings. Each write is on disk when it returns, and is the leader's alone.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def drained(self) -> frozenset[str]:
        """Name the hosts that are to be emptied and to take nothing."""
        query = sa.select(DRAINED_HOSTS.c.host)
        return frozenset(self._database.read(lambda connection: connection.scalars(query).all()))

    def drain(self, host: str, term: int, now_s: float) -> None:
        """Have a host emptied from now on."""

        def work(connection: sa.Connection) -> None:
            fenced(connection, term)
            upsert(connection, DRAINED_HOSTS, {"host": host}, {"since": now_s})

        self._database.write(work)

    def undrain(self, host: str, term: int) -> bool:
        """Have a host take tasks again; says whether it was to be emptied."""

        def work(connection: sa.Connection) -> bool:
            fenced(connection, term)
            is_it = DRAINED_HOSTS.c.host == host
            return connection.execute(DRAINED_HOSTS.delete().where(is_it)).rowcount > 0

        return self._database.write(work)

    def switches(self) -> dict[str, StrategySwitch]:
        """Give the strategies that were ever switched, by name."""
        query = sa.select(STRATEGIES)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return {row.strategy: StrategySwitch(row.since, row.off_text) for row in rows}

    def switch(self, strategy: str, off_text: str, term: int, now_s: float) -> None:
        """Switch a strategy.

        :param off_text: why it is off; empty switches it on.
        """

        def work(connection: sa.Connection) -> None:
            fenced(connection, term)
            values = {"off_text": off_text, "since": now_s}
            upsert(connection, STRATEGIES, {"strategy": strategy}, values)

        self._database.write(work)
