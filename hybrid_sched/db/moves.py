# SPDX-License-Identifier: Apache-2.0
"""The ledger of moves: what was begun outlives the engine that began it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from hybrid_sched.core.rebalancing.moves import IN_FLIGHT, Decision, Effect, MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.db.compare_and_set import compare_and_set
from hybrid_sched.db.database import Database
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.db.schema import MOVES
from hybrid_sched.db.terms import fenced

Moves = list[MoveRecord]
_COLUMNS = MOVES.c
_GOING = sorted(IN_FLIGHT)
# Fields whose columns have the same name and value, and those that are named otherwise there.
_SAME = ("uuid", "position", "plan", "strategy", "executor", "step", "cancelling", "text")
_TIMES = {"planned_at_s": "planned_at", "started_at_s": "started_at", "ended_at_s": "ended_at"}
_DECIDED = ("task", "framework", "source", "target", "reason")
_FIGURES = ("score_before", "score_after", "cost", "copy_mb", "needed_above", "emptied")
#: What changes while a move goes on; whether it is to be undone is not in it.
_CHANGING = ("state", "step", "details", "text", "started_at", "ended_at", "term")


class MoveStore:
    """Keep the moves. Each write is on disk when it returns, and is the leader's alone.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def confirm(self, term: int) -> None:
        """See that the term is not over."""
        self._database.write(lambda connection: fenced(connection, term))

    def add(self, moves: Sequence[MoveRecord], term: int) -> bool:
        """Take up moves, all or none; those whose uuid is there already are left as they are.

        :param moves: in the order in which they are to be begun; their positions are given here.
        :returns: whether they are in the ledger; not when another move of one of their tasks is in flight.
        """

        def work(connection: sa.Connection) -> bool:
            fenced(connection, term)
            uuids = [move.uuid for move in moves]
            known = set(connection.scalars(_uuids().where(_COLUMNS.uuid.in_(uuids))))
            new = [move for move in moves if move.uuid not in known]
            tasks = [move.decision.task for move in new]
            busy = _uuids().where(_COLUMNS.state.in_(_GOING), _COLUMNS.task.in_(tasks))
            if connection.scalars(busy).first() is not None:
                return False
            # The fence lets in one writer at a time, so that no two get the same position.
            last = connection.scalar(sa.select(sa.func.max(_COLUMNS.position))) or 0
            if new:
                rows = [
                    _to_row(replace(move, position=last + number), term)
                    for number, move in enumerate(new, start=1)
                ]
                connection.execute(MOVES.insert(), rows)
            return True

        return self._database.write(work)

    def get(self, uuid: str) -> MoveRecord | None:
        """Give one move; None when there is none."""
        found = self._read(sa.select(MOVES).where(_COLUMNS.uuid == uuid))
        return found[0] if found else None

    def newest(
        self, limit: int, before: int | None = None, states: Collection[MoveState] | None = None
    ) -> Moves:
        """Give moves, the newest first.

        :param limit: how many at most.
        :param before: position of the last one that the caller has seen; None to begin.
        :param states: of them; None for any.
        """
        query = sa.select(MOVES).order_by(_COLUMNS.position.desc()).limit(limit)
        if before is not None:
            query = query.where(_COLUMNS.position < before)
        if states is not None:
            query = query.where(_COLUMNS.state.in_(sorted(states)))
        return self._read(query)

    def since(self, ended_s: float) -> Moves:
        """Give the moves in flight and those that ended at a time or later, by position.

        :param ended_s: Unix time.
        """
        is_wanted = sa.or_(_COLUMNS.state.in_(_GOING), _COLUMNS.ended_at >= ended_s)
        return self._read(sa.select(MOVES).where(is_wanted).order_by(_COLUMNS.position))

    def in_flight(self) -> Moves:
        """Give the moves that are planned or running, by position."""
        query = sa.select(MOVES).where(_COLUMNS.state.in_(_GOING))
        return self._read(query.order_by(_COLUMNS.position))

    def newest_measured(self, strategy: str, since_s: float, limit: int) -> Moves:
        """Give the newest moves of a strategy whose effect was measured, the newest first.

        :param since_s: Unix time; those that were planned before are left out.
        """
        query = sa.select(MOVES).where(
            _COLUMNS.strategy == strategy,
            _COLUMNS.state == MoveState.DONE,
            _COLUMNS.measured != "",
            _COLUMNS.planned_at >= since_s,
        )
        return self._read(query.order_by(_COLUMNS.position.desc()).limit(limit))

    def update(self, move: MoveRecord, expected: MoveState, term: int) -> bool:
        """Write how far a move is, if its state is still the expected one (compare and set).

        Whether it is to be undone stays as it is in the database.

        :param move: with its new state, step, details, times and text.
        :param expected: state that the writer knew.
        :returns: whether it was written.
        """
        row = _to_row(move, term)
        changes = {name: row[name] for name in _CHANGING}
        return compare_and_set(
            self._database, MOVES, move.uuid, expected=expected, changes=changes, term=term
        )

    def cancel(self, uuid: str, term: int, now_s: float, why: str) -> MoveRecord | None:
        """Note that a move is to be undone; a planned one is cancelled at once, one that has ended stays as it is.

        :param now_s: Unix time.
        :param why: a sentence.
        :returns: the move as it is now; None when there is none.
        """
        is_it = _COLUMNS.uuid == uuid
        note = MOVES.update().where(is_it, _COLUMNS.state.in_(_GOING))
        end = MOVES.update().where(is_it, _COLUMNS.state == MoveState.PLANNED)

        def work(connection: sa.Connection) -> MoveRecord | None:
            fenced(connection, term)
            connection.execute(note.values(cancelling=True, text=why, term=term))
            connection.execute(end.values(state=MoveState.CANCELLED, ended_at=now_s))
            row = connection.execute(sa.select(MOVES).where(is_it)).mappings().first()
            return None if row is None else _from_row(row)

        return self._database.write(work)

    def note_measured(self, uuid: str, effect: Effect, term: int) -> None:
        """Keep what a move that is done has come to."""
        is_it = (_COLUMNS.uuid == uuid, _COLUMNS.state == MoveState.DONE)

        def work(connection: sa.Connection) -> None:
            fenced(connection, term)
            values = {"measured": json.dumps(asdict(effect)), "term": term}
            connection.execute(MOVES.update().where(*is_it).values(values))

        self._database.write(work)

    def forget(self, before_s: float, term: int) -> int:
        """Remove the moves that ended before a time.

        :param before_s: Unix time.
        :returns: how many were removed.
        """
        old = MOVES.delete().where(_COLUMNS.state.not_in(_GOING), _COLUMNS.ended_at < before_s)

        def work(connection: sa.Connection) -> int:
            fenced(connection, term)
            return connection.execute(old).rowcount

        return self._database.write(work)

    def _read(self, query: sa.Select[Any]) -> Moves:
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [_from_row(row) for row in rows]


