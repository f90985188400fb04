# SPDX-License-Identifier: Apache-2.0
"""The share gate: fairness and the combined use of a host, asked before a request goes there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from hybrid_sched.core.cluster import DEFAULT_POOL, Host, Pool, Snapshot
from hybrid_sched.core.resources import (
    Number,
    Resources,
    add,
    dominant_resource,
    dominant_share,
    scale,
)
from hybrid_sched.core.shares import ceiling, rationed


class Rule(StrEnum):
    """Which rule refused a host."""

    FRAMEWORK_SHARE = "framework_share"
    HOST_ROOM = "host_room"
    NO_FRESH_REPORT = "no_fresh_report"
    QUOTA_UNAVAILABLE = "quota_unavailable"
    OTHER_POOL = "other_pool"
    BAD_DECLARATION = "bad_declaration"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one host was refused.

    :param rule: the rule that refused it.
    :param text: one sentence with figures, for people.
    """

    rule: Rule
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer for all hosts of one request.

    :param admitted: names of hosts, in the order they were asked for.
    :param refused: the refusal of each other host.
    """

    admitted: tuple[str, ...]
    refused: dict[str, Refusal]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be placed.

    :param uuid: of the guest or container (the first one of several).
    :param framework: who asks.
    :param demand: of one task.
    :param count: tasks asked for at once, all of the same demand.
    :param is_move: True when the task runs already and only changes its host: moves are quota-neutral.
    :param fault: what cannot be read of its declaration, with the remedy; empty when all can.
    """

    uuid: str
    framework: str
    demand: Resources
    count: int = 1
    is_move: bool = False
    fault: str = ""


class ShareGate:
    """Judge requests against one snapshot.

    :param snapshot: the cluster, not older than the caller cares for.
    :param allow_unreported: what to say of a host without a fresh report. Placement's claim still guards its capacity.
    """

    def __init__(self, snapshot: Snapshot, *, allow_unreported: bool = True) -> None:
        self._snapshot = snapshot
        self._allow_unreported = allow_unreported

    def judge(self, request: Request, hosts: Iterable[str]) -> Verdict:
        """Say which hosts the request may go to.

        A host passes when its free room, with the use of *all* frameworks taken off, holds the demand, and the
        framework's dominant share after the placement stays within its share plus what is lendable.

        :param request: what is to be placed.
        :param hosts: candidate hosts by name.
        :returns: admitted and refused hosts.
        """
        needs = [(index, amount) for index, amount in enumerate(request.demand) if amount]
        share_refusals: dict[tuple[str, Number], Refusal | None] = {}
        admitted: list[str] = []
        refused: dict[str, Refusal] = {}
        for name in hosts:
            host = self._snapshot.hosts.get(name)
            if host is not None and not host.fresh:
                host = None
            # Where a host's own room is unknown, the framework's share is not.
            refusal = self._unreported(name) if host is None else _room_refusal(host, needs)
            if refusal is None and not request.is_move:
                pool = self._snapshot.pool_of(name)
                score = host.score if host is not None else 1
                if (pool.name, score) not in share_refusals:
                    share_refusals[pool.name, score] = share_refusal(pool, request, score)
                refusal = share_refusals[pool.name, score]
            if refusal is None:
                admitted.append(name)
            else:
                refused[name] = refusal
        return Verdict(tuple(admitted), refused)

    def _unreported(self, name: str) -> Refusal | None:
        if self._allow_unreported:
            return None
        return Refusal(
            Rule.NO_FRESH_REPORT,
            f"host {name} has no fresh report: check hybrid-sched-agent on it",
        )


def share_refusal(pool: Pool, request: Request, score: Number) -> Refusal | None:
    """Say whether the request would take its framework over its share plus what is lendable.

    :param pool: that it would go to.
    :param request: what is to be placed.
    :param score: of the host that it would go to.
    :returns: the refusal, or None.
    """
    framework = pool.frameworks.get(request.framework)
    if framework is None or not any(pool.capacity):
        return None
    charge = scale(score * request.count, request.demand)
    target = rationed(add(framework.used, charge), pool.capacity)
    share = dominant_share(target, pool.capacity)
    limit = ceiling(pool.capacity, pool.frameworks, request.framework, target)
    if share <= limit:
        return None
    resource = Resources._fields[dominant_resource(target, pool.capacity)]
    lendable = max(0, limit - framework.fair_share)
    where = "" if pool.name == DEFAULT_POOL else f" in pool {pool.name}"
    return Refusal(
        Rule.FRAMEWORK_SHARE,
        f"framework {framework.name} would hold {_percent(share)} of {resource}{where}; its share by weight is "
        f"{_percent(framework.fair_share)} and {_percent(lendable)} more can be lent now, "
        f"so it is {_percent(share - limit)} over",
    )


def _room_refusal(host: Host, needs: list[tuple[int, Number]]) -> Refusal | None:
    free, capacity = host.free, host.capacity
    for index, amount in needs:
        # A rate that the host does not declare is not rationed.
        if amount > free[index] and capacity[index]:
            return Refusal(
                Rule.HOST_ROOM,
                f"host {host.name} has {float(free[index]):g} of {float(capacity[index]):g} "
                f"{Resources._fields[index]} free of guests and containers, {float(amount):g} is asked",
            )
    return None


def _percent(share: Number) -> str:
    return f"{float(share) * 100:.1f} %"
