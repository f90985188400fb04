# SPDX-License-Identifier: Apache-2.0
"""The cluster on which moves are tried one after the other: whatever the strategy, the rules of moves are kept here."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import fsum

from hybrid_sched.core.cluster import HYPERVISOR, Snapshot
from hybrid_sched.core.online import rank
from hybrid_sched.core.rebalancing.moves import Decision, Effect, LeftAlone, Plan
from hybrid_sched.core.rebalancing.places import Place, Resident, places_of
from hybrid_sched.core.rebalancing.restraint import Restraint
from hybrid_sched.core.rebalancing.score import Imbalance
from hybrid_sched.core.rebalancing.situation import Situation
from hybrid_sched.core.resources import Resources, add
from hybrid_sched.core.share_gate import Request, ShareGate, Verdict

_MIB = 2**20


class Board:
    """What a strategy sees of the cluster, and where it makes its decisions.

    Hosts without a fresh report are not on it. Moves in flight count as done, but what they leave is not free yet.

    :param situation: the cluster at one time.
    """

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.parameters = situation.parameters
        #: As the schedulers see it, with the moves in flight and those decided charged at their targets.
        self.snapshot = _charged(situation)
        self._places = places_of(situation)
        self._restraint = Restraint(situation)
        self._imbalance = Imbalance(
            {name: place.usable for name, place in self._places.items()},
            {name: place.expected for name, place in self._places.items()},
            situation.parameters,
        )
        self._emptying: set[str] = set()
        self._decisions: list[Decision] = []
        self._left_alone: dict[str, LeftAlone] = {}
        self._score = self._first_score = fsum(map(self._score_of, self._places.values()))
        self.empty(sorted(situation.drained))

    @property
    def places(self) -> Sequence[Place]:
        """Give the hosts with a fresh report, by name."""
        return [self._places[name] for name in sorted(self._places)]

    @property
    def score(self) -> float:
        """Give the imbalance score once all that is decided is done, with what counts for hosts to be emptied."""
        return self._score

    def place(self, host: str) -> Place | None:
        """Give a host; None without a fresh report."""
        return self._places.get(host)

    def at(self, host: str) -> Place:
        """Give a host with a fresh report.

        :raises KeyError: when it has none.
        """
        return self._places[host]

    def is_emptying(self, host: str) -> bool:
        """Say whether a host is to be emptied."""
        return host in self._emptying

    def empty(self, hosts: Iterable[str]) -> None:
        """Have hosts emptied: they take no task, and each task on them adds ``emptying_gain`` to the score."""
        for host in hosts:
            if host not in self._emptying and (place := self._places.get(host)) is not None:
                self._emptying.add(host)
                added = self.parameters.emptying_gain * len(place.residents)
                self._score += added
                self._first_score += added

    def movable(self, place: Place) -> list[Resident]:
        """Give the tasks of a host that may be moved now."""
        return [each for each in place.residents.values() if self.pinned(each) is None]

    def pinned(self, resident: Resident) -> str | None:
        """Say why a task may not be moved now; None when it may."""
        if not resident.task.movable:
            return "it is not movable, or its owner does not allow it"
        return self._restraint.of_task(resident.task.uuid)

    def held_back(self, place: Place) -> str | None:
        """Say why nothing may be moved from a host now; None when something may."""
        return self._restraint.of_source(place.name, emptied=place.name in self._emptying)

    def targets(self, place: Place, resident: Resident) -> list[str]:
        """Give the hosts that the schedulers' own gate admits for a task, in the schedulers' own order.

        Hosts of another pool, the task's own, those that are to be emptied and those that may take nothing now are left out.
        """
        hosts = [
            name
            for name in self._places
            if name != place.name and self.barred(place, resident, name) is None
        ]
        admitted = self.judged(resident, hosts).admitted
        task = resident.task
        return list(rank(self.snapshot, task.framework, task.demand, admitted).best_first()[0])

    def barred(self, place: Place, resident: Resident, host: str) -> str | None:
        """Say why a task may not go to a host, however much room there is; None when it may."""
        if host in self._emptying:
            return "it is to be emptied"
        if self.snapshot.hosts[host].pool != self.snapshot.hosts[place.name].pool:
            return "it belongs to another pool"
        if not self._restraint.keeps_apart(resident.task.uuid, self._places[host].present):
            return "it has a task that must be apart from this one"
        closed = self.situation.closed.get((resident.task.framework, host))
        return closed or self._restraint.of_target(host)

    def judged(self, resident: Resident, hosts: Sequence[str]) -> Verdict:
        """Give what the schedulers' own gate says of hosts for a task that moves."""
        task = resident.task
        request = Request(task.uuid, task.framework, task.demand, is_move=True)
        return ShareGate(self.snapshot, allow_unreported=False).judge(request, hosts)

    def tried(
        self,
        place: Place,
        resident: Resident,
        target: str,
        resource: int,
        reason: str,
        *,
        needed_above: float | None = None,
    ) -> Decision | None:
        """Work out a move to one of :meth:`targets`.

        :param resource: that it is about, as an index into ``Resources``.
        :param reason: why, as a sentence without the full stop.
        :param needed_above: see :class:`Decision`.
        :returns: the decision; None when the target would be filled above a target, or the score would not fall by the cost.
        """
        there = self._places[target]
        if there.overfilled(resident, self.parameters) is not None:
            return None
        source_after = place.without(resident)
        target_after = [
            have + more for have, more in zip(there.expected, resident.expected, strict=True)
        ]
        before = self._imbalance.of_host(place.name, place.expected) + self._imbalance.of_host(
            target, there.expected
        )
        after = self._imbalance.of_host(place.name, source_after) + self._imbalance.of_host(
            target, target_after
        )
        gain = before - after
        emptied = place.name in self._emptying
        if emptied:
            gain += self.parameters.emptying_gain
        copy_mb, cost = self.cost(resident)
        if gain <= 0 or gain < cost:
            return None
        effect = Effect(
            Resources._fields[resource],
            place.part(resource),
            _part(source_after[resource], place.usable[resource]),
            there.part(resource),
            _part(target_after[resource], there.usable[resource]),
        )
        task = resident.task
        return Decision(
            task=task.uuid,
            framework=task.framework,
            demand=task.demand,
            use=resident.expected,
            source=place.name,
            target=target,
            reason=reason,
            effect=effect,
            score_before=self._score,
            score_after=self._score - gain,
            cost=cost,
            copy_mb=copy_mb,
            needed_above=needed_above,
            emptied=emptied,
        )

    def cost(self, resident: Resident) -> tuple[float, float]:
        """Give what a move costs: the memory to copy in MiB, and the score that it has to earn.

        The score is earned over ``payback_s``: a move that takes a tenth of that has to lower it by a tenth.
        """
        if resident.task.framework == HYPERVISOR:
            # All that it declared, as the page cache of a guest is copied too.
            copy_mb = float(resident.task.demand.memory_mb)
            return copy_mb, copy_mb * _MIB / self.parameters.link_bps / self.parameters.payback_s
        return 0.0, self.parameters.restart_penalty_s / self.parameters.payback_s

    def decide(self, decision: Decision) -> None:
        """Make a decision from :meth:`tried`; all that is tried later counts it as done, and charges it at both ends."""
        source, target = self._places[decision.source], self._places[decision.target]
        target.take(source.release(decision.task))
        self.snapshot = _with_charge(self.snapshot, decision.target, decision.demand)
        self._restraint.count(decision.task, decision.source, decision.target)
        self._score = decision.score_after
        self._decisions.append(decision)

    def leave_alone(self, host: str, reason: str) -> None:
        """Note why nothing, or no more, is done for a host."""
        self._left_alone[host] = LeftAlone(host, reason)

    def over(self, place: Place) -> Iterator[int]:
        """Give the resources of which a host is exhausted.

        It was over the limit for n of the last m periods, none of them before its last move was begun or done, and is expected
        to be when the moves under way are done. What led to a move is no evidence for another one.
        """
        signal = self.situation.history.hosts.get(place.name)
        if signal is None:
            return
        since_s = self._restraint.moved_at_s(place.name)
        for index, limit in enumerate(self.parameters.limits):
            enough = signal.times_over(index, since_s) >= self.parameters.over_periods
            if enough and place.peak(index) > limit:
                yield index

    def is_exhausted(self, place: Place) -> bool:
        """Say whether a host is exhausted of any resource."""
        return next(self.over(place), None) is not None

    def without_caps(self) -> Board:
        """Give a board of its own on which as many moves as one likes may be tried, with what is decided so far."""
        parameters = replace(
            self.parameters, most_per_host=sys.maxsize, most_in_cluster=sys.maxsize
        )
        board = Board(replace(self.situation, parameters=parameters))
        board.empty(sorted(self._emptying))
        for decision in self._decisions:
            board.decide(decision)
        return board

    def plan(self) -> Plan:
        """Give all that was decided."""
        # Anew from the first: hosts that were to be emptied only after some decisions count from the beginning.
        score, decisions = self._first_score, []
        for each in self._decisions:
            after = score - each.gain
            decisions.append(replace(each, score_before=score, score_after=after))
            score = after
        left_alone = tuple(self._left_alone[host] for host in sorted(self._left_alone))
        return Plan(tuple(decisions), left_alone, self._first_score, score)

    def _score_of(self, place: Place) -> float:
        return self._imbalance.of_host(place.name, place.expected)


def _part(used: float, usable: float) -> float:
    return used / usable if usable > 0 else 0.0


def _charged(situation: Situation) -> Snapshot:
    """Charge the moves in flight at their targets; at their sources the tasks are counted as long as they are there."""
    snapshot = situation.snapshot
    for move in situation.moves:
        if move.in_flight and not move.counted and move.target in snapshot.hosts:
            snapshot = _with_charge(snapshot, move.target, move.demand)
    return snapshot


def _with_charge(snapshot: Snapshot, target: str, demand: Resources) -> Snapshot:
    host = snapshot.hosts[target]
    charged = replace(
        host, other=Resources(*add(host.other, demand)), task_count=host.task_count + 1
    )
    return replace(snapshot, hosts={**snapshot.hosts, target: charged})
