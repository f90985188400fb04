# SPDX-License-Identifier: Apache-2.0
"""Pools: which hosts are shared together, told from Nova's host aggregates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hybrid_sched.core.cluster import DEFAULT_POOL

#: Metadata of an aggregate that puts its hosts into the pool that it names.
POOL_METADATA = "hybrid_sched:pool"


class PoolsFrom(StrEnum):
    """Where pools are told from."""

    NONE = "none"
    AGGREGATE = "aggregate"
    AVAILABILITY_ZONE = "availability_zone"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One of Nova's host aggregates.

    :param name: unique in Nova.
    :param availability_zone: that it makes of its hosts, or None.
    :param hosts: names of its hosts, as Nova knows them.
    :param metadata: what operators wrote on it.
    """

    name: str
    availability_zone: str | None = None
    hosts: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pools:
    """The pool of each host.

    :param of: pool by host.
    :param conflicts: a sentence for each host that aggregates put into several pools.
    """

    of: Mapping[str, str]
    conflicts: tuple[str, ...] = ()


def pools_of(hosts: Iterable[str], aggregates: Iterable[Aggregate], source: PoolsFrom) -> Pools:
    """Find the pool of each host.

    :param hosts: by name.
    :param aggregates: in any order.
    :param source: what makes a pool.
    :returns: a pool for each of ``hosts``; where several aggregates name different ones, that of the first by name counts.
    """
    naming: dict[str, list[tuple[str, str]]] = {name: [] for name in hosts}
    for aggregate in sorted(aggregates, key=lambda each: each.name):
        pool = _pool_named_by(aggregate, source)
        if pool:
            for host in set(aggregate.hosts) & naming.keys():
                naming[host].append((aggregate.name, pool))
    conflicts = [
        f"host {host} is in aggregates of different pools ({_listed(named)}); it counts to pool {named[0][1]}: "
        "take it out of all but one"
        for host, named in sorted(naming.items())
        if len({pool for _, pool in named}) > 1
    ]
    of = {host: named[0][1] if named else DEFAULT_POOL for host, named in naming.items()}
    return Pools(of, tuple(conflicts))


def _pool_named_by(aggregate: Aggregate, source: PoolsFrom) -> str | None:
    match source:
        case PoolsFrom.AGGREGATE:
            return aggregate.metadata.get(POOL_METADATA)
        case PoolsFrom.AVAILABILITY_ZONE:
            return aggregate.availability_zone
        case PoolsFrom.NONE:
            return None


def _listed(named: list[tuple[str, str]]) -> str:
    return ", ".join(f"{aggregate}: {pool}" for aggregate, pool in named)
