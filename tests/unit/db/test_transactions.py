# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from oslo_db import exception as oslo_errors

from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.errors import explained
from hybrid_sched.db.terms import Terms


def pragma(database: Database, name: str) -> object:
    return database.read(lambda connection: connection.scalar(sa.text(f"PRAGMA {name}")))


def test_a_commit_is_on_disk(database_url: str, database: Database):
    durable = Database(database_url)
    assert pragma(durable, "journal_mode") == "wal"
    assert pragma(durable, "synchronous") == 2  # FULL


def test_an_operator_may_give_that_up(database: Database):
    assert pragma(database, "synchronous") == 0


def test_nothing_is_opened_before_the_first_use(tmp_path: Path):
    Database(f"sqlite:///{tmp_path / 'it.sqlite'}").close()
    assert list(tmp_path.iterdir()) == []


def test_a_child_may_use_what_its_parent_made(database: Database, database_url: str):
    lazy = Database(database_url)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if Terms(lazy).begin("child", 1.0) == 1 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert Terms(database).newest() == 1


def test_after_an_error_nothing_has_changed(database: Database):
    def work(connection: sa.Connection) -> None:
        connection.execute(sa.text("UPDATE terms SET term = 7"))
        raise KeyError

    with pytest.raises(KeyError):
        database.write(work)
    assert Terms(database).newest() == 0


def test_writers_take_turns(database: Database):
    """One that has read what the next will change would be refused by SQLite, had both begun."""
    inside, results = threading.Barrier(2, timeout=20), []

    def work(connection: sa.Connection) -> None:
        term = connection.scalar(sa.text("SELECT term FROM terms"))
        connection.execute(sa.text("UPDATE terms SET term = :term"), {"term": term + 1})

    def write() -> None:
        inside.wait()
        for _ in range(20):
            database.write(work)
        results.append(True)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [True, True]
    assert Terms(database).newest() == 40


@pytest.mark.parametrize("fault", [oslo_errors.DBConnectionError, oslo_errors.DBDeadlock])
def test_a_lost_connection_is_tried_again_once(database: Database, fault: type[Exception]):
    faults = [fault()]

    def work(_connection: sa.Connection) -> str:
        if faults:
            raise faults.pop()
        return "done"

    assert database.write(work) == "done"
    faults.extend([fault(), fault()])
    with pytest.raises(DatabaseError):
        database.write(work)
    assert faults == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", r"cannot be read: give \[database\] connection the form sqlite:"),
        ("no url", "cannot be read"),
        (
            "sqlite:////proc/none/it.sqlite",
            r"/proc/none/it.sqlite cannot be made \(.*\). Make the folder",
        ),
        ("nosuch://me:secret@there/db", r"nosuch://there/db cannot be used \(.*nosuch"),
        ("mysql+nosuch://me:secret@there/db", "cannot be used"),
        (
            "mysql+pymysql://me:secret@127.0.0.1:1/db",
            r"mysql://127.0.0.1:1/db cannot be used \(.*Connection refused.*\). See that it runs",
        ),
    ],
)
def test_an_error_is_a_sentence_without_the_account(url: str, said: str):
    with pytest.raises(DatabaseError, match=said) as refused:
        Database(url).sync()
    text = str(refused.value)
    assert "secret" not in text
    assert "me@" not in text
    assert text.endswith(".")
    assert "\n" not in text


def test_a_driver_that_tells_the_password_is_not_repeated():
    url = sa.make_url("mysql+pymysql://me:secret@there/db")
    fault = oslo_errors.DBConnectionError(OSError("cannot log in as me with secret\nand more"))
    assert str(explained(fault, url)) == (
        "The database mysql://there/db cannot be used (cannot log in as me with ***). "
        "See that it runs and that [database] connection is right."
    )


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    path = tmp_path / "it.sqlite"
    path.write_text("something else" * 100)
    with pytest.raises(DatabaseError, match=r"it.sqlite cannot be .*\(file is not a database\)"):
        Database(f"sqlite:///{path}").check()
    assert path.read_text().startswith("something else")
