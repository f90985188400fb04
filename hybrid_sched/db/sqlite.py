# SPDX-License-Identifier: Apache-2.0
"""What SQLite needs to be as safe as a server: writers one after another, and commits that are on disk."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hybrid_sched.db.errors import DatabaseError

#: Execution options of a transaction that writes.
WRITES = {"hybrid_sched_writes": True}
_BUSY_TIMEOUT_S = 30


def file_of(url: sa.URL) -> Path | None:
    """Give the file of a database; None for one in memory or on a server."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def make_file(path: Path) -> None:
    """Make an empty database, and the folder for it, unless there is one.

    :raises DatabaseError: when it cannot be made.
    """
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection:
            _log_ahead(connection)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatabaseError(
            f"The database {path} cannot be made ({reason}). Make the folder {path.parent}, owned by the account that runs "
            "this, or name another file in [database] connection."
        ) from None


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Let a commit wait for the disk once, not four times, and readers not at all; the file remembers it."""
    # It cannot be changed while others use the file, who then have changed it.
    with contextlib.suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")


def prepare(engine: sa.Engine, *, durable: bool) -> sa.Connection:
    """Set up an engine of oslo.db.

    :param durable: let a commit wait for the disk.
    :returns: a connection to keep while the engine is in use: the last one that is closed clears the write-ahead log away,
        and the engine opens one for each transaction.
    """

    @sa.event.listens_for(engine, "connect")
    def set_up(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_S * 1000}")
        if durable:
            connection.execute("PRAGMA synchronous = FULL")

    # The plain BEGIN of oslo.db lets a second writer in and then refuses it.
    @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
    def begin(
        connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, *_others: object
    ) -> tuple[str, Any]:
        writes = connection.get_execution_options().get("hybrid_sched_writes")
        return ("BEGIN IMMEDIATE" if writes and statement == "BEGIN" else statement), parameters

    return engine.connect()
