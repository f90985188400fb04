# SPDX-License-Identifier: Apache-2.0
"""The one exception that callers of the database see, with sentences and without secrets."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa
from oslo_db import exception as oslo_errors
from sqlalchemy.exc import SQLAlchemyError

#: What SQLAlchemy, oslo.db and a driver that cannot be imported raise, and SQLite itself of a file that cannot be opened.
FAULTS = (SQLAlchemyError, oslo_errors.DBError, ImportError, sqlite3.Error)


class DatabaseError(Exception):
    """The database cannot be used, or what it holds cannot; the message is a sentence with the remedy."""


class DatabaseNotReady(DatabaseError):
    """The schema is missing, or is not the one of this release."""


def place(url: sa.URL) -> str:
    """Name a database without the account and the parameters of its URL."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    host = f"{url.host or 'localhost'}{f':{url.port}' if url.port else ''}"
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def explained(fault: BaseException, url: sa.URL) -> DatabaseError:
    """Turn a fault of the database into a sentence.

    :param fault: one of :data:`FAULTS`.
    :param url: of the database; its password is left out.
    """
    reason = _reason(fault)
    if url.password:
        reason = reason.replace(str(url.password), "***")
    if isinstance(fault, ImportError):
        remedy = "Install the driver that the URL in [database] connection names"
    elif isinstance(fault, oslo_errors.DBConnectionError):
        remedy = "See that it runs and that [database] connection is right"
    elif isinstance(fault, oslo_errors.DBNonExistentTable):
        remedy = "Run `hybrid-sched-manage db sync`"
    else:
        remedy = "Check [database] connection, the account's rights and the log of the database"
    return DatabaseError(f"The database {place(url)} cannot be used ({reason}). {remedy}.")


def _reason(fault: BaseException) -> str:
    """Give the driver's own words, without the statement and its values."""
    inner = getattr(fault, "inner_exception", None) or fault
    original = getattr(inner, "orig", None) or inner
    words = original.args[-1] if original.args else ""
    return (str(words).strip().splitlines() or [type(original).__name__])[0].rstrip(".")
