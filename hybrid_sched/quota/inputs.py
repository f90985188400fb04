# SPDX-License-Identifier: Apache-2.0
"""What a cycle needs beside reports, read before it without its lock: weights, scores, pools, claims, what operators set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hybrid_sched.core.cluster import Arrival
from hybrid_sched.core.hardware import ScoreRow
from hybrid_sched.core.resources import Number
from hybrid_sched.core.share_gate import Request
from hybrid_sched.quota.cluster_state import ClaimsOf


@dataclass(frozen=True, slots=True)
class CycleInputs:
    """What was read.

    :param weights: weights that were set, by pool, then by framework.
    :param score_rows: the table of hardware scores.
    :param pool_of: pool of each host that is not in the default pool.
    :param claims_of: gives the claims on a host; None where there are no claims to go by.
    :param claims_changed: hosts whose claims changed since the last reading.
    :param known_hosts: all hosts that there are; None when that is not known.
    :param drained: hosts that operators are emptying.
    :param arrivals: containers that are being made again on another host, by the uuid of their move.
    :param refused: requests for which Nova or Zun found no host lately, whoever refused them.
    """

    weights: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    score_rows: tuple[ScoreRow, ...] = ()
    pool_of: Mapping[str, str] = field(default_factory=dict)
    claims_of: ClaimsOf | None = None
    claims_changed: frozenset[str] = frozenset()
    known_hosts: frozenset[str] | None = None
    refused: tuple[Request, ...] = ()
    drained: frozenset[str] = frozenset()
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)


class InputReader(Protocol):
    """Where a cycle's inputs come from."""

    def read(self) -> CycleInputs:
        """Read them now; what cannot be read stays as it was, and says so in the log."""
