# SPDX-License-Identifier: Apache-2.0
"""Weighted dominant-resource fairness (paper 4.2; Ghodsi et al., NSDI 2011), exact.

The charge of framework i is U_ir = sum over hosts of q_h * a_ihr, its dominant share s_i = max over r of U_ir / E_r, and its
key k_i = s_i / phi_i. Ties go to the lowest index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from hybrid_sched.core.resources import (
    Number,
    Vector,
    add,
    dominant_share,
    fits,
    scale,
    simplest,
    subtract,
    total,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one framework asks of the fluid filling.

    :param demand: one unit of it, a number a resource.
    :param weight: phi > 0.
    :param cap: units that it wants at most; None for all it can have.
    """

    demand: Vector
    weight: Number = 1
    cap: Number | None = None


@dataclass(frozen=True, slots=True)
class FluidShares:
    """The fluid filling.

    :param units: units of its demand that each framework gets.
    :param shares: dominant share of each.
    """

    units: tuple[Number, ...]
    shares: tuple[Number, ...]


def fluid(pool: Vector, claims: Sequence[Claim]) -> FluidShares:
    """Raise all keys at one rate; freeze a framework at its cap or when a resource that it needs is exhausted.

    A framework that demands nothing gets the units of its cap (0 without one), as they cost nothing.

    :param pool: E, a number a resource.
    :param claims: one a framework.
    :returns: units and dominant shares, in the order of the claims.
    """
    unit_shares = [dominant_share(claim.demand, pool) for claim in claims]
    units: list[Number] = [0] * len(claims)
    rising = []
    for index, claim in enumerate(claims):
        if any(claim.demand):
            starved = any(need and not room for need, room in zip(claim.demand, pool, strict=True))
            if not starved and claim.cap != 0:
                rising.append(index)
        else:
            units[index] = claim.cap or 0
    free = list(pool)
    key: Number = 0
    while rising:
        # Per unit of the common key, framework i grows by phi_i / (share of one unit) units.
        rates = {i: Fraction(claims[i].weight) / unit_shares[i] for i in rising}
        flows = [
            sum((rates[i] * claims[i].demand[r] for i in rising), Fraction(0))
            for r in range(len(pool))
        ]
        steps = [Fraction(room) / flow for room, flow in zip(free, flows, strict=True) if flow > 0]
        for i in rising:
            cap = claims[i].cap
            if cap is not None:
                steps.append((cap - units[i]) / rates[i])
        step = min(steps)
        key += step
        for i in rising:
            units[i] += rates[i] * step
        free = [room - flow * step for room, flow in zip(free, flows, strict=True)]
        exhausted = [flow > 0 and room == 0 for room, flow in zip(free, flows, strict=True)]
        rising = [
            i
            for i in rising
            if units[i] != claims[i].cap
            and not any(
                gone and need for gone, need in zip(exhausted, claims[i].demand, strict=True)
            )
        ]
    return FluidShares(
        tuple(simplest(amount) for amount in units),
        tuple(simplest(amount * share) for amount, share in zip(units, unit_shares, strict=True)),
    )


class Place(StrEnum):
    """Where the discrete filling looks for room."""

    POOL = "pool"
    FIRST_FIT = "ff"


@dataclass(frozen=True, slots=True)
class ScoredHost:
    """A host of the discrete filling: its capacity and its score q_h in (0, 1]."""

    capacity: Vector
    score: Number = 1


@dataclass(frozen=True, slots=True)
class Backlog:
    """One framework with a queue of indivisible tasks.

    :param name: for the order of grants.
    :param tasks: demand of each, in queue order.
    :param weight: phi > 0.
    :param used: what is charged to it already, scored; None for nothing.
    """

    name: str
    tasks: Sequence[Vector]
    weight: Number = 1
    used: Vector | None = None


@dataclass(frozen=True, slots=True)
class Grants:
    """The discrete filling.

    :param granted: tasks granted to each framework.
    :param usage: charge U_i of each, with what was used before.
    :param shares: dominant share of each.
    :param keys: share divided by weight, of each.
    :param order: names of the frameworks in the order of the grants.
    :param where: the host of each granted task, by framework; None when filling the pool.
    """

    granted: tuple[int, ...]
    usage: tuple[Vector, ...]
    shares: tuple[Number, ...]
    keys: tuple[Number, ...]
    order: tuple[str, ...]
    where: tuple[tuple[int, ...], ...] | None


