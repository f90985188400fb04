# SPDX-License-Identifier: Apache-2.0
"""Cross-Fill for one task at a time: how both schedulers rank the hosts of a single request.

Nova and Zun ask for one task at a time, so the batch algorithm (paper 5.2) cannot rank by itself. A large task counts as
a *head* and goes to the host with the most of the dominant resource free; a small one counts as *filler* and goes to
the most filled open host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hybrid_sched.core.cluster import Host, Snapshot
from hybrid_sched.core.resources import (
    Number,
    Resources,
    Vector,
    add,
    dominant_resource,
    dominant_share,
)
from hybrid_sched.core.shares import rationed


class Role(StrEnum):
    """What a task is to Cross-Fill."""

    HEAD = "head"
    FILLER = "filler"


@dataclass(frozen=True, slots=True)
class Ranking:
    """The hosts of one request, with a weight each; the larger, the better.

    :param role: head or filler.
    :param resource: r*, the dominant resource by which hosts are ranked, as an index into ``Resources``.
    :param weights: one a host, in the order the hosts were given; -1 for a host without a fresh report.
    :param text: one sentence that says the rule, for people.
    """

    role: Role
    resource: int
    weights: tuple[Number, ...]
    text: str


def rank(snapshot: Snapshot, framework: str, demand: Resources, hosts: Sequence[str]) -> Ranking:
    """Weigh hosts for one task.

    :param snapshot: the cluster.
    :param framework: whose task it is.
    :param demand: of the task.
    :param hosts: names of the hosts on which it fits.
    :returns: a weight for each host.
    """
    # A task that may go to several pools is judged by the pool of the first host.
    home = snapshot.pool_of(hosts[0] if hosts else "")
    pool = home.capacity
    known = home.frameworks.get(framework)
    demanded = rationed(demand, pool)
    wanted: Vector = add(known.wanted, demanded) if known else demanded
    resource = dominant_resource(wanted, pool)
    share = dominant_share(demanded, pool)
    threshold = known.head_threshold if known else 0
    role = Role.HEAD if share >= threshold else Role.FILLER
    found = [snapshot.hosts.get(name) for name in hosts]
    fresh = [host if host is not None and host.fresh else None for host in found]
    weights = (
        _head_weights(fresh, resource) if role is Role.HEAD else _filler_weights(fresh, resource)
    )
    order = (
        f"most {Resources._fields[resource]} free first"
        if role is Role.HEAD
        else f"open host with least {Resources._fields[resource]} free first"
    )
    text = f"{role} ({float(share):.2%} of the pool, heads from {float(threshold):.2%}): {order}"
    return Ranking(role, resource, weights, text)


def _head_weights(hosts: Sequence[Host | None], resource: int) -> tuple[Number, ...]:
    return tuple(-1 if host is None else max(0, host.free[resource]) for host in hosts)


def _filler_weights(hosts: Sequence[Host | None], resource: int) -> tuple[Number, ...]:
    """Put every open host, least free first, above every empty one, most free first."""
    room = _head_weights(hosts, resource)
    top = 2 * max(room, default=0) + 1
    return tuple(
        top - free if host is not None and host.task_count else free
        for host, free in zip(hosts, room, strict=True)
    )
