# SPDX-License-Identifier: Apache-2.0
"""The share gate: fairness and the combined use of a host, asked before a request goes there."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterable
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
from hybrid_sched.core.rooms import GROUP, rooms_of, whole_units
from hybrid_sched.core.shares import ceiling, rationed

# Kinds of requests whose hosts are remembered with a snapshot; a set of 5,000 hosts takes a quarter of a MiB.
_KINDS_KEPT = 64


class Rule(StrEnum):
    """Which rule refused a host."""

    FRAMEWORK_SHARE = "framework_share"
    HOST_ROOM = "host_room"
    HOST_DRAINED = "host_drained"
    NOT_THE_TARGET = "not_the_target"
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
class ShareAnswer:
    """What a request would do to its framework's share.

    :param framework: who asks.
    :param pool: in which it would count.
    :param resource: the dominant one.
    :param share: that the framework would hold then.
    :param fair_share: by weight.
    :param limit: its share and what can be lent to it now.
    """

    framework: str
    pool: str
    resource: str
    share: Number
    fair_share: Number
    limit: Number

    @property
    def is_within(self) -> bool:
        """Say whether the share allows it."""
        return self.share <= self.limit

    @property
    def text(self) -> str:
        """Give a sentence with the figures, without the full stop."""
        where = "" if self.pool == DEFAULT_POOL else f" in pool {self.pool}"
        lendable = max(0, self.limit - self.fair_share)
        margin = (
            f"so {_percent(self.limit - self.share)} would be left"
            if self.is_within
            else f"so it is {_percent(self.share - self.limit)} over"
        )
        return (
            f"framework {self.framework} would hold {_percent(self.share)} of {self.resource}{where}; its share by weight is "
            f"{_percent(self.fair_share)} and {_percent(lendable)} more can be lent now, {margin}"
        )


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
    :param planned_host: for which the queue planned it; empty for none.
    :param fault: what cannot be read of its declaration, with the remedy; empty when all can.
    :param move: uuid of the move of which it says that it is the end on the target; empty for none.
    """

    uuid: str
    framework: str
    demand: Resources
    count: int = 1
    is_move: bool = False
    planned_host: str = ""
    fault: str = ""
    move: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    answer: ShareAnswer | None
    refusal: Refusal | None


