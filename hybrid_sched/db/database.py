# SPDX-License-Identifier: Apache-2.0
"""One database: its connections, its transactions and the version of its schema."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.util import CommandError
from oslo_db import exception as oslo_errors
from oslo_db.sqlalchemy import engines
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from hybrid_sched.db import migrations, sqlite
from hybrid_sched.db.errors import FAULTS, DatabaseError, DatabaseNotReady, explained, place

T = TypeVar("T")
Work = Callable[[sa.Connection], T]

_SYNC = "Run `hybrid-sched-manage db sync`"
# A server that is cut off must not hold up a caller for as long as TCP would.
_PYMYSQL_DEFAULTS = {
    "charset": "utf8mb4",
    "connect_timeout": "5",
    "read_timeout": "20",
    "write_timeout": "20",
}


class Database:
    """Run transactions on a database.

    It connects at its first use, so that it may be made before a process forks. Threads may share it.

    :param connection_url: of SQLAlchemy, for example ``mysql+pymysql://USER:PASSWORD@HOST/hybrid_sched``.
    :param create_missing: let :meth:`check` make the tables where there are none.
    :param engine_options: of ``oslo_db.sqlalchemy.engines.create_engine``. With ``max_retries`` the first use waits for a
        database that is away.
    :raises DatabaseError: when the URL cannot be read.
    """

    def __init__(
        self, connection_url: str, *, create_missing: bool = False, **engine_options: Any
    ) -> None:
        try:
            url = sa.make_url(connection_url)
            # oslo.db would add them to what is there, so that ours could not be overridden.
            url = url.update_query_string(engine_options.pop("connection_parameters", None) or "")
        except sa.exc.ArgumentError:
            raise DatabaseError(
                "The URL of the database cannot be read: give [database] connection the form "
                "sqlite:////PATH or mysql+pymysql://USER:PASSWORD@HOST/DATABASE."
            ) from None
        if url.drivername == "mysql+pymysql":
            url = url.set(query={**_PYMYSQL_DEFAULTS, **url.query})
        self._url = url
        self._file = sqlite.file_of(url)
        self._create_missing = create_missing
        self._engine_options = {
            "max_retries": 0,
            "mysql_sql_mode": "TRADITIONAL",
            **engine_options,
        }
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None
        self._kept: sa.Connection | None = None

    def read(self, work: Work[T]) -> T:
        """Run statements that only read.

        :param work: given the connection, within one transaction; may be run twice.
        :returns: what it returns.
        :raises DatabaseError: when the database cannot be used.
        """
        return self._run(work, {})

    def write(self, work: Work[T]) -> T:
        """Run statements in one transaction that is on disk when this returns.

        :param work: given the connection; may be run twice, the first time without effect or, when the connection is lost
            just as it is committed, with the same one.
        :returns: what it returns.
        :raises DatabaseError: when the database cannot be used; nothing has changed, or all of it was committed as the
            connection was lost.
        """
        return self._run(work, sqlite.WRITES)

    def sync(self, revision: str = migrations.NEWEST) -> None:
        """Bring the schema up to a revision; one that it has already changes nothing.

        :raises DatabaseError: when it cannot be done.
        """
        if self._file is not None:
            sqlite.make_file(self._file)
        try:
            self.write(lambda connection: migrations.upgrade(connection, revision))
        except CommandError as error:
            raise DatabaseError(
                f"The schema of {place(self._url)} cannot be brought to revision {revision!r} ({error}). "
                f"Leave the revision out for the newest, {migrations.newest()}."
            ) from None

    def version(self) -> str | None:
        """Give the revision of the schema; None when there is none.

        :raises DatabaseError: when the database cannot be used.
        """
        if self._file is not None and not self._file.exists():
            return None
        return self.read(migrations.current)

    def check(self) -> None:
        """See that the schema is that of this release, or make it where ``create_missing`` says so.

        :raises DatabaseNotReady: when it is not.
        :raises DatabaseError: when the database cannot be used.
        """
        version = self.version()
        if version is None and self._create_missing:
            self.sync()
        elif version is None:
            raise DatabaseNotReady(f"The database {place(self._url)} has no tables yet. {_SYNC}.")
        elif version not in migrations.known():
            raise DatabaseNotReady(
                f"The schema of {place(self._url)} is of revision {version!r}, which this release does not know. "
                "Install the release of hybrid_sched that made it, or a newer one."
            )
        elif version != migrations.newest():
            raise DatabaseNotReady(
                f"The schema of {place(self._url)} is of revision {version}, this release needs {migrations.newest()}. {_SYNC}."
            )

    def close(self) -> None:
        """End all connections; the next use opens new ones."""
        with self._lock:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
            if self._engine is not None:
                self._engine.dispose()
                self._engine = None

    def _run(self, work: Work[T], options: dict[str, bool]) -> T:
        # Connections that were lost while idle are replaced before use (pool_pre_ping); this is for one lost in use.
        attempts = Retrying(
            retry=retry_if_exception_type((oslo_errors.DBConnectionError, oslo_errors.DBDeadlock)),
            stop=stop_after_attempt(2),
            reraise=True,
        )
        try:
            result: T = attempts(self._once, self._open(), work, options)
        except FAULTS as fault:
            raise explained(fault, self._url) from fault
        return result

    def _once(self, engine: sa.Engine, work: Work[T], options: dict[str, bool]) -> T:
        with engine.connect() as connection:
            connection.execution_options(**options)
            with connection.begin():
                return work(connection)

    def _open(self) -> sa.Engine:
        with self._lock:
            if self._engine is None:
                engine = engines.create_engine(self._url, **self._engine_options)
                if self._file is not None:
                    durable = self._engine_options.get("sqlite_synchronous", True)
                    self._kept = sqlite.prepare(engine, durable=durable)
                self._engine = engine
            return self._engine
