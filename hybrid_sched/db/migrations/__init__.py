# SPDX-License-Identifier: Apache-2.0
"""The way of the schema from one release to the next, with Alembic."""

from __future__ import annotations

import functools
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

NEWEST = "head"


def upgrade(connection: sa.Connection, revision: str) -> None:
    """Run the migrations that are missing up to a revision, within the connection's transaction.

    :raises alembic.util.CommandError: when there is no such revision.
    """
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def current(connection: sa.Connection) -> str | None:
    """Give the revision of a database; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


@functools.cache
def newest() -> str:
    """Give the revision of this release."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None  # noqa: S101 - the package has migrations
    return head


@functools.cache
def known() -> frozenset[str]:
    """Give all revisions up to that of this release."""
    scripts = ScriptDirectory.from_config(_config()).walk_revisions()
    return frozenset(script.revision for script in scripts)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
