# SPDX-License-Identifier: Apache-2.0
"""The queue of declared tasks: what was taken on outlives the engine that took it."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from hybrid_sched.core.queued import FINAL_STATES, QueuedTask, TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.db.compare_and_set import compare_and_set
from hybrid_sched.db.database import Database
from hybrid_sched.db.errors import DatabaseError
from hybrid_sched.db.schema import QUEUED_TASKS
from hybrid_sched.db.terms import fenced

Tasks = list[QueuedTask]
#: By what tasks may be sorted, and the fields whose values may be asked for.
SORT_KEYS = ("position", "name", "priority", "submitted_at_s")
FILTERS = ("name", "framework", "host", "project_id")
# A statement can have so many parameters everywhere.
_AT_ONCE = 500
_COLUMNS = QUEUED_TASKS.c
_FINAL = sorted(FINAL_STATES)
# Fields whose columns have the same name and value, and those that are named otherwise there.
_SAME = (
    *("name", "framework", "kind", "priority", "position", "attempts", "host", "server", "text"),
    *("project_id", "user_id", "trust_id"),
)
_TIMES = {
    "submitted_at_s": "submitted_at",
    "deadline_s": "deadline",
    "duration_s": "duration",
    "stop_after_s": "stop_after",
    "not_before_s": "not_before",
    "started_at_s": "started_at",
    "ended_at_s": "ended_at",
}
#: What changes while a task goes through its states; whether its owner wants it to end is not in it.
_CHANGING = (
    *("state", "attempts", "not_before", "host", "server", "started_at", "ended_at", "text"),
    "term",
)


class TaskStore:
    """Keep the tasks. Each write is on disk when it returns, and is the leader's alone.

    Its methods raise :class:`~hybrid_sched.db.errors.DatabaseError` when the database cannot be used, and those that write
    :class:`~hybrid_sched.db.terms.Deposed` when the term is over; then nothing has changed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, tasks: Sequence[QueuedTask], term: int) -> None:
        """Take on tasks, all or none; those whose uuid is there already are left as they are.

        :param tasks: in order of arrival; their positions are given here.
        """

        def work(connection: sa.Connection) -> None:
            fenced(connection, term)
            known = _states_of(connection, [task.uuid for task in tasks])
            # The fence lets in one writer at a time, so that no two get the same position.
            last = connection.scalar(sa.select(sa.func.max(_COLUMNS.position))) or 0
            new = {task.uuid: task for task in reversed(tasks) if task.uuid not in known}
            rows = [
                _to_row(replace(task, position=last + number), term)
                for number, task in enumerate(reversed(new.values()), start=1)
            ]
            if rows:
                connection.execute(QUEUED_TASKS.insert(), rows)

        self._database.write(work)

    def get(self, uuid: str) -> QueuedTask | None:
        """Give one task; None when there is none."""
        return self._database.read(lambda connection: _get(connection, uuid))

    def list(
        self,
        states: Collection[TaskState] | None = None,
        limit: int = 1000,
        marker: int | None = None,
        *,
        uuids: Collection[str] | None = None,
        servers: Collection[str] | None = None,
        sort_key: str = "position",
        descending: bool = False,
        **equal: str,
    ) -> Tasks:
        """Give tasks in order.

        :param states: of them; None for any.
        :param limit: how many at most.
        :param marker: position of the last one that the caller has seen; None to begin.
        :param uuids: of them, 500 at most; None for any.
        :param servers: that they were launched as, 500 at most; None for any.
        :param sort_key: one of :data:`SORT_KEYS`; those with the same value are in order of their positions.
        :param descending: give the largest first.
        :param equal: further fields with their values, each one of :data:`FILTERS`.
        """
        column = _COLUMNS[_TIMES.get(sort_key, sort_key)]
        order = [column, _COLUMNS.position]
        query = sa.select(QUEUED_TASKS).limit(limit)
        query = query.order_by(*(each.desc() if descending else each for each in order))
        if states is not None:
            query = query.where(_COLUMNS.state.in_(sorted(states)))
        if marker is not None:
            query = query.where(_beyond(sort_key, marker, descending))
        for field, value in equal.items():
            query = query.where(_COLUMNS[field] == value)
        if uuids is not None:
            query = query.where(_COLUMNS.uuid.in_(sorted(uuids)))
        if servers is not None:
            query = query.where(_COLUMNS.server.in_(sorted(servers)))
        return self._read(query)

    def unfinished(self) -> Tasks:
        """Give all tasks that are in no final state, by position."""
        query = sa.select(QUEUED_TASKS).where(_COLUMNS.state.not_in(_FINAL))
        return self._read(query.order_by(_COLUMNS.position))

    def between(self, from_s: float, to_s: float) -> Tasks:
        """Give the tasks that were there at some time, by position.

        :param from_s: Unix time; those that ended before are left out.
        :param to_s: Unix time; those that came then or later are left out.
        """
        query = sa.select(QUEUED_TASKS).where(
            _COLUMNS.submitted_at < to_s,
            sa.or_(_COLUMNS.ended_at == 0, _COLUMNS.ended_at >= from_s),
        )
        return self._read(query.order_by(_COLUMNS.position))

    def count_unfinished(self) -> int:
        """Say how many tasks are in no final state."""
        query = (
            sa.select(sa.func.count())
            .select_from(QUEUED_TASKS)
            .where(_COLUMNS.state.not_in(_FINAL))
        )
        return self._database.read(lambda connection: connection.scalar(query) or 0)

    def states_of(
        self, uuids: Collection[str], project_id: str | None = None
    ) -> dict[str, TaskState]:
        """Give the states of tasks; those that are unknown are left out.

        :param project_id: leave out those of others; None for any.
        """
        return self._database.read(
            lambda connection: _states_of(connection, list(uuids), project_id)
        )

    def update(self, task: QueuedTask, expected: TaskState, term: int) -> bool:
        """Write what changes of a task, if its state is still the expected one (compare and set).

        Whether its owner wants it to end stays as it is in the database.

        :param task: with its new state, attempts, ``not_before_s``, host, server, times and text.
        :param expected: state that the writer knew.
        :returns: whether it was written.
        """
        row = _to_row(task, term)
        changes = {name: row[name] for name in _CHANGING}
        return compare_and_set(
            self._database, QUEUED_TASKS, task.uuid, expected=expected, changes=changes, term=term
        )

    def cancel(self, uuid: str, term: int, now_s: float) -> QueuedTask | None:
        """Note that a task's owner wants it to end; one that waits is cancelled at once, one that has ended stays as it is.

        :param now_s: Unix time.
        :returns: the task as it is now; None when there is none.
        """
        is_it = _COLUMNS.uuid == uuid
        note = QUEUED_TASKS.update().where(is_it, _COLUMNS.state.not_in(_FINAL))
        end = QUEUED_TASKS.update().where(is_it, _COLUMNS.state == TaskState.WAITING)

        def work(connection: sa.Connection) -> QueuedTask | None:
            fenced(connection, term)
            connection.execute(note.values(cancelling=True, term=term))
            connection.execute(
                end.values(
                    state=TaskState.CANCELLED,
                    ended_at=now_s,
                    text="Cancelled by its owner before it started.",
                )
            )
            return _get(connection, uuid)

        return self._database.write(work)

    def ended_durations(
        self, limit_per_kind: int, since_s: float = 0
    ) -> dict[tuple[str, str], tuple[float, ...]]:
        """Give how long tasks that are done have run, in seconds, by framework and kind, the newest first.

        :param limit_per_kind: how many of each kind at most.
        :param since_s: Unix time; those that ended before are left out.
        """
        newest = sa.func.row_number().over(
            partition_by=(_COLUMNS.framework, _COLUMNS.kind),
            order_by=(_COLUMNS.ended_at.desc(), _COLUMNS.position.desc()),
        )
        ended = sa.select(
            _COLUMNS.framework,
            _COLUMNS.kind,
            (_COLUMNS.ended_at - _COLUMNS.started_at).label("duration"),
            newest.label("number"),
        ).where(
            _COLUMNS.state == TaskState.DONE,
            _COLUMNS.started_at > 0,
            _COLUMNS.ended_at >= max(since_s, 0),
            _COLUMNS.ended_at >= _COLUMNS.started_at,
        )
        rows = ended.subquery()
        query = (
            sa.select(rows.c.framework, rows.c.kind, rows.c.duration)
            .where(rows.c.number <= limit_per_kind)
            .order_by(rows.c.number)
        )
        durations: dict[tuple[str, str], tuple[float, ...]] = {}
        for row in self._database.read(lambda connection: connection.execute(query).all()):
            key = (row.framework, row.kind)
            durations[key] = (*durations.get(key, ()), row.duration)
        return durations

    def forget(self, before_s: float, term: int) -> int:
        """Remove the tasks that ended before a time, for which no unfinished task waits, and whose trust is over.

        :param before_s: Unix time.
        :returns: how many were removed.
        """
        waiting = sa.select(_COLUMNS.after).where(
            _COLUMNS.state.not_in(_FINAL), _COLUMNS.after != "[]"
        )
        old = sa.select(_COLUMNS.uuid).where(
            _COLUMNS.state.in_(_FINAL), _COLUMNS.ended_at < before_s, _COLUMNS.trust_id == ""
        )

        def work(connection: sa.Connection) -> int:
            fenced(connection, term)
            needed = {uuid for text in connection.scalars(waiting) for uuid in json.loads(text)}
            names = [uuid for uuid in connection.scalars(old) if uuid not in needed]
            return sum(
                connection.execute(QUEUED_TASKS.delete().where(_COLUMNS.uuid.in_(part))).rowcount
                for part in _parts(names)
            )

        return self._database.write(work)

    def trusted_accounts(self) -> Sequence[tuple[str, str]]:
        """Give each framework and trust of tasks whose trust is not over."""
        columns = (_COLUMNS.framework, _COLUMNS.trust_id)
        query = sa.select(*columns).where(_COLUMNS.trust_id != "").distinct().order_by(*columns)
        return self._database.read(
            lambda connection: [(row.framework, row.trust_id) for row in connection.execute(query)]
        )

    def spent_trusts(self, before_s: float) -> Sequence[str]:
        """Give the trusts whose tasks have all ended before a time.

        :param before_s: Unix time.
        """
        in_use = sa.case((_COLUMNS.state.in_(_FINAL), _COLUMNS.ended_at), else_=before_s)
        query = (
            sa.select(_COLUMNS.trust_id)
            .where(_COLUMNS.trust_id != "")
            .group_by(_COLUMNS.trust_id)
            .having(sa.func.max(in_use) < before_s)
        )
        return self._database.read(lambda connection: connection.scalars(query).all())

    def forget_trust(self, trust_id: str, term: int) -> None:
        """Note that a trust is over: its tasks have none any more."""
        statement = QUEUED_TASKS.update().where(_COLUMNS.trust_id == trust_id)

        def work(connection: sa.Connection) -> None:
            fenced(connection, term)
            connection.execute(statement.values(trust_id="", term=term))

        self._database.write(work)

    def _read(self, query: sa.Select[Any]) -> Tasks:
        rows = self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [_from_row(row) for row in rows]


