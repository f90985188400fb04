# SPDX-License-Identifier: Apache-2.0
"""Room on hosts for queued tasks: what is free now, what becomes free when, and what of it is held.

Held room is the reservation of EASY back-filling (Lifka, The ANL/IBM SP scheduling system, JSSPP 1995; Mu'alem and
Feitelson, Utilization, predictability, workloads, and user runtime estimates in scheduling the IBM SP2 with backfilling,
IEEE TPDS 12(6), 2001), for hosts with several resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hybrid_sched.core.cluster import Host
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import (
    Number,
    Resources,
    Vector,
    add,
    dominant_resource,
    dominant_share,
    scale,
    subtract,
    total,
)

_LENGTH = len(Resources._fields)

#: Floats only rule out hosts that are clearly too full; what is left is compared exactly.
_SLACK = 1 - 1e-9

#: When something is expected to end, or None; what it takes; its framework, or None for what has not started yet.
_End = tuple[float | None, Vector, str | None]


@dataclass(frozen=True, slots=True)
class Occupant:
    """A queued task that has been launched and holds room on a host, or soon will.

    :param framework: whose it is.
    :param host: on which it is, or for which it was planned.
    :param demand: of it, unscored.
    :param ends_at_s: Unix time at which it is expected to end; None when nothing is known.
    :param counted: whether the snapshot counts it as used already. One that it does not is charged to host and framework.
    """

    framework: str
    host: str
    demand: Resources
    ends_at_s: float | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Opening:
    """When there is room for a task on a host.

    :param from_s: Unix time; None where it depends on ends that nobody can tell.
    :param ends: occupants that have to end before.
    :param foreign: whether that is not enough, and something that the queue did not start has to end too.
    :param extra: what a task without a known end may take besides, now, and do no harm.
    :param leaving: framework and demand of each occupant among those ends.
    """

    from_s: float | None
    ends: int
    foreign: bool
    extra: Vector
    leaving: tuple[tuple[str, Vector], ...] = ()

    @property
    def order(self) -> tuple[bool, bool, float, int]:
        """Give a sort key: the earliest known time, then unknown ones that need the fewest ends."""
        return self.from_s is None, self.foreign, self.from_s or 0, self.ends

    def is_after(self, end_s: float | None) -> bool:
        """Say whether what ends at a time, None when unknown, is certain to have ended before."""
        return self.from_s is not None and end_s is not None and end_s <= self.from_s


@dataclass(slots=True)
class Held:
    """Room that is held on a host for a waiting task.

    :param task: its uuid.
    :param framework: whose it is.
    :param rank: its place in the order; earlier tasks of its framework need not mind it.
    :param demand: of it.
    :param lasts_s: how long it will run; None when unknown.
    :param score: of its host.
    :param opening: when it is expected to start.
    :param gone: scored charges, by framework, that will have ended by then.
    """

    task: str
    framework: str
    rank: int
    demand: Resources
    lasts_s: float | None
    score: Number
    opening: Opening
    gone: Mapping[str, Vector]


@dataclass(slots=True)
class HostRoom:
    """The room of one host.

    :param host: as the snapshot shows it.
    :param index: its row among the hosts of its pool.
    :param free: what is free of it now.
    :param occupants: queued tasks on it, with those started in this call.
    :param holds: for waiting tasks, in the order in which they were made.
    """

    host: Host
    index: int
    free: Vector
    occupants: list[Occupant] = field(default_factory=list)
    holds: list[Held] = field(default_factory=list)

    def could_ever_hold(self, demand: Vector) -> bool:
        """Say whether the empty host would have room."""
        return _fits(self.needs(demand), self.host.capacity)

    def needs(self, demand: Vector) -> Vector:
        """Leave out what the host does not declare: that is not rationed, as in the share gate."""
        return tuple(
            [
                amount if there else 0
                for amount, there in zip(demand, self.host.capacity, strict=True)
            ]
        )

    def has_room(self, demand: Vector) -> bool:
        """Say whether there is room now, held or not."""
        return _fits(self.needs(demand), self.free)

    def opening(self, demand: Vector, now_s: float) -> Opening:
        """Tell when there is room for a task beside all for which room is held; it must fit into the empty host."""
        return self._opening(demand, now_s, self.holds)

    def allows(self, task: QueuedTask, rank: int, end_s: float | None) -> bool:
        """Say whether a task that starts now would delay nobody for whom room is held.

        It is not bound by room held for a later task of its framework. One for which room is held itself is bound by the holds
        before its own alone: those after it were made beside it.

        :param task: for which there is room now.
        :param rank: its place in the order.
        :param end_s: Unix time at which it will have ended; None when unknown.
        """
        needs = self.needs(task.demand)
        for held in self.holds:
            if held.task == task.uuid:
                break
            if task.framework == held.framework and rank < held.rank:
                continue
            if not held.opening.is_after(end_s) and not _fits(needs, held.opening.extra):
                return False
        return True

    def endless_room(self) -> Vector:
        """Give what tasks without a known end may take, whoever they are."""
        room = self.free
        for held in self.holds:
            room = tuple(map(min, room, held.opening.extra))
        return room

    def take(self, occupant: Occupant, now_s: float) -> None:
        """Put a task on the host."""
        self.free = subtract(self.free, occupant.demand)
        self.occupants.append(occupant)
        self.renew(now_s)

    def renew(self, now_s: float) -> None:
        """Work out the openings again, each beside the holds before it."""
        for place, held in enumerate(self.holds):
            held.opening = self._opening(held.demand, now_s, self.holds[:place])

    def _opening(self, demand: Vector, now_s: float, beside: Iterable[Held]) -> Opening:
        needs = self.needs(demand)
        free = self.free
        ends: list[_End] = [
            (each.ends_at_s, each.demand, each.framework) for each in self.occupants
        ]
        for held in beside:
            # As if it had started already: room that it leaves when it ends is room only then.
            free = subtract(free, held.demand)
            starts_s = held.opening.from_s
            known = starts_s is not None and held.lasts_s is not None
            ends.append((starts_s + held.lasts_s if known else None, held.demand, None))  # type: ignore[operator]
        if _fits(needs, free):
            return Opening(now_s, 0, False, _left(free, needs))
        known_ends = sorted(
            [(end[0], end) for end in ends if end[0] is not None], key=lambda each: each[0]
        )
        later = free
        for count, (end_s, end) in enumerate(known_ends, 1):
            later = add(later, end[1])
            if _fits(needs, later):
                leaving = _occupants([each for _, each in known_ends[:count]])
                return Opening(max(now_s, end_s), count, False, _left(later, needs), leaving)
        return _unknown_opening(needs, free, ends)


def _unknown_opening(needs: Vector, free: Vector, ends: Sequence[_End]) -> Opening:
    """Count the ends that it needs when the largest holders of what is short end first."""
    extra = _left(free, needs)
    short = tuple(max(0, need - room) for need, room in zip(needs, free, strict=True))
    by_help = sorted(ends, key=lambda end: -dominant_share(tuple(map(min, end[1], short)), short))
    for count, end in enumerate(by_help, 1):
        free = add(free, end[1])
        if _fits(needs, free):
            return Opening(None, count, False, extra, _occupants(by_help[:count]))
    return Opening(None, len(by_help) + 1, True, extra, _occupants(by_help))


def _occupants(ends: Iterable[_End]) -> tuple[tuple[str, Vector], ...]:
    return tuple([(framework, demand) for _, demand, framework in ends if framework is not None])


class PoolRooms:
    """The hosts of one pool that have a fresh report.

    :param capacity: E of the pool.
    :param hosts: in the order that breaks ties.
    :param occupants: launched queued tasks, by host.
    :param now_s: Unix time.
    """

    def __init__(
        self,
        capacity: Vector,
        hosts: Iterable[Host],
        occupants: Mapping[str, Sequence[Occupant]],
        now_s: float,
    ) -> None:
        self._capacity = capacity
        self._now_s = now_s
        self.hosts: list[HostRoom] = []
        for host in hosts:
            there = occupants.get(host.name, ())
            uncounted = total((each.demand for each in there if not each.counted), _LENGTH)
            free = subtract(host.free, uncounted)
            self.hosts.append(HostRoom(host, len(self.hosts), free, list(there)))
        self._rows: npt.NDArray[np.float64] = np.empty((len(self.hosts), _LENGTH))
        self._by_score: dict[Number, list[HostRoom]] = {}
        for room in self.hosts:
            self._by_score.setdefault(room.host.score, []).append(room)
        self._held: dict[int, HostRoom] = {}
        # Demands for which no host without a hold has room.
        self._hopeless: set[Vector] = set()
        for room in self.hosts:
            self._write(room)

    @property
    def held(self) -> Iterable[HostRoom]:
        """Give the hosts on which room is held, in the order that breaks ties."""
        return [self._held[index] for index in sorted(self._held)]

    def roomy(self, demand: Vector) -> Iterator[HostRoom]:
        """Give the hosts without a hold that have room now, the one with the least of the dominant resource first.

        Best fit: it leaves the large gaps to the large tasks.
        """
        if demand in self._hopeless:
            return
        short = np.flatnonzero((self._rows >= self._threshold(demand)).all(axis=1))
        resource = dominant_resource(demand, self._capacity)
        hopeless = True
        for index in short[np.argsort(self._rows[short, resource], kind="stable")]:
            room = self.hosts[index]
            if room.has_room(demand):
                hopeless = False
                yield room
        if hopeless:
            self._hopeless.add(demand)

    def has_endless_room(self, demand: Vector) -> bool:
        """Say whether any host has room for a task of unknown end that harms nobody."""
        if next(self.roomy(demand), None) is not None:
            return True
        return any(_fits(room.needs(demand), room.endless_room()) for room in self._held.values())

    def scores_that_could_hold(self, demand: Vector) -> tuple[Number, ...]:
        """Give the scores of the hosts that would have room if they were empty, smallest first."""
        return tuple(
            score
            for score, rooms in sorted(self._by_score.items())
            if any(room.could_ever_hold(demand) for room in rooms)
        )

    def gone_by(self, room: HostRoom, opening: Opening) -> dict[str, Vector]:
        """Sum up by framework what will have ended when a task starts on a host, scored.

        :param room: the host.
        :param opening: when it has room. Of one that nobody can tell, the ends on the host itself count.
        """
        gone: dict[str, Vector] = {}
        if opening.from_s is None:
            ended = [(framework, demand, room.host.score) for framework, demand in opening.leaving]
        else:
            ended = [
                (each.framework, each.demand, there.host.score)
                for there in self.hosts
                for each in there.occupants
                if opening.is_after(each.ends_at_s)
            ]
        for framework, demand, score in ended:
            gone[framework] = add(gone.get(framework, (0,) * _LENGTH), scale(score, demand))
        return gone

    def offers(self, demands: Sequence[Vector]) -> tuple[list[HostRoom], list[Vector]]:
        """Give the hosts, and what of each a packer may use, that have room for any of the demands.

        Of a resource that a host does not declare it may use all that the demands ask for; it is not rationed there.
        """
        asked = total(demands, _LENGTH)
        useful = np.zeros(len(self.hosts), dtype=bool)
        for demand in dict.fromkeys(demands):
            useful |= (self._rows >= self._threshold(demand)).all(axis=1)
        useful[list(self._held)] = True
        rooms = [self.hosts[index] for index in np.flatnonzero(useful)]
        vectors: list[Vector] = []
        for room in rooms:
            offered = room.endless_room() if room.holds else room.free
            vectors.append(
                tuple(
                    max(0, amount) if there else wanted
                    for amount, there, wanted in zip(
                        offered, room.host.capacity, asked, strict=True
                    )
                )
            )
        return rooms, vectors

    def take(self, room: HostRoom, occupant: Occupant) -> None:
        """Put a task on a host."""
        room.take(occupant, self._now_s)
        self._write(room)

    def hold(self, room: HostRoom, held: Held) -> None:
        """Hold room on a host."""
        room.holds.append(held)
        self._held[room.index] = room
        self._write(room)

    def release(self, room: HostRoom, held: Held) -> None:
        """Hold it no longer."""
        room.holds.remove(held)
        room.renew(self._now_s)
        if not room.holds:
            del self._held[room.index]
            self._hopeless.clear()
        self._write(room)

    def _write(self, room: HostRoom) -> None:
        self._rows[room.index] = [
            -np.inf if room.holds else float(amount) if there else np.inf
            for amount, there in zip(room.free, room.host.capacity, strict=True)
        ]

    @staticmethod
    def _threshold(demand: Vector) -> npt.NDArray[np.float64]:
        # A host that is over-full of a resource still takes who needs none of it.
        return np.array(
            [float(amount) * _SLACK if amount else -np.finfo(float).max for amount in demand]
        )


def _fits(needs: Vector, room: Vector) -> bool:
    return all(not amount or amount <= there for amount, there in zip(needs, room, strict=True))


def _left(room: Vector, needs: Vector) -> Vector:
    return tuple([max(0, there - amount) for there, amount in zip(room, needs, strict=True)])
