# SPDX-License-Identifier: Apache-2.0
"""Engines of the release before go on while the schema is newer (doc/source/admin/upgrades.rst)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hybrid_sched.db import Database, migrations

REVISIONS = sorted(migrations.known())


def tables(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    look = sa.inspect(connection)
    return {
        name: {
            "columns": {
                column["name"]: {
                    "type": str(column["type"]),
                    "nullable": column["nullable"],
                    "default": column["default"],
                }
                for column in look.get_columns(name)
            },
            "key": look.get_pk_constraint(name)["constrained_columns"],
            "unique": {tuple(each["column_names"]) for each in look.get_unique_constraints(name)},
        }
        for name in look.get_table_names()
        if name != "alembic_version"
    }


def refused_by_the_rule(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Say what of a migration an engine of the release before could not work with."""
    for name in before.keys() - after.keys():
        yield f"table {name} is gone"
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        for column in old["columns"].keys() - new["columns"].keys():
            yield f"column {name}.{column} is gone"
        for column, figures in new["columns"].items():
            known = old["columns"].get(column)
            if known is None and not figures["nullable"] and figures["default"] is None:
                yield f"column {name}.{column} is new and must be given"
            if known is not None and known["type"] != figures["type"]:
                yield f"column {name}.{column} is of another type"
            if known is not None and known["nullable"] and not figures["nullable"]:
                yield f"column {name}.{column} must be given"
        if old["key"] != new["key"]:
            yield f"the key of {name} is another one"
        if new["unique"] - old["unique"]:
            yield f"{name} refuses rows that it took"


@pytest.mark.parametrize("revision", REVISIONS[1:])
def test_a_migration_only_adds(revision: str, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    database.sync(REVISIONS[REVISIONS.index(revision) - 1])
    before = database.read(tables)
    database.sync(revision)
    assert list(refused_by_the_rule(before, database.read(tables))) == []
    database.close()


OLD = {
    "t": {
        "columns": {"a": {"type": "TEXT", "nullable": True, "default": None}},
        "key": ["a"],
        "unique": set(),
    }
}


def changed(**changes: Any) -> dict[str, Any]:
    return {"t": {**OLD["t"], **changes}}


def column(**changes: Any) -> dict[str, Any]:
    return {"type": "TEXT", "nullable": True, "default": None, **changes}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({}, "table t is gone"),
        (changed(columns={}), "column t.a is gone"),
        (
            changed(columns={"a": column(), "b": column(nullable=False)}),
            "column t.b is new and must be given",
        ),
        (changed(columns={"a": column(type="INTEGER")}), "column t.a is of another type"),
        (changed(columns={"a": column(nullable=False)}), "column t.a must be given"),
        (changed(key=["b"]), "the key of t is another one"),
        (changed(unique={("a",)}), "t refuses rows that it took"),
    ],
)
def test_the_rule_knows_what_it_forbids(after: dict[str, Any], said: str) -> None:
    assert list(refused_by_the_rule(OLD, after)) == [said]


def test_the_rule_lets_additions_through() -> None:
    columns = {
        "a": column(),
        "b": column(),
        "c": column(nullable=False, default="''"),
    }
    after = {**changed(columns=columns), "u": OLD["t"]}
    assert list(refused_by_the_rule(OLD, after)) == []