def effective_pool(hosts: Sequence[ScoredHost], length: int) -> Vector:
    """Give E_r = sum over hosts of q_h * C_hr."""
    return total((scale(host.score, host.capacity) for host in hosts), length)


def discrete(
    hosts: Sequence[ScoredHost],
    frameworks: Sequence[Backlog],
    *,
    strict: bool = False,
    place: Place = Place.POOL,
    pool: Vector | None = None,
) -> Grants:
    """Grant tasks one by one to the framework with the smallest key (paper 4.2, algorithm 1).

    A framework whose next task does not fit is blocked and the rest go on, so that nothing is left idle that somebody can
    use. Ties go to the framework with fewer grants in this call, then to the first in the list.

    :param hosts: capacities and scores.
    :param frameworks: queues.
    :param strict: stop at the first task that does not fit, as the paper's listing does.
    :param place: whether a task must fit the pool, or one host (the first that holds it).
    :param pool: E, when it is known; else it is worked out from the hosts.
    :returns: the grants.
    """
    if pool is None:
        lengths = [len(host.capacity) for host in hosts]
        lengths += [len(task) for framework in frameworks for task in framework.tasks[:1]]
        pool = effective_pool(hosts, lengths[0] if lengths else 0)
    nothing: Vector = (0,) * len(pool)
    usage: list[Vector] = [framework.used or nothing for framework in frameworks]
    keys = [
        Fraction(dominant_share(used, pool)) / framework.weight
        for used, framework in zip(usage, frameworks, strict=True)
    ]
    granted = [0] * len(frameworks)
    where: list[list[int]] = [[] for _ in frameworks]
    order: list[str] = []
    pool_free = subtract(pool, total(usage, len(pool)))
    host_free = [host.capacity for host in hosts]
    waiting = [index for index, framework in enumerate(frameworks) if framework.tasks]
    while waiting:
        index = min(waiting, key=lambda i: (keys[i], granted[i], i))
        framework = frameworks[index]
        demand = framework.tasks[granted[index]]
        if place is Place.POOL:
            charged = demand if fits(demand, pool_free) else None
        else:
            host = next((h for h, free in enumerate(host_free) if fits(demand, free)), None)
            charged = None if host is None else scale(hosts[host].score, demand)
            if host is not None:
                host_free[host] = subtract(host_free[host], demand)
                where[index].append(host)
        if charged is None:
            if strict:
                break
            waiting.remove(index)
            continue
        pool_free = subtract(pool_free, charged)
        usage[index] = add(usage[index], charged)
        keys[index] = Fraction(dominant_share(usage[index], pool)) / framework.weight
        granted[index] += 1
        order.append(framework.name)
        if granted[index] == len(framework.tasks):
            waiting.remove(index)
    return Grants(
        tuple(granted),
        tuple(tuple(simplest(amount) for amount in used) for used in usage),
        tuple(dominant_share(used, pool) for used in usage),
        tuple(simplest(key) for key in keys),
        tuple(order),
        tuple(map(tuple, where)) if place is Place.FIRST_FIT else None,
    )


@dataclass(frozen=True, slots=True)
class Holding:
    """What one framework holds and wants, in units of its demand.

    :param demand: one unit, a number a resource.
    :param used: units that it holds.
    :param want: units that it wants in all.
    :param weight: phi > 0.
    """

    demand: Vector
    used: Number
    want: Number
    weight: Number = 1


@dataclass(frozen=True, slots=True)
class Balance:
    """What one framework is entitled to, holds beyond it, and is owed; in units of its demand."""

    entitled: Number
    borrowed: Number
    owed: Number


def reclaim(pool: Vector, holdings: Sequence[Holding]) -> tuple[Balance, ...]:
    """Tell who borrows and who is owed.

    Entitlements are the fluid filling with the wanted units as caps.

    :param pool: E.
    :param holdings: one a framework.
    :returns: a balance for each.
    """
    claims = [Claim(holding.demand, holding.weight, holding.want) for holding in holdings]
    return tuple(
        Balance(
            entitled,
            simplest(max(0, holding.used - entitled)),
            simplest(max(0, min(holding.want, entitled) - holding.used)),
        )
        for holding, entitled in zip(holdings, fluid(pool, claims).units, strict=True)
    )
