# SPDX-License-Identifier: Apache-2.0
"""The cluster as the schedulers see it: hosts, frameworks and one immutable snapshot of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybrid_sched.core.resources import Number, Resources, Vector, subtract, total

HYPERVISOR = "hypervisor"
CONTAINER = "container"
FRAMEWORKS = (HYPERVISOR, CONTAINER)


@dataclass(frozen=True, slots=True)
class Task:
    """One guest or container that holds resources on a host.

    :param uuid: Nova's or Zun's identifier.
    :param framework: name of the framework that placed it.
    :param demand: what it declared (paper 5.1), unscored.
    :param name: what its owner calls it; for people only.
    :param state: what its back end says of it, for example ``running``; for people only.
    """

    uuid: str
    framework: str
    demand: Resources
    name: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """One physical host shared by the frameworks.

    :param name: the name under which Nova and Zun know it.
    :param capacity: what may be declared on it, after the reserve and with overcommitment.
    :param score: hardware score q_h in (0, 1] (paper 4.2).
    :param used: declared use of each framework, unscored.
    :param task_count: tasks of all frameworks on it; a host with none is not *open*.
    :param fresh: False when its last report is too old to act on.
    """

    name: str
    capacity: Resources
    score: Number = 1
    used: Mapping[str, Resources] = field(default_factory=dict)
    task_count: int = 0
    fresh: bool = True
    free: Vector = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Work out ``free``: capacity minus the combined use of all frameworks."""
        held = total(self.used.values(), len(self.capacity))
        object.__setattr__(self, "free", subtract(self.capacity, held))


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework's part of the cluster in one snapshot.

    :param name: for example ``hypervisor``.
    :param weight: phi_i > 0.
    :param used: U_i, its scored charge, reservations included.
    :param wanted: ``used`` plus what is asked for and not placed yet, scored.
    :param fair_share: the dominant share it would get if every framework wanted all it could have.
    :param entitlement: the dominant share it is entitled to with the wants as they are.
    :param floor: the part of ``fair_share`` that is never lent.
    :param head_threshold: dominant share from which a task counts as a Cross-Fill head.
    """

    name: str
    weight: Number
    used: Vector
    wanted: Vector
    fair_share: Number
    entitlement: Number
    floor: Number
    head_threshold: Number


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the quota service publishes each cycle; immutable and self-contained.

    :param epoch: identifies the life of the quota service that made it.
    :param version: grows by one with each snapshot of an epoch.
    :param taken_at_s: Unix time at which it was made, by the clock of the quota service.
    :param pool: E, the scored capacity of all hosts.
    :param hosts: hosts by name.
    :param frameworks: frameworks by name, in the order that breaks ties.
    """

    epoch: str
    version: int
    taken_at_s: float
    pool: Vector
    hosts: Mapping[str, Host]
    frameworks: Mapping[str, Framework]
