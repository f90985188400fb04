# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moving_world import World

from hybrid_sched.db import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}", sqlite_synchronous=False)
    database.sync()
    yield database
    database.close()


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
