# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hybrid_sched.monitors.times import unix_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-26 01:22:13", 1795656133.0),
        ("2026-11-26T01:22:13.500000000Z", 1795656133.5),
        ("2026-11-26T02:22:13+01:00", 1795656133.0),
        ("yesterday", 0.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        (None, 0.0),
    ],
)
def test_times_are_read_in_utc(text: str | None, seconds: float) -> None:
    assert unix_time(text) == seconds
