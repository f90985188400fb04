# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cloud import FilePlacement, PlacementCloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[PlacementCloud]:
    with FilePlacement(tmp_path) as placement:
        yield PlacementCloud(placement.endpoint)
