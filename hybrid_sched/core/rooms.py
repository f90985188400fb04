# SPDX-License-Identifier: Apache-2.0
"""What the share gate looks up of each host, worked out once for a snapshot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hybrid_sched.core.cluster import Host, Pool, Snapshot
from hybrid_sched.core.resources import Number, Resources

#: Where a host's group stands in its row, behind one number a resource.
GROUP = len(Resources._fields)

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rooms:
    """The free room of every host with a fresh report that is not drained.

    :param rows: by host: the whole units of each resource that are free (infinite where the host does not declare the
        resource, as it is not rationed), and the index of its group.
    :param groups: pools and scores of hosts; all hosts of one group weigh alike on a share.
    """

    rows: Mapping[str, Row]
    groups: tuple[tuple[Pool, Number], ...]


def rooms_of(snapshot: Snapshot) -> Rooms:
    """Give the rooms of a snapshot's hosts."""
    return snapshot.derive("rooms", _rooms)


def whole_units(demand: Resources) -> Row:
    """Round a demand up, so that a row of at least as much holds it for certain.

    :returns: one number a resource; below all others where nothing is asked, as a host that is overfull holds that too.
    """
    return tuple([math.ceil(amount) if amount else -math.inf for amount in demand])


def _rooms(snapshot: Snapshot) -> Rooms:
    places: dict[tuple[str, tuple[int, int]], int] = {}
    groups: list[tuple[Pool, Number]] = []
    rows: dict[str, Row] = {}
    for name, host in snapshot.hosts.items():
        if not host.takes_tasks:
            continue
        pool = snapshot.pool_of(name)
        # A ratio of integers is hashed much sooner than a fraction.
        key = pool.name, host.score.as_integer_ratio()
        if key not in places:
            places[key] = len(groups)
            groups.append((pool, host.score))
        rows[name] = (*_free(host), places[key])
    return Rooms(rows, tuple(groups))


def _free(host: Host) -> list[float]:
    return [
        math.floor(free) if there else math.inf
        for free, there in zip(host.free, host.capacity, strict=True)
    ]
