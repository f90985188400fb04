# SPDX-License-Identifier: Apache-2.0
"""The shares of a snapshot as they are told: one row for each framework in each pool."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from hybrid_sched.core.cluster import Framework, Pool, Snapshot
from hybrid_sched.core.resources import dominant_share
from hybrid_sched.rpc.wire import number_to_wire

Reserved = Mapping[tuple[str, str], int]


def share_rows(snapshot: Snapshot, reserved: Reserved) -> list[dict[str, Any]]:
    """Give the weight and the shares of each framework, in each pool.

    :param reserved: counts of reservations by pool and framework.
    """
    return [
        _row(pool, framework, reserved)
        for pool in snapshot.pools.values()
        for framework in pool.frameworks.values()
    ]


def _row(pool: Pool, framework: Framework, reserved: Reserved) -> dict[str, Any]:
    used = dominant_share(framework.used, pool.capacity)
    return {
        "pool": pool.name,
        "framework": framework.name,
        "weight": number_to_wire(framework.weight),
        "used": number_to_wire(used),
        "key": number_to_wire(Fraction(used) / framework.weight),
        "wanted": number_to_wire(dominant_share(framework.wanted, pool.capacity)),
        "fair": number_to_wire(framework.fair_share),
        "entitled": number_to_wire(framework.entitlement),
        "floor": number_to_wire(framework.floor),
        "borrowed": number_to_wire(framework.borrowed),
        "owed": number_to_wire(framework.owed),
        "head_from": number_to_wire(framework.head_threshold),
        "rung": framework.rung.value,
        "squeeze": number_to_wire(framework.squeeze),
        "reservations": reserved.get((pool.name, framework.name), 0),
    }
