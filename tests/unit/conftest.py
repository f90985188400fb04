# SPDX-License-Identifier: Apache-2.0
"""Our programs run on native threads, and so do their tests; this must be said before oslo's libraries choose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

from hybrid_sched.db import Database  # noqa: E402 - it imports oslo.db

# How long an example takes tells of the machine.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Give a database with all tables, and nothing in them."""
    database = Database(database_url, sqlite_synchronous=False)
    database.sync()
    yield database
    database.close()
