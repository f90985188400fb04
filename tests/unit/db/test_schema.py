# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from hybrid_sched.db import Database, DatabaseError, DatabaseNotReady, migrations
from hybrid_sched.db.schema import METADATA, TERMS
from hybrid_sched.db.terms import Terms


def set_revision(database: Database, revision: str) -> None:
    statement = sa.text("UPDATE alembic_version SET version_num = :revision")
    database.write(lambda connection: connection.execute(statement, {"revision": revision}))


def tables(database: Database) -> set[str]:
    return database.read(lambda connection: set(sa.inspect(connection).get_table_names()))


def test_the_migrations_lead_to_the_schema(database: Database):
    differences = database.read(
        lambda connection: compare_metadata(MigrationContext.configure(connection), METADATA)
    )
    assert differences == []


def test_a_missing_schema_is_refused_and_nothing_is_made(database_url: str, tmp_path: Path):
    database = Database(database_url)
    assert database.version() is None
    with pytest.raises(
        DatabaseNotReady, match=r"has no tables yet. Run `hybrid-sched-manage db sync`"
    ):
        database.check()
    assert list(tmp_path.iterdir()) == []


def test_reading_from_a_missing_schema_names_the_remedy(database_url: str):
    with pytest.raises(DatabaseError, match="Run `hybrid-sched-manage db sync`"):
        Terms(Database(database_url)).newest()


def test_sync_makes_it_once(database: Database):
    database.check()
    assert database.version() == migrations.newest()
    term = Terms(database).begin("a", 1.0)
    database.sync()
    assert Terms(database).newest() == term


def test_a_sync_that_was_interrupted_goes_on(database: Database):
    # As on MySQL, which commits each table by itself.
    forget = sa.text("DELETE FROM alembic_version")
    database.write(lambda connection: connection.execute(forget))
    database.write(TERMS.drop)
    assert database.version() is None
    database.sync()
    database.check()
    assert Terms(database).begin("a", 1.0) == 1


def test_where_it_may_a_missing_schema_is_made_with_its_folder(tmp_path: Path):
    path = tmp_path / "lib" / "hybrid-sched" / "it.sqlite"
    database = Database(f"sqlite:///{path}", create_missing=True)
    database.check()
    assert database.version() == migrations.newest()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750


def test_an_older_schema_is_refused_even_there(database: Database, database_url: str, monkeypatch):
    now = migrations.newest()
    monkeypatch.setattr(migrations, "newest", lambda: "9999")
    monkeypatch.setattr(migrations, "known", lambda: {now, "9999"})
    with pytest.raises(
        DatabaseNotReady, match=rf"revision {now}, this release needs 9999. Run .*db sync"
    ):
        Database(database_url, create_missing=True).check()


def test_a_schema_of_a_newer_release_is_refused(database: Database):
    set_revision(database, "9999")
    with pytest.raises(
        DatabaseNotReady, match=r"'9999', which this release does not know. Install"
    ):
        database.check()
    with pytest.raises(DatabaseError, match="cannot be brought to revision 'head'"):
        database.sync()


def test_an_unknown_revision_is_refused(database_url: str):
    database = Database(database_url)
    newest = migrations.newest()
    with pytest.raises(DatabaseError, match=rf"revision '0815' .*for the newest, {newest}\."):
        database.sync("0815")
    assert tables(database) <= {"alembic_version"}


def test_several_may_sync_at_once(tmp_path: Path):
    """Two engines that start for the first time on one machine."""
    url = f"sqlite:///{tmp_path / 'it.sqlite'}"
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                Database(url, create_missing=True).check()
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    Database(url).check()
