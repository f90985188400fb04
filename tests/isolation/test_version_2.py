# SPDX-License-Identifier: Apache-2.0
"""The same tests where the kernel has version 2 of control groups: inside a guest."""

from __future__ import annotations

import os
from pathlib import Path

import guest
import kernel
import pytest
import table
from table import Cell

_TIMEOUT_S = 1500


@pytest.mark.timeout(_TIMEOUT_S + 300)
def test_the_suite_passes_in_a_guest_with_version_2(tmp_path: Path, cells: list[Cell]) -> None:
    if "HYBRID_ISOLATION_RESULTS" in os.environ:
        pytest.skip("this is the guest")
    if kernel.version() == 2:
        pytest.skip("this machine has version 2 itself")
    reason = guest.why_not()
    if reason is not None:
        pytest.skip(reason)
    results = guest.SCRATCH_INSIDE / "results.json"
    suite = ["python3", "-m", "pytest", "-v", "-p", "no:cacheprovider", "tests/isolation"]
    code = guest.run(
        ["env", f"HYBRID_ISOLATION_RESULTS={results}", *suite], tmp_path, timeout_s=_TIMEOUT_S
    )
    found = table.load(tmp_path / results.name)
    cells += found
    assert code == 0
    assert {cell.column for cell in found} == {"guest v2", "container v2"}
