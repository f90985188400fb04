# SPDX-License-Identifier: Apache-2.0
"""The cluster as the schedulers see it: hosts, pools, frameworks and one immutable snapshot of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast

from hybrid_sched.core.resources import NOTHING, Number, Resources, Vector, subtract

HYPERVISOR = "hypervisor"
CONTAINER = "container"
FRAMEWORKS = (HYPERVISOR, CONTAINER)

_Derived = TypeVar("_Derived")

#: The pool of hosts that were put into no other.
DEFAULT_POOL = ""


class ReserveMode(StrEnum):
    """Whether the plug-ins ask for a reservation before a task is placed."""

    NONE = "none"
    BEST_EFFORT = "best_effort"
    STRICT = "strict"


class Rung(StrEnum):
    """How far the reclaim ladder has gone with a framework that borrows (algorithms: borrow and reclaim)."""

    NONE = "none"
    NO_GRANTS = "no_grants"
    SQUEEZE = "squeeze"
    RELIEVE = "relieve"


@dataclass(frozen=True, slots=True)
class Task:
    """One guest or container that holds resources on a host.

    :param uuid: Nova's or Zun's identifier.
    :param framework: name of the framework that placed it.
    :param demand: what it declared (paper 5.1), unscored.
    :param name: what its owner calls it; for people only.
    :param state: what its back end says of it, for example ``running``; for people only.
    :param created_at_s: Unix time at which it was made; 0 when unknown.
    :param movable: whether it may be moved to another host while it runs or by a restart that its owner allows.
    :param promised: what it may use at most and can count on; None where that is its demand.
    """

    uuid: str
    framework: str
    demand: Resources
    name: str = ""
    state: str = ""
    created_at_s: float = 0
    movable: bool = False
    promised: Resources | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """One physical host shared by the frameworks.

    :param name: the name under which Nova and Zun know it.
    :param capacity: what may be declared on it, after the reserve and with overcommitment.
    :param score: hardware score q_h in (0, 1] (paper 4.2).
    :param used: declared use of each framework, unscored; what its share is charged with.
    :param task_count: tasks of all frameworks on it; a host with none is not *open*.
    :param fresh: False when its last report is too old to act on.
    :param pool: name of the pool that it belongs to.
    :param other: what takes room on it and is charged to no share: the far end of a move, claims of unknown origin.
    :param drained: whether an operator is emptying it, so that it takes nothing.
    """

    name: str
    capacity: Resources
    score: Number = 1
    used: Mapping[str, Resources] = field(default_factory=dict)
    task_count: int = 0
    fresh: bool = True
    pool: str = DEFAULT_POOL
    other: Resources = NOTHING
    drained: bool = False
    free: Vector = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Work out ``free``: capacity minus the combined use of all frameworks."""
        free: Vector = self.capacity
        for held in (*self.used.values(), self.other):
            if held is not NOTHING:
                free = subtract(free, held)
        object.__setattr__(self, "free", free)

    @property
    def takes_tasks(self) -> bool:
        """Say whether tasks may be planned for it."""
        return self.fresh and not self.drained


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework's part of a pool in one snapshot.

    :param name: for example ``hypervisor``.
    :param weight: phi_i > 0.
    :param used: U_i, its scored charge, reservations included.
    :param wanted: ``used`` plus what is asked for and not placed yet, scored.
    :param fair_share: the dominant share it would get if every framework wanted all it could have.
    :param entitlement: the dominant share it is entitled to with the wants as they are.
    :param floor: the part of ``fair_share`` that is never lent.
    :param head_threshold: dominant share from which a task counts as a Cross-Fill head.
    :param borrowed: dominant share that it holds above its entitlement.
    :param owed: dominant share that it wants, is entitled to and does not hold.
    :param rung: how far what it borrowed is being taken back.
    :param squeeze: factor, at most 1, on the CPU weight of its tasks.
    """

    name: str
    weight: Number
    used: Vector
    wanted: Vector
    fair_share: Number
    entitlement: Number
    floor: Number
    head_threshold: Number
    borrowed: Number = 0
    owed: Number = 0
    rung: Rung = Rung.NONE
    squeeze: Number = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """Hosts that are shared by weights of their own.

    :param name: empty for the default pool.
    :param capacity: E, the scored capacity of its hosts.
    :param frameworks: by name, in the order that breaks ties.
    """

    name: str
    capacity: Vector
    frameworks: Mapping[str, Framework]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A container that is being made again on another host, where it holds no more of the share than before.

    :param target: name of that host.
    :param demand: what it declared.
    """

    target: str
    demand: Resources


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the quota service publishes each cycle; immutable and self-contained.

    :param term: fencing token of the leader that made it; a later leader has a larger one.
    :param version: grows with each snapshot of a term.
    :param taken_at_s: Unix time at which it was made, by the clock of the quota service.
    :param pools: by name; the default pool is always there.
    :param hosts: by name.
    :param reserve: whether the plug-ins ask for reservations.
    :param arrivals: containers on their way, by the uuid of their move.
    """

    term: int
    version: int
    taken_at_s: float
    pools: Mapping[str, Pool]
    hosts: Mapping[str, Host]
    reserve: ReserveMode = ReserveMode.NONE
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)
    _derived: dict[Hashable, Any] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def stamp(self) -> tuple[int, int]:
        """Give what orders snapshots: the term, then the version."""
        return self.term, self.version

    def pool_of(self, host: str) -> Pool:
        """Give the pool of a host; an unknown one counts to the default pool."""
        known = self.hosts.get(host)
        pool = self.pools.get(known.pool) if known is not None else None
        return pool if pool is not None else self.pools[DEFAULT_POOL]

    def derive(self, key: Hashable, make: Callable[[Snapshot], _Derived]) -> _Derived:
        """Give what follows from this snapshot alone; it is worked out when it is first asked for, and kept with it.

        :param key: names it, with all that ``make`` depends on besides the snapshot.
        :param make: works it out; two threads that ask at once may both do so.
        """
        if key not in self._derived:
            self._derived[key] = make(self)
        return cast(_Derived, self._derived[key])
