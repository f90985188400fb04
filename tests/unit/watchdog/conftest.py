# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from moving_world import World

from hybrid_sched.db import Database


@pytest.fixture
def world(database: Database) -> World:
    return World(database)
