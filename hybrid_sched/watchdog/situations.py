# SPDX-License-Identifier: Apache-2.0
"""The situation of the cluster, as the policy takes it, from what the engine knows now."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Protocol

from oslo_config import cfg

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import Snapshot, Task
from hybrid_sched.core.rebalancing.history import History
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.readings import (
    HostReading,
    TaskReading,
    Use,
    stalls_of,
    use_of,
)
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.rebalancing.situation import Situation
from hybrid_sched.quota.statistics import HostRecord


class Cluster(Protocol):
    """What the watchdog is told of the cluster by the engine."""

    def snapshot(self) -> tuple[Snapshot, float]:
        """Give the newest snapshot and its age in seconds."""

    def records(self) -> list[tuple[HostRecord, float]]:
        """Give what is known of each host, with its age in seconds."""

    def tasks_on(self, host: str) -> list[Task]:
        """Give the tasks that a host is charged with and its agent sees."""

    def whereabouts(self, uuids: Set[str]) -> set[tuple[str, str]]:
        """Give each of some tasks that is on a host, with the host."""

    def relief_candidates(self) -> Mapping[tuple[str, str], Sequence[Task]]:
        """Name the tasks of each borrower that should move."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What of a situation the engine does not know.

    :param moves: of the ledger: all in flight, and those that ended within the longest cooldown.
    :param drained: names of hosts that are to be emptied.
    :param movers: frameworks whose tasks can be moved.
    :param excluded: uuids of tasks that are not moved now.
    :param apart: groups of uuids of which no two may share a host.
    :param closed: why a host takes no more tasks of a framework, by framework and host.
    """

    moves: Sequence[MoveRecord]
    drained: frozenset[str]
    movers: Collection[str]
    excluded: frozenset[str] = frozenset()
    apart: tuple[frozenset[str], ...] = ()
    closed: Mapping[tuple[str, str], str] = field(default_factory=dict)


class Situations:
    """Make situations, and remember the signals. For one thread at a time.

    :param conf: options of the group ``[watchdog]``; they are read each time.
    :param cluster: the engine.
    :param clock_s: Unix time.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        cluster: Cluster,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._options = conf.watchdog
        self._cluster = cluster
        self._clock_s = clock_s
        self._history = History()

    def observe(self, parameters: Parameters) -> None:
        """Take in the reports of a period."""
        readings = self._readings((), (), {})
        self._history = self._history.observe(readings, parameters, self._clock_s())

    def now(self, parameters: Parameters, surroundings: Surroundings) -> Situation:
        """Give the situation with the newest reports and the signals of the last period."""
        going = [move for move in surroundings.moves if move.as_move().in_flight]
        moving = {move.decision.task for move in going}
        copies = {move.copy: move.decision.task for move in going if move.copy}
        at = self._cluster.whereabouts(moving | copies.keys())
        readings = self._readings(moving, surroundings.movers, copies)
        named = self._cluster.relief_candidates().values()
        return Situation(
            snapshot=self._cluster.snapshot()[0],
            readings={reading.host: reading for reading in readings},
            history=self._history,
            now_s=self._clock_s(),
            parameters=parameters,
            moves=tuple(
                move.as_move(
                    counted=any(
                        (uuid, move.decision.target) in at
                        for uuid in (move.decision.task, move.copy)
                    )
                )
                for move in surroundings.moves
            ),
            excluded=surroundings.excluded,
            apart=surroundings.apart,
            closed=surroundings.closed,
            drained=surroundings.drained,
            named=frozenset(task.uuid for tasks in named for task in tasks),
        )

    def _readings(
        self, moving: Collection[str], movers: Collection[str], copies: Mapping[str, str]
    ) -> list[HostReading]:
        records = [record for record, _ in self._cluster.records()]
        seen = Counter(task for record in records for task in record.tasks)
        elsewhere = {task for task, hosts in seen.items() if hosts > 1}.difference(moving)
        return [self._reading(record, elsewhere, moving, movers, copies) for record in records]

    def _reading(
        self,
        record: HostRecord,
        elsewhere: Collection[str],
        moving: Collection[str],
        movers: Collection[str],
        copies: Mapping[str, str],
    ) -> HostReading:
        """Read one report.

        :param elsewhere: tasks that two agents see, as somebody else moves them.
        :param moving: tasks that we move.
        :param copies: what they are on their target, with what they were; it goes by its old name until it has arrived.
        """
        report = record.report
        held = {
            task.uuid: task
            for task in self._cluster.tasks_on(report.host)
            if task.uuid not in elsewhere
        }
        capacity = (
            float(report.cpus),
            float(report.memory_mb),
            *map(float, report.capacity[2:]),
        )
        reserve = (float(self._options.reserved_cpus), float(self._options.reserved_memory_mb))
        return HostReading(
            host=report.host,
            # By the engine's clock, and the same for one report whenever it is looked at.
            at_s=report.sampled_at_s - record.clock_offset_s,
            capacity=capacity,
            use=use_of(report.measured),
            reserve=(*reserve, 0.0, 0.0, 0.0, 0.0),
            stalls=stalls_of(report.measured),
            tasks=tuple(
                TaskReading(
                    _renamed(self._seen(task, held, moving, movers), copies),
                    _use(report.task_measured, task.uuid),
                )
                for task in record.tasks.values()
            ),
        )

    @staticmethod
    def _seen(
        task: Task,
        held: Mapping[str, Task],
        moving: Collection[str],
        movers: Collection[str],
    ) -> Task:
        """Give a task with the demand that it is charged; one that somebody else moves just now is not movable."""
        known = held.get(task.uuid)
        free = known is not None or task.uuid in moving
        return replace(known or task, movable=task.movable and free and task.framework in movers)


def _renamed(task: Task, copies: Mapping[str, str]) -> Task:
    return replace(task, uuid=copies[task.uuid]) if task.uuid in copies else task


def _use(measured: Mapping[str, Mapping[str, float]], uuid: str) -> Use | None:
    """Give what a task uses; None before there is a rate of it."""
    figures = measured.get(uuid, {})
    return use_of(figures) if measures.CPU_CORES in figures else None
