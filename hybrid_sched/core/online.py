# SPDX-License-Identifier: Apache-2.0
"""Cross-Fill for one task at a time: how both schedulers rank the hosts of a single request.

Nova and Zun ask for one task at a time, so the batch algorithm (paper 5.2) cannot rank by itself. A task that the queue has
planned goes to its planned host. Of the others, a large one counts as a *head* and goes to the host with the most of the
dominant resource free; a small one counts as *filler* and goes to the most filled open host.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat

from hybrid_sched.core.cluster import Pool, Snapshot
from hybrid_sched.core.resources import (
    Number,
    Resources,
    Vector,
    add,
    dominant_resource,
    dominant_share,
)
from hybrid_sched.core.shares import rationed
from hybrid_sched.core.steering import planned_text

#: Added to the score of a planned host; scores are at most 1.
PLANNED = 2.0

#: Least difference between the scores of two hosts of one snapshot. A float of at most 1 still shows it after some weighers
#: of other makers were added, and with a million hosts of the same room their scores differ by no more than 1e-6.
_STEP = 2.0**-40

#: Weight and score of a host without a fresh report: below all others.
_UNREPORTED = -1
_UNREPORTED_SCORE = -_STEP


class Role(StrEnum):
    """What a task is to Cross-Fill."""

    HEAD = "head"
    FILLER = "filler"


@dataclass(frozen=True, slots=True)
class Rule:
    """How the hosts of one request are ranked.

    :param role: head or filler.
    :param resource: r*, the dominant resource by which hosts are ranked, as an index into ``Resources``.
    :param text: one sentence that says so, for people.
    """

    role: Role
    resource: int
    text: str


@dataclass(frozen=True, slots=True)
class _Order:
    """All hosts of a snapshot with a fresh report, under one rule.

    :param weights: exact; the larger, the better.
    :param scores: floats of 0 to 1 in the same order, of which no two are alike: hosts of one weight go by name.
    :param tied: hosts whose scores differ by no more may have the same weight.
    """

    weights: Mapping[str, Number]
    scores: Mapping[str, float]
    tied: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """The hosts of one request, ranked.

    :param rule: by which.
    :param hosts: in the order they were given.
    :param scores: one a host: from 0 for the last to 1 for the first, and :data:`PLANNED` more for a planned one. Where all
        have the same weight they are all next to 0, and differ by so little that they decide between equals alone.
    :param planned: index of the planned host; None when there is none, or it is not among ``hosts``.
    :param text: one sentence that says how it came about, for people.
    """

    rule: Rule
    hosts: Sequence[str]
    scores: list[float]
    planned: int | None
    text: str
    _known: Mapping[str, Number]

    @property
    def weights(self) -> tuple[Number, ...]:
        """Give the exact weight of each host; -1 without a fresh report, one more than all others when it is planned."""
        weights = [self._known.get(host, _UNREPORTED) for host in self.hosts]
        if self.planned is not None:
            weights[self.planned] = max(weights) + 1
        return tuple(weights)

    def best_first(self) -> tuple[tuple[str, ...], tuple[Number, ...]]:
        """Give the hosts in their order, and the weight of each; hosts without a fresh report keep theirs."""
        order = sorted(range(len(self.hosts)), key=self.scores.__getitem__, reverse=True)
        weights = self.weights
        return tuple([self.hosts[at] for at in order]), tuple([weights[at] for at in order])


def rank(
    snapshot: Snapshot,
    framework: str,
    demand: Resources,
    hosts: Sequence[str],
    planned_host: str = "",
) -> Ranking:
    """Rank hosts for one task.

    :param snapshot: the cluster.
    :param framework: whose task it is.
    :param demand: of the task.
    :param hosts: names of the hosts that may take it.
    :param planned_host: for which it was planned; empty for none.
    """
    home = _home(snapshot, hosts)
    rule = snapshot.derive(
        ("rule", home.name, framework, demand), lambda _: _rule(home, framework, demand)
    )
    order = snapshot.derive(
        ("order", rule.role, rule.resource), lambda of: _order(of, rule.role, rule.resource)
    )
    found = list(map(order.scores.get, hosts, repeat(_UNREPORTED_SCORE)))
    scores = _spread(found, order.tied)
    return _with_plan(Ranking(rule, hosts, scores, None, rule.text, order.weights), planned_host)


def unranked(hosts: Sequence[str], text: str, planned_host: str = "") -> Ranking:
    """Give every host the same weight but the planned one, where there is nothing to rank them by.

    :param text: why.
    """
    rule = Rule(Role.HEAD, 0, text)
    return _with_plan(
        Ranking(rule, hosts, [0.0] * len(hosts), None, text, dict.fromkeys(hosts, 0)), planned_host
    )


def _with_plan(ranking: Ranking, planned_host: str) -> Ranking:
    if not planned_host:
        return ranking
    hosts, scores = ranking.hosts, ranking.scores
    planned = hosts.index(planned_host) if planned_host in hosts else None
    if planned is not None:
        scores[planned] += PLANNED
    text = f"{planned_text(planned_host, passed=planned is not None)}; {ranking.text}"
    return Ranking(ranking.rule, hosts, scores, planned, text, ranking._known)


def _home(snapshot: Snapshot, hosts: Sequence[str]) -> Pool:
    """Give the pool by which a task is judged: of several that it may go to, that of the first host by name."""
    return snapshot.pool_of(min(hosts, default="") if len(snapshot.pools) > 1 else "")


def _rule(home: Pool, framework: str, demand: Resources) -> Rule:
    pool = home.capacity
    known = home.frameworks.get(framework)
    demanded = rationed(demand, pool)
    wanted: Vector = add(known.wanted, demanded) if known else demanded
    resource = dominant_resource(wanted, pool)
    share = dominant_share(demanded, pool)
    threshold = known.head_threshold if known else 0
    role = Role.HEAD if share >= threshold else Role.FILLER
    name = Resources._fields[resource]
    order = (
        f"most {name} free first"
        if role is Role.HEAD
        else f"open host with least {name} free first"
    )
    text = f"{role} ({float(share):.2%} of the pool, heads from {float(threshold):.2%}): {order}"
    return Rule(role, resource, text)


def _order(snapshot: Snapshot, role: Role, resource: int) -> _Order:
    fresh = {name: host for name, host in snapshot.hosts.items() if host.fresh}
    weights: dict[str, Number] = {name: max(0, host.free[resource]) for name, host in fresh.items()}
    most = max(weights.values(), default=0)
    if role is Role.FILLER:
        # Every open host, least free first, stands above every empty one, most free first.
        most = 2 * most + 1
        for name, host in fresh.items():
            if host.task_count:
                weights[name] = most - weights[name]
    scores = _scores(weights, float(most) or 1.0)
    # All of them are spread here already, since most requests may go to the first and to the last.
    tied = len(scores) * _STEP
    spread = dict(zip(scores, _spread(list(scores.values()), tied), strict=True))
    return _Order(weights, spread, tied / _width(scores.values(), tied))


def _scores(weights: Mapping[str, Number], most: float) -> dict[str, float]:
    """Turn exact weights into floats that are in the same order and all different."""
    scores: dict[str, float] = {}
    least = 0.0
    # Twice, as sorting keeps the order of equals: by name from the last to the first, and by weight from the least.
    for name in sorted(sorted(weights, reverse=True), key=weights.__getitem__):
        scores[name] = score = max(float(weights[name]) / most, least)
        least = score + _STEP
    return scores


def _spread(scores: list[float], tied: float) -> list[float]:
    """Spread scores from 0 to 1, as Nova does, unless they are within what may be ties broken by name."""
    if not scores:
        return scores
    least, width = min(scores), _width(scores, tied)
    if not least and width == 1.0:
        return scores
    return [(score - least) / width for score in scores]


def _width(scores: Collection[float], tied: float) -> float:
    """Give what scores are divided by."""
    width = max(scores, default=0.0) - min(scores, default=0.0)
    return width if width > tied else 1.0
