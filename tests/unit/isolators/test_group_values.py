# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from hybrid_sched.isolators import group_values as values


@pytest.mark.parametrize(
    ("number", "mib"),
    [(0, 0), (2**20, 1), (2**20 + 1, 2), (9223372036854771712, None), (2**63 - 1, None)],
)
def test_bytes_in_mib(number: int, mib: int | None) -> None:
    assert values.mib(number) == mib