def _get(connection: sa.Connection, uuid: str) -> QueuedTask | None:
    query = sa.select(QUEUED_TASKS).where(_COLUMNS.uuid == uuid)
    row = connection.execute(query).mappings().first()
    return None if row is None else _from_row(row)


def _beyond(sort_key: str, marker: int, descending: bool) -> sa.ColumnElement[bool]:
    """Say which tasks come after one, in the order of a field and then of the position.

    :param marker: position of that one.
    """
    after = operator.lt if descending else operator.gt
    if sort_key == "position":
        # It needs not be there any more.
        beyond: sa.ColumnElement[bool] = after(_COLUMNS.position, marker)
        return beyond
    name = _TIMES.get(sort_key, sort_key)
    last = QUEUED_TASKS.alias("last")
    value = sa.select(last.c[name]).where(last.c.position == marker).scalar_subquery()
    same = sa.and_(_COLUMNS[name] == value, after(_COLUMNS.position, marker))
    return sa.or_(after(_COLUMNS[name], value), same)


def _states_of(
    connection: sa.Connection, uuids: Sequence[str], project_id: str | None = None
) -> dict[str, TaskState]:
    states = {}
    for part in _parts(uuids):
        query = sa.select(_COLUMNS.uuid, _COLUMNS.state).where(_COLUMNS.uuid.in_(part))
        if project_id is not None:
            query = query.where(_COLUMNS.project_id == project_id)
        states.update({row.uuid: TaskState(row.state) for row in connection.execute(query)})
    return states


