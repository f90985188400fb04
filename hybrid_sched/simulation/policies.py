# SPDX-License-Identifier: Apache-2.0
"""Policies by name: a rule of the core, and which hosts each framework may use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR
from hybrid_sched.core.dispatch.base import Dispatch
from hybrid_sched.core.dispatch.fair import FairFill, FairPacking, InOrder
from hybrid_sched.core.dispatch.first_come import FirstCome, most_free
from hybrid_sched.core.packing.bfd import BestFitDecreasing
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.packing.dot_product import DotProduct
from hybrid_sched.core.packing.ffd import FirstFitDecreasing
from hybrid_sched.core.packing.repack import Repack
from hybrid_sched.core.packing.spread import Spread

_GUESTS, _CONTAINERS = FRAMEWORKS.index(HYPERVISOR), FRAMEWORKS.index(CONTAINER)
_MOST_AHEAD = 1


class UnknownPolicy(ValueError):
    """A policy that does not exist; the message names those that do."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy.

    :param name: under which people know it.
    :param dispatch: the rule.
    :param only: for each host the one framework that may use it, or None; empty for no such limits.
    """

    name: str
    dispatch: Dispatch
    only: tuple[int | None, ...] = ()


_RULES: Mapping[str, Callable[[], Dispatch]] = {
    "shared-fcfs": FirstCome,
    "shared-fcfs-skip": lambda: FirstCome(skip=True),
    "nova-spread": lambda: FirstCome(most_free, skip=True),
    "paper": lambda: FairPacking(CrossFill()),
    "wdrf-ffd": lambda: FairPacking(FirstFitDecreasing()),
    "wdrf-bfd": lambda: FairPacking(BestFitDecreasing()),
    "wdrf-dot_product": lambda: FairPacking(DotProduct()),
    "wdrf-repack": lambda: FairPacking(Repack()),
    "wdrf-spread": lambda: FairPacking(Spread()),
    "guest-first": lambda: InOrder([_GUESTS, _CONTAINERS]),
    "fair-fill-0": lambda: FairFill(Fraction(0)),
    "fair-fill": FairFill,
    "fair-fill-off": lambda: FairFill(None),
}


def names(hosts: int) -> tuple[str, ...]:
    """Give the names of all policies.

    :param hosts: their number; every split of it into two clusters is a policy.
    """
    return (*(f"separate-{n}-{hosts - n}" for n in range(1, hosts)), *_RULES)


def policy(name: str, hosts: int) -> Policy:
    """Make a policy.

    :param name: one of :func:`names`, or ``fair-fill:A`` with a lead A of 0 to 1.
    :param hosts: their number.
    :raises UnknownPolicy: when there is none of that name.
    """
    if name in _RULES:
        return Policy(name, _RULES[name]())
    if split := re.fullmatch(r"separate-([0-9]{1,9})-([0-9]{1,9})", name):
        guests, containers = int(split[1]), int(split[2])
        if guests + containers != hosts or not (guests and containers):
            raise UnknownPolicy(
                f"policy {name!r}: it needs {guests + containers} hosts, some for each kind, and there are {hosts}; "
                f"write separate-N-M with N + M = {hosts}"
            )
        return Policy(name, FirstCome(), (_GUESTS,) * guests + (_CONTAINERS,) * containers)
    if ahead := re.fullmatch(r"fair-fill:([0-9]+(?:\.[0-9]+)?)", name):
        lead = Fraction(ahead[1])
        if lead > _MOST_AHEAD:
            raise UnknownPolicy(f"policy {name!r}: the lead {ahead[1]} is above 1; give 0 to 1")
        return Policy(name, FairFill(lead))
    raise UnknownPolicy(
        f"there is no policy {name!r}; there are separate-N-M, fair-fill:A, {', '.join(_RULES)}"
    )
