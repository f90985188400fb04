# SPDX-License-Identifier: Apache-2.0
"""Attempts to place a request, as they are shown to people."""

from __future__ import annotations

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.why import Attempt
from hybrid_sched.rpc.wire import Wire, number_to_wire, resources_to_wire

_NOUNS = {HYPERVISOR: "guest"}


def attempt_to_wire(uuid: str, attempt: Attempt, number: int, of: int) -> Wire:
    """Write an attempt.

    :param uuid: of the request.
    :param number: of the attempt, from 1.
    :param of: attempts that are kept.
    """
    first, claimed = attempt.first, attempt.claimed
    return {
        "uuid": uuid,
        "kind": _NOUNS.get(first.framework, first.framework),
        "framework": first.framework,
        "demand": resources_to_wire(first.demand),
        "attempt": number,
        "attempts": of,
        "when": first.decided_at_s,
        "picture": {"version": first.snapshot_version, "age_s": first.snapshot_age_s},
        "candidates": attempt.candidates,
        "share_gate": attempt.share_text,
        "refused": dict(attempt.refused),
        "refused_by_other_filters": list(attempt.dropped),
        "order": attempt.order_text,
        "weights": [
            {"host": host, "weight": number_to_wire(weight)} for host, weight in attempt.weights
        ],
        "chosen": attempt.chosen,
        "claimed_on": attempt.claimed_on,
        "claimed_at": None if claimed is None else claimed.decided_at_s,
        "outcome": attempt.outcome,
    }
