# SPDX-License-Identifier: Apache-2.0
"""The page on the doctor lists each kind of finding as it is."""

from __future__ import annotations

import re
from pathlib import Path

from hybrid_sched.core.doctor import checks, findings

_PAGE = Path(__file__).parents[3] / "doc" / "source" / "admin" / "doctor.rst"
_ROW = re.compile(
    r"^   \* - ``([a-z0-9_.]+)``\n     - (\w+)\n     - (\w+)\n     - \S", re.MULTILINE
)


def test_each_code_is_documented_with_its_severity_and_repair() -> None:
    assert checks.CHECKS
    documented = _ROW.findall(_PAGE.read_text())
    known = [
        (kind.code, kind.severity.name.lower(), kind.safety.value)
        for kind in findings.KINDS.values()
    ]
    assert sorted(documented) == sorted(known)
