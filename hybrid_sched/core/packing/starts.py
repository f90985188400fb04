# SPDX-License-Identifier: Apache-2.0
"""Packings to begin with: one host after the other is filled, by several rules for what goes onto it next."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.packing.instance import Instance
from hybrid_sched.core.packing.kinds import Kinds, largest_hosts_first
from hybrid_sched.core.packing.subset_sum import fill_exactly

Floats = npt.NDArray[np.float64]
# For each opened host, in the order of opening, the kinds on it.
Filling = dict[int, list[int]]

# How much less the less scarce resources weigh: powers of how scarce they are beside the scarcest.
_POWERS = (0, 1, 2, 4)
# Looks at a kind of task, over all rules; two rules are always tried.
_LOOKS = 30_000_000


def starts(instance: Instance) -> Iterator[Filling]:
    """Fill the hosts, largest first, by one rule after the other.

    Each time the task of largest weighted dominant share comes first. In one dimension the rest is chosen so that as little as
    possible of the host is left (minimum bin slack: Gupta and Ho, 1999; Fleszar and Hindi, 2002). In several it is chosen by
    the dot product with the host's room or by the distance to it (Panigrahy et al., 2011), with several weights.
    """
    hosts = largest_hosts_first(instance).tolist()
    if len(instance.scales) == 1:
        yield _fill_by_sums(instance, hosts)
        return
    kinds = Kinds(instance.tasks)
    unit = np.array([max(amount, 1) / len(hosts) for amount in instance.pool()], dtype=float)
    demand = kinds.demand.astype(float) / unit
    scarcity = np.array(instance.demand(), dtype=float) / unit
    scarcity /= max(float(scarcity.max()), 1e-9)
    rules = list(product(_POWERS, (False, True)))
    looks = len(instance.tasks) * len(kinds.demand)
    for power, by_distance in rules[: max(2, _LOOKS // max(looks, 1))]:
        yield _fill_all(instance, hosts, demand, unit, scarcity**power, by_distance=by_distance)


def _fill_all(
    instance: Instance,
    hosts: list[int],
    demand: Floats,
    unit: Floats,
    weights: Floats,
    *,
    by_distance: bool,
) -> Filling:
    kinds = Kinds(instance.tasks)
    sizes = (demand * weights).max(axis=1)
    filling: Filling = {}
    for host in hosts:
        if not kinds.waits:
            break
        room = instance.hosts[host].copy()
        fitting = kinds.fitting(room)
        scores = sizes[fitting]
        placed: list[int] = []
        while len(fitting):
            kind = int(fitting[scores.argmax()])
            room -= kinds.demand[kind]
            kinds.count[kind] -= 1
            placed.append(kind)
            fitting = kinds.fitting(room, fitting)
            scores = np.zeros(len(fitting))
            for resource, (weight, free) in enumerate(zip(weights, room / unit, strict=True)):
                column = demand[fitting, resource]
                scores += -weight * (column - free) ** 2 if by_distance else weight * free * column
        if placed:
            filling[host] = placed
    return filling


def _fill_by_sums(instance: Instance, hosts: list[int]) -> Filling:
    kinds = Kinds(instance.tasks)
    sizes: list[int] = kinds.demand[:, 0].tolist()
    waiting = [
        kind
        for kind in sorted(range(len(sizes)), key=lambda kind: -sizes[kind])
        for _ in range(int(kinds.count[kind]))
    ]
    filling: Filling = {}
    for host in hosts:
        room = int(instance.hosts[host, 0])
        head = next((place for place, kind in enumerate(waiting) if sizes[kind] <= room), None)
        if head is None:
            continue
        first = waiting.pop(head)
        rest = fill_exactly([sizes[kind] for kind in waiting], room - sizes[first])
        filling[host] = [first, *(waiting[place] for place in rest)]
        for place in reversed(rest):
            del waiting[place]
    return filling
