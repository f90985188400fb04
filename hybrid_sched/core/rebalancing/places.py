# SPDX-License-Identifier: Apache-2.0
"""The hosts with what their tasks are expected to use, as moves change it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_sched.core.cluster import Task
from hybrid_sched.core.rebalancing.history import History, HostSignal, peak
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.readings import LENGTH, NO_USE, HostReading, Use, as_use
from hybrid_sched.core.rebalancing.situation import Situation


@dataclass(frozen=True, slots=True)
class Resident:
    """A task with what it is expected to use.

    :param expected: see :attr:`TaskSignal.expected`; what it declared when it is not measured.
    :param variance: of its use.
    """

    task: Task
    expected: Use
    variance: Use


class Place:
    """One host with a fresh report.

    :param name: of the host.
    :param usable: capacity after the reserve. Of a resource for which tasks wait too long it is less: what is used is taken to
        be all there is to it, up to the part that the wait tells.
    :param rest: what the host uses beside its measured tasks.
    :param deviations: N of the peak.
    """

    def __init__(self, name: str, usable: Use, rest: Use, deviations: float) -> None:
        self.name = name
        self._deviations = deviations
        self.usable = usable
        #: What is expected to be used once all moves are done.
        self.expected: list[float] = list(rest)
        self.variance: list[float] = [0.0] * LENGTH
        #: Tasks that are there and stay unless they are moved now, by uuid.
        self.residents: dict[str, Resident] = {}
        #: All that are there now or will be.
        self.present: set[str] = set()

    def part(self, resource: int) -> float:
        """Give the part of the usable capacity that is expected to be used; 0 where that is unknown."""
        usable = self.usable[resource]
        return self.expected[resource] / usable if usable > 0 else 0.0

    def peak(self, resource: int) -> float:
        """Give the part that is used when more is used than expected, by N standard deviations; 0 where that is unknown."""
        usable = self.usable[resource]
        if usable <= 0:
            return 0.0
        used, variance = self.expected[resource], self.variance[resource]
        return peak(used, variance, self._deviations) / usable

    @property
    def fullest(self) -> float:
        """Give the largest part."""
        return max(map(self.part, range(LENGTH)))

    def without(self, resident: Resident) -> list[float]:
        """Give what is expected to be used when a task has left."""
        return [
            max(0.0, have - less)
            for have, less in zip(self.expected, resident.expected, strict=True)
        ]

    def overfilled(self, resident: Resident, parameters: Parameters) -> tuple[int, float] | None:
        """Give a resource of which the host, at its peak, would be above its target with a task more, and the part of it.

        :returns: None when it stays within all targets.
        """
        for index, target in enumerate(parameters.targets):
            usable, more = self.usable[index], resident.expected[index]
            if usable <= 0 or more <= 0:
                continue
            used = self.expected[index] + more
            variance = self.variance[index] + resident.variance[index]
            there = peak(used, variance, self._deviations)
            if there > target * usable:
                return index, there / usable
        return None

    def put(self, resident: Resident) -> None:
        """Add a task that is there."""
        self.residents[resident.task.uuid] = resident
        self.take(resident)

    def take(self, resident: Resident) -> None:
        """Add a task that comes."""
        self.present.add(resident.task.uuid)
        self.add(resident.expected, resident.variance)

    def add(self, expected: Sequence[float], variance: Sequence[float]) -> None:
        """Add to what is expected to be used."""
        self.expected = list(map(operator.add, self.expected, expected))
        self.variance = list(map(operator.add, self.variance, variance))

    def release(self, uuid: str) -> Resident:
        """Take off a task that goes; it is present until it has gone."""
        resident = self.residents.pop(uuid)
        self.expected = self.without(resident)
        self.variance = [
            max(0.0, have - less)
            for have, less in zip(self.variance, resident.variance, strict=True)
        ]
        return resident


def places_of(situation: Situation) -> dict[str, Place]:
    """Give the hosts that have a fresh report, with the moves in flight done, in the order of their names."""
    parameters, history = situation.parameters, situation.history
    places = {}
    for name in sorted(situation.readings):
        reading, signal = situation.readings[name], history.hosts.get(name)
        host = situation.snapshot.hosts.get(name)
        age_s = situation.now_s - reading.at_s
        if host is None or not host.fresh or signal is None or age_s > parameters.stale_after_s:
            continue
        places[name] = _place(reading, signal, history, parameters)
    for move in situation.moves:
        if not move.in_flight:
            continue
        source, target = places.get(move.source), places.get(move.target)
        if source is not None and move.task in source.residents:
            source.release(move.task)
        if target is not None and move.task not in target.present:
            target.present.add(move.task)
            signal_of = history.tasks.get(move.task)
            if signal_of is None:
                target.add(move.use, NO_USE)
            else:
                target.add(signal_of.expected, signal_of.variance)
    return places


def _place(
    reading: HostReading, signal: HostSignal, history: History, parameters: Parameters
) -> Place:
    place = Place(reading.host, reading.usable, signal.rest, parameters.deviations)
    for each in reading.tasks:
        known = history.tasks.get(each.task.uuid)
        if each.use is not None and known is not None:
            place.put(Resident(each.task, known.expected, known.variance))
        else:
            # Its use is in the rest already, and is not counted twice.
            resident = Resident(each.task, as_use(each.task.demand), NO_USE)
            place.residents[each.task.uuid] = resident
            place.present.add(each.task.uuid)
    place.usable = tuple(
        [
            _shrunk(usable, used, stall, stall_limit, limit)
            for usable, used, stall, stall_limit, limit in zip(
                place.usable,
                place.expected,
                signal.stalls,
                parameters.stall_limits,
                parameters.limits,
                strict=True,
            )
        ]
    )
    return place


def _shrunk(usable: float, used: float, stall: float, stall_limit: float, limit: float) -> float:
    """Give the capacity that a host shows to have when its tasks wait for it.

    At the limit of the stall what is used counts as the limit of the use, and when tasks wait all the time as the whole.
    """
    if stall <= stall_limit or used <= 0:
        return usable
    shown = limit + (1 - limit) * (stall - stall_limit) / (1 - stall_limit)
    shown_usable = used / shown
    return min(usable, shown_usable) if usable > 0 else shown_usable
