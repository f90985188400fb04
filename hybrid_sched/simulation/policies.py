# SPDX-License-Identifier: Apache-2.0
"""Policies by name: a rule of the core, and which hosts each framework may use."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR
from hybrid_sched.core.dispatch.base import Dispatch
from hybrid_sched.core.dispatch.fair import FairFill, FairPacking, InOrder
from hybrid_sched.core.dispatch.first_come import FirstCome, most_free
from hybrid_sched.core.packing.base import Packer
from hybrid_sched.core.packing.bfd import BestFitDecreasing
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.packing.dot_product import DotProduct
from hybrid_sched.core.packing.ffd import FirstFitDecreasing
from hybrid_sched.core.packing.repack import Repack
from hybrid_sched.core.packing.spread import Spread
from hybrid_sched.core.resources import Number
from hybrid_sched.simulation.queue_dispatch import QueueDispatch
from hybrid_sched.simulation.workload import SimulatedHost, SimulatedTask

_GUESTS, _CONTAINERS = FRAMEWORKS.index(HYPERVISOR), FRAMEWORKS.index(CONTAINER)
_MOST_AHEAD = 1


class UnknownPolicy(ValueError):
    """A policy that does not exist; the message names those that do."""


Rule = Callable[[Sequence[SimulatedTask], Sequence[SimulatedHost], Sequence[Number]], Dispatch]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy.

    :param name: under which people know it.
    :param rule: makes the rule for one simulation of tasks, in the order of their arrival, on hosts, with the weights of the
        frameworks.
    :param only: for each host the one framework that may use it, or None; empty for no such limits.
    """

    name: str
    rule: Rule
    only: tuple[int | None, ...] = ()


_PACKERS: Mapping[str, type[Packer]] = {
    "cross_fill": CrossFill,
    "ffd": FirstFitDecreasing,
    "bfd": BestFitDecreasing,
    "dot_product": DotProduct,
    "repack": Repack,
    "spread": Spread,
}


def _fair_packing(packer: type[Packer]) -> Dispatch:
    return FairPacking(packer())


_RULES: Mapping[str, Callable[[], Dispatch]] = {
    "shared-fcfs": FirstCome,
    "shared-fcfs-skip": lambda: FirstCome(skip=True),
    "nova-spread": lambda: FirstCome(most_free, skip=True),
    "paper": lambda: FairPacking(CrossFill()),
    **{
        f"wdrf-{name}": partial(_fair_packing, packer)
        for name, packer in _PACKERS.items()
        if name != "cross_fill"
    },
    "guest-first": lambda: InOrder([_GUESTS, _CONTAINERS]),
    "fair-fill-0": lambda: FairFill(Fraction(0)),
    "fair-fill": FairFill,
    "fair-fill-off": lambda: FairFill(None),
}
#: Planners of the declared queue. A plan is made at each event, so that they take a thousand times as long as the others.
QUEUES: Mapping[str, str] = {f"queue-{name}": name for name in _PACKERS}


def names(hosts: int) -> tuple[str, ...]:
    """Give the names of all policies but those of the declared queue, which take long.

    :param hosts: their number; every split of it into two clusters is a policy.
    """
    return (*(f"separate-{n}-{hosts - n}" for n in range(1, hosts)), *_RULES)


def policy(name: str, hosts: int) -> Policy:
    """Make a policy.

    :param name: one of :func:`names` or of :data:`QUEUES`, or ``fair-fill:A`` with a lead A of 0 to 1.
    :param hosts: their number.
    :raises UnknownPolicy: when there is none of that name.
    """
    if name in _RULES:
        return Policy(name, _always(_RULES[name]))
    if name in QUEUES:
        packer = QUEUES[name]
        return Policy(
            name,
            lambda tasks, hosts, weights: QueueDispatch(
                tasks, hosts, _PACKERS[packer](), packer, weights
            ),
        )
    if split := re.fullmatch(r"separate-([0-9]{1,9})-([0-9]{1,9})", name):
        guests, containers = int(split[1]), int(split[2])
        if guests + containers != hosts or not (guests and containers):
            raise UnknownPolicy(
                f"policy {name!r}: it needs {guests + containers} hosts, some for each kind, and there are {hosts}; "
                f"write separate-N-M with N + M = {hosts}"
            )
        return Policy(name, _always(FirstCome), (_GUESTS,) * guests + (_CONTAINERS,) * containers)
    if ahead := re.fullmatch(r"fair-fill:([0-9]+(?:\.[0-9]+)?)", name):
        lead = Fraction(ahead[1])
        if lead > _MOST_AHEAD:
            raise UnknownPolicy(f"policy {name!r}: the lead {ahead[1]} is above 1; give 0 to 1")
        return Policy(name, _always(lambda: FairFill(lead)))
    raise UnknownPolicy(
        f"there is no policy {name!r}; there are separate-N-M, fair-fill:A, {', '.join([*_RULES, *QUEUES])}"
    )


def _always(make: Callable[[], Dispatch]) -> Rule:
    return lambda *_: make()