def _parts(uuids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (uuids[start : start + _AT_ONCE] for start in range(0, len(uuids), _AT_ONCE))


def _to_row(task: QueuedTask, term: int) -> dict[str, Any]:
    demand = {
        name: amount if isinstance(amount, int) else str(amount)
        for name, amount in task.demand.declared().items()
    }
    return {
        "uuid": task.uuid,
        **{name: getattr(task, name) for name in _SAME},
        **{column: getattr(task, name) for name, column in _TIMES.items()},
        "demand": json.dumps(demand),
        "spec": json.dumps(dict(task.spec)),
        "after": json.dumps(task.after),
        "state": task.state.value,
        "cancelling": task.cancelling,
        "term": term,
    }


def _from_row(row: sa.RowMapping) -> QueuedTask:
    return QueuedTask(
        uuid=row["uuid"],
        **{name: row[name] for name in _SAME},
        **{name: row[column] for name, column in _TIMES.items()},
        demand=_parsed(row, "demand", lambda value: Resources.parse(json.loads(value))),
        spec=_parsed(row, "spec", json.loads),
        after=_parsed(row, "after", lambda value: tuple(json.loads(value))),
        state=_parsed(row, "state", TaskState),
        cancelling=row["cancelling"],
    )


def _parsed(row: sa.RowMapping, name: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(row[name])
    except (ValueError, TypeError, AttributeError) as error:
        raise DatabaseError(
            f"The queued task {row['uuid']} has a {name} that cannot be read ({error}): delete its row of the table "
            "queued_tasks."
        ) from None
