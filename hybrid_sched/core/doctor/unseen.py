# SPDX-License-Identifier: Apache-2.0
"""Family ``look``: what could not be looked at, so that silence about it means nothing."""

from __future__ import annotations

from collections.abc import Iterator

from hybrid_sched.core.doctor.facts import Facts
from hybrid_sched.core.doctor.findings import Finding, Kind, Severity

FAILED = Kind("look.failed", Severity.UNKNOWN)
LEFT_OUT = Kind("look.left_out", Severity.NOTE)


def unseen(facts: Facts) -> Iterator[Finding]:
    """Tell what was not seen."""
    for each in facts.unseen:
        kind = LEFT_OUT if each.expected else FAILED
        yield kind.found("", each.sentence, each.remedy)