class ShareGate:
    """Judge requests against one snapshot.

    :param snapshot: the cluster, not older than the caller cares for.
    :param allow_unreported: what to say of a host without a fresh report. Placement's claim still guards its capacity.
    """

    def __init__(self, snapshot: Snapshot, *, allow_unreported: bool = True) -> None:
        self._snapshot = snapshot
        self._allow_unreported = allow_unreported

    def judge(self, request: Request, hosts: Collection[str]) -> Verdict:
        """Say which hosts the request may go to.

        A host passes when its free room, with the use of *all* frameworks taken off, holds the demand, and the
        framework's dominant share after the placement stays within its share plus what is lendable.

        :param request: what is to be placed.
        :param hosts: candidate hosts by name.
        :returns: admitted and refused hosts.
        """
        known = self._admitted(request)
        if known.issuperset(hosts):
            return Verdict(tuple(hosts), {})
        verdict = self._judge(request, hosts)
        known.update(verdict.admitted)
        return verdict

    def shares(self, request: Request, hosts: Iterable[str]) -> tuple[ShareAnswer, ...]:
        """Tell what a request would do to its framework's share, once for each pool and score of host.

        :param request: what is to be placed.
        :param hosts: by name.
        """
        groups = {}
        for name in hosts:
            host = self._snapshot.hosts.get(name)
            score = host.score if host is not None and host.fresh else 1
            pool = self._snapshot.pool_of(name)
            groups[pool.name, score.as_integer_ratio()] = pool, score
        judged = [self._judge_share(pool, request, score) for pool, score in groups.values()]
        return tuple(each.answer for each in judged if each.answer is not None)

    def _admitted(self, request: Request) -> set[str]:
        """Give the hosts that were admitted already to a request of this kind, which a snapshot admits again."""
        kinds: dict[tuple[object, ...], set[str]]
        kinds = self._snapshot.derive("admitted", lambda _: {})
        kind = (request.framework, request.demand, request.count, request.is_move)
        found = kinds.get((*kind, self._allow_unreported))
        if found is None:
            if len(kinds) >= _KINDS_KEPT:
                kinds.clear()
            found = kinds[*kind, self._allow_unreported] = set()
        return found

    def _judge(self, request: Request, hosts: Iterable[str]) -> Verdict:
        needs = [(index, amount) for index, amount in enumerate(request.demand) if amount]
        rows, least = rooms_of(self._snapshot).rows, whole_units(request.demand)
        vcpu, memory_mb, *rates = least
        rated = any(rate > 0 for rate in rates)
        # Groups of hosts of which one has passed: on the others only room is to be looked at.
        open_groups: set[float] = set()
        # By pool and score; a ratio of integers is hashed much sooner than a fraction.
        shares: dict[tuple[str, tuple[int, int]], _Judged] = {}
        admitted: list[str] = []
        refused: dict[str, Refusal] = {}
        for name in hosts:
            row = rows.get(name)
            if (
                row is not None
                and row[0] >= vcpu
                and row[1] >= memory_mb
                and row[GROUP] in open_groups
                and not (rated and any(map(operator.lt, row, least)))
            ):
                admitted.append(name)
                continue
            host = self._snapshot.hosts.get(name)
            if host is not None and host.drained:
                refused[name] = _drained(name)
                continue
            if host is not None and not host.fresh:
                host = None
            # Where a host's own room is unknown, the framework's share is not.
            refusal = self._unreported(name) if host is None else _room_refusal(host, needs)
            if refusal is None and not request.is_move:
                pool = self._snapshot.pool_of(name)
                score = host.score if host is not None else 1
                group = pool.name, score.as_integer_ratio()
                if group not in shares:
                    shares[group] = self._judge_share(pool, request, score)
                refusal = shares[group].refusal
            if refusal is None:
                admitted.append(name)
                if row is not None:
                    open_groups.add(row[GROUP])
            else:
                refused[name] = refusal
        return Verdict(tuple(admitted), refused)

    def _judge_share(self, pool: Pool, request: Request, score: Number) -> _Judged:
        """Work it out once for all requests of one kind: they come from few flavors, many a snapshot."""
        ratio = score.as_integer_ratio()
        kind = (pool.name, ratio, request.framework, request.demand, request.count)

        def judge(_: Snapshot) -> _Judged:
            answer = share_answer(pool, request, score)
            return _Judged(answer, _refusal_of(answer))

        return self._snapshot.derive(("share", kind), judge)

    def _unreported(self, name: str) -> Refusal | None:
        if self._allow_unreported:
            return None
        return Refusal(
            Rule.NO_FRESH_REPORT,
            f"host {name} has no fresh report: check hybrid-sched-agent on it",
        )


def arriving(snapshot: Snapshot, request: Request, hosts: Iterable[str]) -> str:
    """Give the host to which a request belongs as the end of a move; empty where it is none, and is judged as any other.

    :param hosts: candidates by name.
    """
    known = snapshot.arrivals.get(request.move) if request.move else None
    if known is None or request.count != 1 or known.target not in hosts:
        return ""
    is_more = any(asked > held for asked, held in zip(request.demand, known.demand, strict=True))
    return "" if is_more else known.target


def share_refusal(pool: Pool, request: Request, score: Number) -> Refusal | None:
    """Say whether the request would take its framework over its share plus what is lendable.

    :param pool: that it would go to.
    :param request: what is to be placed.
    :param score: of the host that it would go to.
    :returns: the refusal, or None.
    """
    return _refusal_of(share_answer(pool, request, score))


def share_answer(pool: Pool, request: Request, score: Number) -> ShareAnswer | None:
    """Work out what the request would do to its framework's share.

    :param pool: that it would go to.
    :param request: what is to be placed.
    :param score: of the host that it would go to.
    :returns: the figures; None where the pool has no share of the framework to keep to.
    """
    framework = pool.frameworks.get(request.framework)
    if framework is None or not any(pool.capacity):
        return None
    charge = scale(score * request.count, request.demand)
    target = rationed(add(framework.used, charge), pool.capacity)
    share = dominant_share(target, pool.capacity)
    limit = ceiling(pool.capacity, pool.frameworks, request.framework, target)
    resource = Resources._fields[dominant_resource(target, pool.capacity)]
    return ShareAnswer(framework.name, pool.name, resource, share, framework.fair_share, limit)


def _refusal_of(answer: ShareAnswer | None) -> Refusal | None:
    if answer is None or answer.is_within:
        return None
    return Refusal(Rule.FRAMEWORK_SHARE, answer.text)


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


def _drained(name: str) -> Refusal:
    return Refusal(
        Rule.HOST_DRAINED,
        f"host {name} is being emptied: `hybrid-sched-manage drain {name} --undo` ends that",
    )


def _percent(share: Number) -> str:
    return f"{float(share) * 100:.1f} %"
