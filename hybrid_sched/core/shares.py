# SPDX-License-Identifier: Apache-2.0
"""From hosts, weights and wants to the share of each framework: one weighted-DRF cycle (paper 4.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from hybrid_sched.core.cluster import Framework, Host
from hybrid_sched.core.drf import Claim, fluid
from hybrid_sched.core.resources import (
    Number,
    Resources,
    Vector,
    add,
    dominant_share,
    scale,
    total,
)

_DIMENSIONS = len(Resources._fields)


@dataclass(frozen=True, slots=True)
class SharePolicy:
    """What the operator sets for one framework.

    :param name: the framework.
    :param weight: phi_i > 0.
    :param lending: part of its fair share, 0 to 1, that others may borrow while it is idle.
    """

    name: str
    weight: Number = 1
    lending: Number = 1


def effective_pool(hosts: Iterable[Host]) -> Vector:
    """Sum the hosts' capacities, each scaled by its score.

    :param hosts: those that take part.
    :returns: E, one number a resource (algorithms: E_r = sum of q_h * C_hr).
    """
    return total((scale(host.score, host.capacity) for host in hosts), _DIMENSIONS)


def charge(hosts: Iterable[Host], framework: str) -> Vector:
    """Sum what a framework holds, each host's part scaled by the host's score.

    :param hosts: those that take part.
    :param framework: whose charge to sum.
    :returns: U_i, one number a resource.
    """
    held = (scale(host.score, host.used[framework]) for host in hosts if framework in host.used)
    return total(held, _DIMENSIONS)


def rationed(vector: Vector, pool: Vector) -> Vector:
    """Leave out what no host declares: a rate that nobody has told a limit of keeps nobody from anything.

    :param vector: a demand or a charge.
    :param pool: E.
    """
    return tuple(amount if there else 0 for amount, there in zip(vector, pool, strict=True))


def frameworks_of(
    pool: Vector,
    policies: Sequence[SharePolicy],
    used: Mapping[str, Vector],
    pending: Mapping[str, Vector],
    head_thresholds: Mapping[str, Number],
) -> dict[str, Framework]:
    """Compute each framework's fair share and entitlement.

    A framework with neither use nor pending requests is taken to want all resources alike, so that its fair share is
    known before its first request.

    :param pool: E.
    :param policies: weights and lending, in the order that breaks ties.
    :param used: U_i by framework; one that is missing holds nothing.
    :param pending: scored demand that is asked for and not placed, by framework.
    :param head_thresholds: Cross-Fill head threshold by framework; one that is missing is 0.
    :returns: frameworks by name, in the order of ``policies``.
    """
    nothing = (0,) * _DIMENSIONS
    held = {name: rationed(vector, pool) for name, vector in used.items()}
    wanted = [
        add(held.get(policy.name, nothing), rationed(pending.get(policy.name, nothing), pool))
        for policy in policies
    ]
    fair = fluid(
        pool,
        [
            Claim(_direction(want, pool), policy.weight)
            for want, policy in zip(wanted, policies, strict=True)
        ],
    ).shares
    floors = [(1 - policy.lending) * share for policy, share in zip(policies, fair, strict=True)]
    claims = [
        _capped_claim(want, pool, policy.weight, floor)
        for want, policy, floor in zip(wanted, policies, floors, strict=True)
    ]
    entitled = fluid(pool, claims).shares
    frameworks = {}
    for index, policy in enumerate(policies):
        used_vector = held.get(policy.name, nothing)
        used_share = dominant_share(used_vector, pool)
        wanted_share = dominant_share(wanted[index], pool)
        frameworks[policy.name] = Framework(
            name=policy.name,
            weight=policy.weight,
            used=used_vector,
            wanted=wanted[index],
            fair_share=fair[index],
            entitlement=entitled[index],
            floor=floors[index],
            head_threshold=head_thresholds.get(policy.name, 0),
            borrowed=max(0, used_share - entitled[index]),
            owed=max(0, min(wanted_share, entitled[index]) - used_share),
        )
    return frameworks


def ceiling(pool: Vector, frameworks: Mapping[str, Framework], name: str, target: Vector) -> Number:
    """Tell how far a framework may grow: its share plus what the others leave idle and lend.

    :param pool: E.
    :param frameworks: as :func:`frameworks_of` made them.
    :param name: the framework that wants to grow.
    :param target: the charge that it wants to reach; only its direction counts.
    :returns: the largest dominant share it may hold in that direction.
    """
    claims = [
        Claim(_direction(target, pool), framework.weight)
        if framework.name == name
        else _capped_claim(framework.wanted, pool, framework.weight, framework.floor)
        for framework in frameworks.values()
    ]
    return fluid(pool, claims).shares[list(frameworks).index(name)]


def _direction(vector: Vector, pool: Vector) -> Vector:
    return vector if dominant_share(vector, pool) > 0 else pool


def _capped_claim(wanted: Vector, pool: Vector, weight: Number, floor: Number) -> Claim:
    """Claim all that is wanted, or the floor that is never lent where that is more."""
    wanted_share = dominant_share(wanted, pool)
    if wanted_share > 0:
        cap = max(Fraction(1), Fraction(floor) / wanted_share)
        return Claim(wanted, weight, cap)
    return Claim(pool, weight, floor)
