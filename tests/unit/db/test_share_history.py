# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hybrid_sched.db import Database
from hybrid_sched.db.share_history import ShareHistory, SharesThen
from hybrid_sched.db.terms import Deposed, Terms


@pytest.fixture
def store(database: Database) -> ShareHistory:
    assert Terms(database).begin("test", 1.0) == 1
    return ShareHistory(database)


def then(at_s: float, framework: str = "container", pool: str = "", used: str = "1/3"):
    return SharesThen(at_s, framework, pool, {"used": used, "weight": 2, "rung": "ok"})


def fill(store: ShareHistory, *times_s: float) -> None:
    for at_s in times_s:
        rows = [
            then(at_s, name, pool) for name in ("hypervisor", "container") for pool in ("", "fast")
        ]
        store.put(at_s, rows, 1)


def test_rows_come_back_as_they_were_the_newest_first(store: ShareHistory):
    long = "1" * 2_000 + "/" + "3" * 2_000
    old, new = then(1e9 + 1 / 3, used=long), then(1e9 + 2 / 3, pool="schnell ü:1")
    store.put(old.taken_at_s, [old], 1)
    store.put(new.taken_at_s, [new], 1)
    store.put(5.0, [], 1)
    assert store.page(9) == [new, old]
    assert store.page(9, descending=False) == [old, new]


def test_what_is_written_twice_is_there_once(store: ShareHistory):
    fill(store, 1.0)
    store.put(1.0, [then(1.0, used="1/2")], 1)
    assert store.page(9) == [then(1.0, used="1/2")]


@pytest.mark.parametrize("descending", [True, False])
def test_pages_follow_each_other_also_within_a_moment(store: ShareHistory, *, descending: bool):
    fill(store, 1 / 3, 2 / 3, 3.0)
    whole = store.page(99, descending=descending)
    assert [each.key for each in whole] == sorted((each.key for each in whole), reverse=descending)
    assert len(whole) == 12
    found: list[SharesThen] = []
    while rows := store.page(5, after=found[-1].key if found else None, descending=descending):
        found += rows
    assert found == whole


def test_a_page_goes_on_where_its_marker_has_been_forgotten(store: ShareHistory):
    fill(store, 1.0, 2.0, 3.0)
    assert store.forget_before(2.0, 1) == 4
    after = (1.0, "hypervisor", "fast")
    assert [each.taken_at_s for each in store.page(99, after=after, descending=False)] == (
        [2.0] * 4 + [3.0] * 4
    )
    assert store.page(99, after=after) == []


def test_rows_are_chosen(store: ShareHistory):
    fill(store, 1.0, 2.0, 3.0)
    assert [each.key for each in store.page(9, framework="container", pool="fast", since_s=2)] == [
        (3.0, "container", "fast"),
        (2.0, "container", "fast"),
    ]
    assert {each.taken_at_s for each in store.page(9, until_s=2.0)} == {1.0}
    assert {each.pool for each in store.page(9, pool="")} == {""}
    assert store.page(9, framework="Container") == []
    assert store.page(9, since_s=3.5) == []


def test_a_leader_of_the_past_writes_and_forgets_nothing(store: ShareHistory, database: Database):
    fill(store, 1.0)
    Terms(database).begin("other", 2.0)
    with pytest.raises(Deposed):
        store.put(1.0, [], 1)
    with pytest.raises(Deposed):
        store.forget_before(9.0, 1)
    assert len(store.page(9)) == 4


def test_old_rows_are_forgotten_a_few_at_a_time(store: ShareHistory):
    fill(store, *map(float, range(5)))
    # Those of one moment go together.
    assert [store.forget_before(3.0, 1, most=5) for _ in range(3)] == [8, 4, 0]
    assert {each.taken_at_s for each in store.page(99)} == {3.0, 4.0}
