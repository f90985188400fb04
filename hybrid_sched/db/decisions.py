# SPDX-License-Identifier: Apache-2.0
"""Decisions of the schedulers: why a request of last week went where it went."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from hybrid_sched.db.database import Database
from hybrid_sched.db.forgetting import AT_ONCE, forget_before
from hybrid_sched.db.schema import DECISIONS
from hybrid_sched.db.terms import fenced

#: Bytes of the text of one row, which MySQL's TEXT (65,535 bytes) holds.
MOST_BYTES = 60_000
# A statement can have so many parameters everywhere.
_AT_ONCE = 500
_COLUMNS = DECISIONS.c
_KEY = (_COLUMNS.request_uuid, _COLUMNS.decided_at, _COLUMNS.stage)


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One step of one request.

    :param request_uuid: the guest or container.
    :param decided_at_s: Unix time.
    :param stage: the step.
    :param document: all that is known of it, of at most :data:`MOST_BYTES` bytes in UTF-8.
    """

    request_uuid: str
    decided_at_s: float
    stage: str
    document: str

    @property
    def key(self) -> tuple[str, float, str]:
        """Give what tells one step from all others."""
        return self.request_uuid, self.decided_at_s, self.stage


class DecisionStore:
    """Keep the newest steps of each request.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over; then nothing has changed.

    :param steps_kept: of one request.
    """

    def __init__(self, database: Database, steps_kept: int) -> None:
        self._database = database
        self._steps_kept = steps_kept

    def put_many(self, decisions: Iterable[StoredDecision], term: int) -> None:
        """Keep several; one that is there already stays as it is, so that the same batch may come twice."""
        rows = {each.key: each for each in decisions}

        def work(connection: sa.Connection) -> None:
            # From here on no newer leader writes, so that what is read stays true.
            fenced(connection, term)
            counts: dict[str, int] = {}
            there = set()
            for part in _parts({uuid for uuid, _, _ in rows}):
                known = sa.select(*_KEY).where(_COLUMNS.request_uuid.in_(part))
                for key in connection.execute(known):
                    there.add(tuple(key))
                    counts[key.request_uuid] = counts.get(key.request_uuid, 0) + 1
            new = [each for key, each in rows.items() if key not in there]
            if new:
                connection.execute(DECISIONS.insert(), [_to_row(each) for each in new])
            for each in new:
                counts[each.request_uuid] = counts.get(each.request_uuid, 0) + 1
            for uuid, count in counts.items():
                if count > self._steps_kept:
                    _forget_oldest(connection, uuid, count - self._steps_kept)

        self._database.write(work)

    def forget_before(self, decided_at_s: float, term: int, most: int = AT_ONCE) -> int:
        """Forget old steps, a few in each transaction so that nobody waits for long.

        :param decided_at_s: Unix time; what was decided before goes.
        :param term: of the writer.
        :param most: that go at once.
        :returns: how many went; call again when it is ``most`` or more.
        """
        return forget_before(self._database, _COLUMNS.decided_at, decided_at_s, term, most)

    def of(self, request_uuid: str) -> tuple[StoredDecision, ...]:
        """Give the steps of a request, the oldest first."""
        query = (
            sa.select(DECISIONS)
            .where(_COLUMNS.request_uuid == request_uuid)
            .order_by(_COLUMNS.decided_at)
        )
        return self._read(query)

    def between(self, from_s: float, to_s: float) -> tuple[StoredDecision, ...]:
        """Give the steps of all requests in some time, the oldest first.

        :param from_s: Unix time at which it begins.
        :param to_s: Unix time before which it ends.
        """
        query = (
            sa.select(DECISIONS)
            .where(_COLUMNS.decided_at >= from_s, _COLUMNS.decided_at < to_s)
            .order_by(_COLUMNS.decided_at, _COLUMNS.request_uuid, _COLUMNS.stage)
        )
        return self._read(query)

    def newest(self, limit: int, stages: Collection[str]) -> tuple[StoredDecision, ...]:
        """Give the last step of each of the newest requests, the newest first.

        :param limit: of requests.
        :param stages: steps that count.
        """
        # Of one request there are few steps, so that so many rows are of enough requests.
        keys = (
            sa.select(*_KEY)
            .where(_COLUMNS.stage.in_(stages))
            .order_by(_COLUMNS.decided_at.desc())
            .limit(limit * self._steps_kept)
        )

        def work(connection: sa.Connection) -> list[StoredDecision]:
            last: dict[str, tuple[str, float, str]] = {}
            for key in connection.execute(keys):
                last.setdefault(key.request_uuid, tuple(key))
            wanted = set(list(last.values())[:limit])
            found = []
            for part in _parts({uuid for uuid, _, _ in wanted}):
                rows = connection.execute(
                    sa.select(DECISIONS).where(_COLUMNS.request_uuid.in_(part))
                )
                found += [each for each in map(_from_row, rows.mappings()) if each.key in wanted]
            return sorted(found, key=lambda each: -each.decided_at_s)

        return tuple(self._database.read(work)) if limit > 0 else ()

    def _read(self, query: sa.Select[tuple[object, ...]]) -> tuple[StoredDecision, ...]:
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        return tuple(map(_from_row, rows))


def _forget_oldest(connection: sa.Connection, uuid: str, count: int) -> None:
    of_it = _COLUMNS.request_uuid == uuid
    oldest = sa.select(*_KEY).where(of_it).order_by(_COLUMNS.decided_at).limit(count)
    for key in connection.execute(oldest).all():
        is_it = (of_it, _COLUMNS.decided_at == key.decided_at, _COLUMNS.stage == key.stage)
        connection.execute(DECISIONS.delete().where(*is_it))


def _parts(uuids: Collection[str]) -> Iterable[list[str]]:
    names = list(uuids)
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _to_row(decision: StoredDecision) -> dict[str, object]:
    return {
        "request_uuid": decision.request_uuid,
        "decided_at": decision.decided_at_s,
        "stage": decision.stage,
        "document": decision.document,
    }


def _from_row(row: sa.RowMapping) -> StoredDecision:
    return StoredDecision(row["request_uuid"], row["decided_at"], row["stage"], row["document"])
