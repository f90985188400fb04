# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from pathlib import Path

import pytest
from oslo_config import cfg

from hybrid_sched.conf import database as options
from hybrid_sched.db import Database, migrations


def test_sync_and_version(manage):
    newest = migrations.newest()
    assert manage("db", "version", "-f", "json").rows == {
        "Schema": None,
        "This release": newest,
        "Ready": False,
    }
    assert manage("db", "sync").out == f"The schema is {newest} (it was missing before).\n"
    assert manage("db", "sync").out == f"The schema is {newest} (as before).\n"
    assert manage("db", "version", "-f", "json").rows["Ready"] is True
    Database(manage.url).check()


def test_an_unknown_revision_is_one_sentence(manage):
    answer = manage("db", "sync", "0815")
    assert answer.code == 1
    assert answer.err.startswith("The schema of")
    assert "revision '0815'" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("command", [["scores", "list"], ["scores", "set", "a", "1"]])
def test_without_tables_a_command_names_the_remedy(manage, command):
    answer = manage(*command)
    assert answer.code == 1
    assert answer.err.endswith("has no tables yet. Run `hybrid-sched-manage db sync`.\n")


def test_a_database_that_is_away_is_told_at_once_without_its_password(manage):
    # The services try again: with these options, after twenty seconds.
    options = ("max_retries = 1", "retry_interval = 20")
    manage.use("mysql+pymysql://me:secret@127.0.0.1:1/it", *options)
    begun_s = time.monotonic()
    answer = manage("db", "version")
    assert time.monotonic() - begun_s < 20
    assert answer.code == 1
    assert "127.0.0.1:1/it cannot be used" in answer.err
    assert "secret" not in answer.err
    assert len(answer.err.splitlines()) == 1


def test_an_option_that_cannot_be_used_is_named(manage):
    manage.use("sqlite://", "max_pool_size = many")
    answer = manage("db", "version")
    assert answer.code == 1
    assert "max_pool_size" in answer.err
    assert "Traceback" not in answer.err


def conf(*lines: str, directory: Path) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    file = directory / "it.conf"
    file.write_text("\n".join(["[database]", *lines, ""]))
    conf(["--config-file", str(file)])
    return conf


def test_only_the_default_file_is_made_by_itself(tmp_path):
    by_default = options.parameters(conf(directory=tmp_path))
    assert by_default["connection_url"] == options.DEFAULT_CONNECTION
    assert by_default["create_missing"]
    named = options.parameters(conf(f"connection = sqlite:///{tmp_path}/x", directory=tmp_path))
    assert not named["create_missing"]


def test_options_of_the_database_reach_it(tmp_path):
    url = f"sqlite:///{tmp_path}/it.sqlite"
    read = options.parameters(
        conf(f"connection = {url}", "sqlite_synchronous = false", directory=tmp_path)
    )
    database = Database(**{**read, "max_retries": 0})
    database.sync()
    query = "PRAGMA synchronous"
    assert database.read(lambda connection: connection.exec_driver_sql(query).scalar()) == 0