def _uuids() -> sa.Select[Any]:
    return sa.select(_COLUMNS.uuid)


def _to_row(move: MoveRecord, term: int) -> dict[str, Any]:
    made = move.decision
    demand = {
        name: amount if isinstance(amount, int) else str(amount)
        for name, amount in made.demand.declared().items()
    }
    figures = {
        "demand": demand,
        "use": list(made.use),
        "effect": asdict(made.effect),
        **{name: getattr(made, name) for name in _FIGURES},
    }
    return {
        **{name: getattr(move, name) for name in _SAME},
        **{column: getattr(move, name) for name, column in _TIMES.items()},
        **{name: getattr(made, name) for name in _DECIDED},
        "figures": json.dumps(figures),
        "state": move.state.value,
        "details": json.dumps(dict(move.details)),
        "measured": "" if move.measured is None else json.dumps(asdict(move.measured)),
        "term": term,
    }


def _from_row(row: sa.RowMapping) -> MoveRecord:
    return MoveRecord(
        **{name: row[name] for name in _SAME},
        **{name: row[column] for name, column in _TIMES.items()},
        decision=_parsed(row, "figures", lambda value: _decision(row, json.loads(value))),
        state=_parsed(row, "state", MoveState),
        details=_parsed(row, "details", json.loads),
        measured=_parsed(
            row, "measured", lambda value: Effect(**json.loads(value)) if value else None
        ),
    )


def _decision(row: sa.RowMapping, figures: dict[str, Any]) -> Decision:
    return Decision(
        **{name: row[name] for name in _DECIDED},
        demand=Resources.parse(figures["demand"]),
        use=tuple(figures["use"]),
        effect=Effect(**figures["effect"]),
        **{name: figures[name] for name in _FIGURES},
    )


def _parsed(row: sa.RowMapping, name: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(row[name])
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise DatabaseError(
            f"The move {row['uuid']} has {name} that cannot be read ({error}): see that its task runs on one host, and "
            "delete its row of the table moves."
        ) from None
