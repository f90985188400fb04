# SPDX-License-Identifier: Apache-2.0
"""Weights and scores, which people set."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sqlalchemy as sa

from hybrid_sched.core.hardware import ScoreRow
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.schema import FRAMEWORK_WEIGHTS, HARDWARE_SCORES
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.db.weights import WeightStore


def set_all(database: Database, table: sa.Table, **values: str) -> None:
    database.write(lambda connection: connection.execute(table.update().values(**values)))


def test_weights_are_kept_exactly_by_pool_and_framework(database: Database):
    store = WeightStore(database)
    assert store.all() == {}
    store.set("", "hypervisor", 2)
    store.set("", "container", Fraction(1, 3))
    store.set("gpu", "container", 5)
    store.set("", "hypervisor", Fraction(3, 2))
    assert store.all() == {
        "": {"hypervisor": Fraction(3, 2), "container": Fraction(1, 3)},
        "gpu": {"container": 5},
    }
    assert store.unset("", "container")
    assert not store.unset("", "container")
    assert store.all() == {"": {"hypervisor": Fraction(3, 2)}, "gpu": {"container": 5}}


def test_names_differ_by_case(database: Database):
    store = WeightStore(database)
    store.set("a", "container", 1)
    store.set("A", "container", 2)
    assert store.all() == {"a": {"container": 1}, "A": {"container": 2}}


@pytest.mark.parametrize(
    "values", [("", "container", 0), ("", "container", -1), ("p" * 256, "container", 1)]
)
def test_a_weight_that_cannot_be_used_changes_nothing(database: Database, values):
    store = WeightStore(database)
    with pytest.raises(ValueError, match=r"weight: |pool, framework, weight: "):
        store.set(*values)
    assert store.all() == {}


def test_a_weight_that_cannot_be_read_is_named(database: Database):
    store = WeightStore(database)
    store.set("gpu", "container", 1)
    set_all(database, FRAMEWORK_WEIGHTS, weight="much")
    with pytest.raises(
        DatabaseError, match=r"'container' in pool 'gpu' cannot be read .*set it again"
    ):
        store.all()


def test_scores_are_kept_exactly_by_their_patterns(database: Database):
    store = ScoreStore(database)
    assert store.all() == ()
    store.set("B*", "*", Fraction(1, 3), "third")
    store.set("A*", "DDR4", 0.5)
    store.set("B*", "*", 1, "whole")
    assert store.all() == (
        ScoreRow("A*", "DDR4", Fraction(1, 2)),
        ScoreRow("B*", "*", 1, "whole"),
    )
    assert not store.remove("A*", "*")
    assert store.remove("A*", "DDR4")
    assert store.all() == (ScoreRow("B*", "*", 1, "whole"),)


def test_scores_are_imported_over_or_instead_of_the_others(database: Database):
    store = ScoreStore(database)
    old, same, new = ScoreRow("a", "*", 0.1), ScoreRow("b", "*", 0.2), ScoreRow("c", "*", 0.3)
    store.import_rows([old, ScoreRow("b", "*", 1)])
    store.import_rows([same, new])
    assert store.all() == (old, same, new)
    store.import_rows([same, new], replace=True)
    assert store.all() == (same, new)


def test_a_score_that_cannot_be_used_changes_nothing(database: Database):
    store = ScoreStore(database)
    with pytest.raises(ValueError, match="score: 2 is out of range"):
        store.set("a", "*", 2)
    assert store.all() == ()


@pytest.mark.parametrize("score", ["much", "2"])
def test_a_score_that_cannot_be_read_is_named(database: Database, score: str):
    store = ScoreStore(database)
    store.set("a*", "*", 1)
    set_all(database, HARDWARE_SCORES, score=score)
    with pytest.raises(DatabaseError, match="score of 'a\\*' with memory '\\*' cannot be used"):
        store.all()
