# SPDX-License-Identifier: Apache-2.0
"""From what the engine keeps of tasks, decisions and moves to a trace that names nobody.

Of queued tasks all times are kept. Of a guest or container that was asked for otherwise, the decisions tell when it came, how
often it was refused and where it was claimed, and nothing tells when it ended: it counts as running to the end of the trace.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Number, Resources
from hybrid_sched.simulation.trace import Trace, TraceMove, TraceTask
from hybrid_sched.simulation.workload import SimulatedHost, SimulatedTask, WorkloadError

# A simulated task takes some time.
_SHORTEST_S = 1e-3
_NEVER_RAN = frozenset({TaskState.FAILED, TaskState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Records:
    """What was kept.

    :param queued: tasks of the queue.
    :param decisions: of the schedulers, of any requests, the oldest first.
    :param moves: of the watchdog, the oldest first.
    """

    queued: Sequence[QueuedTask] = ()
    decisions: Sequence[Decision] = ()
    moves: Sequence[MoveRecord] = ()


@dataclass(slots=True)
class _Life:
    """One task in Unix time: ``started_s`` and ``ended_s`` are 0 where that is not known, as of what is still there."""

    framework: str
    demand: Resources
    came_s: float
    started_s: float = 0.0
    ended_s: float = 0.0
    host: str = ""
    refusals: int = 0
    moves: list[tuple[float, str]] = field(default_factory=list)


def recorded_trace(
    records: Records,
    hosts: Sequence[SimulatedHost],
    weights: Sequence[Number],
    from_s: float,
    to_s: float,
    *,
    host_names: bool = False,
) -> Trace:
    """Give the trace of some time. Tasks are numbered in the order of their arrival.

    What came before it and was still there counts as coming and starting at its beginning. A task that never started is taken
    to last as long as the mean of those of its framework that ended, or as the trace where none did.

    :param hosts: that were there.
    :param from_s: Unix time at which it begins.
    :param to_s: Unix time at which it ends.
    :param host_names: whether hosts keep their names; else they are numbered too.
    :raises WorkloadError: when there was no task, or one ran on a host that is not among the hosts.
    """
    if not from_s < to_s:
        raise WorkloadError("--to: it is not after --from; give a later time")
    lives = sorted(
        (each for each in _lives(records) if _is_within(each, from_s, to_s)),
        key=lambda each: (max(each.came_s, from_s), each.came_s),
    )
    if not lives:
        raise WorkloadError(
            "nothing is kept of any task in that time; give another --from and --to"
        )
    names = {
        host.name: host.name if host_names else f"host-{number}"
        for number, host in enumerate(hosts, 1)
    }
    guesses = _guesses(lives, to_s - from_s)
    return Trace(
        tuple(replace(host, name=names[host.name]) for host in hosts),
        tuple(weights),
        tuple(
            _traced(f"task-{number}", each, names, guesses, (from_s, to_s))
            for number, each in enumerate(lives, 1)
        ),
    )


def _is_within(life: _Life, from_s: float, to_s: float) -> bool:
    return life.came_s < to_s and not 0 < life.ended_s <= from_s


def _lives(records: Records) -> list[_Life]:
    lives: dict[str, _Life] = {}
    for task in records.queued:
        if task.started_at_s == 0 and task.state in _NEVER_RAN:
            continue
        lives[task.server or task.uuid] = _Life(
            task.framework,
            task.demand,
            task.submitted_at_s,
            task.started_at_s,
            task.ended_at_s,
            task.host if task.started_at_s else "",
        )
    queued = set(lives)
    for decision in records.decisions:
        life = lives.setdefault(
            decision.request_uuid,
            _Life(decision.framework, decision.demand, decision.decided_at_s),
        )
        if decision.stage is Stage.SHARE_GATE and decision.refused_by_share and not decision.hosts:
            life.refusals += 1
        elif (
            decision.stage is Stage.CLAIMED
            and decision.hosts
            and not life.started_s
            and decision.request_uuid not in queued
        ):
            life.started_s, life.host = decision.decided_at_s, decision.hosts[0]
    for move in records.moves:
        found = lives.get(move.decision.task)
        if found is None or move.state is not MoveState.DONE:
            continue
        if not found.moves and found.started_s:
            # The queue keeps the newest host of a task.
            found.host = move.decision.source
        found.moves.append((move.ended_at_s, move.decision.target))
        if move.copy:
            lives.pop(move.copy, None)
            lives[move.copy] = lives.pop(move.decision.task)
    return list(lives.values())


def _guesses(lives: Sequence[_Life], length_s: float) -> Mapping[str, float]:
    """Give how long tasks of each framework last, mean of those that ended."""
    guesses = {}
    for name in FRAMEWORKS:
        ran = [
            each.ended_s - each.started_s
            for each in lives
            if each.framework == name and 0 < each.started_s < each.ended_s
        ]
        guesses[name] = math.fsum(ran) / len(ran) if ran else length_s
    return guesses


def _traced(
    name: str,
    life: _Life,
    names: Mapping[str, str],
    guesses: Mapping[str, float],
    window: tuple[float, float],
) -> TraceTask:
    from_s, to_s = window
    arrival_s = max(0.0, life.came_s - from_s)
    refusals = life.refusals
    if not 0 < life.started_s < to_s:
        task = SimulatedTask(name, life.framework, life.demand, arrival_s, guesses[life.framework])
        return TraceTask(task, ended=False, refusals=refusals)
    started_s = max(arrival_s, life.started_s - from_s)
    ended = 0 < life.ended_s <= to_s
    end_s = (life.ended_s if ended else to_s) - from_s
    task = SimulatedTask(
        name, life.framework, life.demand, arrival_s, max(_SHORTEST_S, end_s - started_s)
    )
    before = [host for at_s, host in life.moves if at_s <= from_s]
    moves = tuple(
        TraceMove(at_s - from_s, _host(host, names))
        for at_s, host in life.moves
        if from_s + started_s < at_s < from_s + end_s
    )
    first = before[-1] if before else life.host
    return TraceTask(task, _host(first, names), started_s, ended, refusals, moves)


def _host(name: str, names: Mapping[str, str]) -> str:
    if name not in names:
        raise WorkloadError(
            f"a task ran on host {name!r}, which --hosts does not have; add it with what it had then"
        )
    return names[name]
