# SPDX-License-Identifier: Apache-2.0
"""What really happened, as a file that names nobody: hosts, tasks, where and when they ran, and how often they were refused.

A trace is JSON. Amounts are exact: integers, or ``a/b`` as text. Times are seconds from the beginning of the trace.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR
from hybrid_sched.core.resources import Number, Resources, exact
from hybrid_sched.simulation.engine import Run
from hybrid_sched.simulation.workload import (
    KINDS,
    Fields,
    SimulatedHost,
    SimulatedTask,
    WorkloadError,
    each_once,
    in_arrival_order,
    read_text,
)

_FORMAT, _VERSION = "hybrid-sched-trace", 1
_KIND_OF = {HYPERVISOR: "guest", CONTAINER: "container"}
_RATES = Resources._fields[2:]
_HOST_FIELDS = {"id", "score", *Resources._fields}
_TASK_FIELDS = {
    *("id", "kind", "arrival_s", "duration_s", "started_s", "host", "ended", "refusals", "moves"),
    *Resources._fields,
}


@dataclass(frozen=True, slots=True)
class TraceMove:
    """One move of a task that was done.

    :param at_s: when it was on its new host.
    :param host: to which it went.
    """

    at_s: float
    host: str


@dataclass(frozen=True, slots=True)
class TraceTask:
    """One task, and what became of it.

    :param task: what it asked for, when it came, and how long it runs: as long as it did, or to the end of the trace when it
        had not ended then; of one that never started a guess.
    :param host: on which it started; empty when it never did.
    :param started_s: when; None when it never did.
    :param ended: whether it ended within the trace.
    :param refusals: how often a scheduler found no host for it because of its framework's share.
    :param moves: of it, in their order.
    """

    task: SimulatedTask
    host: str = ""
    started_s: float | None = None
    ended: bool = True
    refusals: int = 0
    moves: tuple[TraceMove, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What happened in some time.

    :param hosts: that were there, in the order that breaks ties.
    :param weights: phi of ``hypervisor`` and ``container``.
    :param tasks: in the order of their arrival.
    """

    hosts: tuple[SimulatedHost, ...]
    weights: tuple[Number, ...]
    tasks: tuple[TraceTask, ...]

    @property
    def workload(self) -> tuple[SimulatedTask, ...]:
        """Give the tasks as they came."""
        return tuple(each.task for each in self.tasks)


def trace_of(
    hosts: Sequence[SimulatedHost],
    weights: Sequence[Number],
    runs: Sequence[Run],
    tasks: Sequence[SimulatedTask],
) -> Trace:
    """Give the trace of a simulation, as if it had happened.

    :param tasks: of the simulation; those that come at one time in their order.
    """
    of = {run.task.name: run for run in runs}
    return Trace(
        tuple(hosts),
        tuple(weights),
        tuple(
            TraceTask(task, of[task.name].host.name, of[task.name].started_s)
            for task in in_arrival_order(tasks)
        ),
    )


def write_trace(trace: Trace) -> str:
    """Give a trace as text; equal traces give equal text."""
    document = {
        "format": _FORMAT,
        "version": _VERSION,
        "weights": {
            name: _plain(weight) for name, weight in zip(FRAMEWORKS, trace.weights, strict=True)
        },
        "hosts": [
            {"id": host.name, **_amounts(host.capacity), "score": _plain(host.score)}
            for host in trace.hosts
        ],
        "tasks": [_written(each) for each in trace.tasks],
    }
    return json.dumps(document, indent=1) + "\n"


def _written(each: TraceTask) -> dict[str, Any]:
    task = each.task
    return {
        "id": task.name,
        "kind": _KIND_OF[task.framework],
        **_amounts(task.demand),
        "arrival_s": task.arrival_s,
        "duration_s": task.duration_s,
        "started_s": each.started_s,
        "host": each.host,
        "ended": each.ended,
        "refusals": each.refusals,
        "moves": [{"at_s": move.at_s, "host": move.host} for move in each.moves],
    }


def _amounts(amounts: Resources) -> dict[str, Any]:
    return {
        name: _plain(amount)
        for name, amount in amounts._asdict().items()
        if amount or name not in _RATES
    }


def _plain(number: Number) -> int | str:
    return number if isinstance(number, int) else str(number)


def read_trace(path: str) -> Trace:
    """Read a trace.

    :raises WorkloadError: when it cannot be read, or something in it is wrong; the entry and the field are named.
    """
    try:
        document = json.loads(read_text(path))
    except WorkloadError:
        raise
    except (ValueError, RecursionError) as error:
        raise WorkloadError(f"{path} is not JSON ({error}); give what export writes") from None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise WorkloadError(f"{path} is no trace; give what 'hybrid-sched-simulate export' writes")
    if document.get("version") != _VERSION:
        raise WorkloadError(
            f"{path}, field 'version': {document.get('version')!r} is unknown; this release reads {_VERSION}"
        )
    hosts = tuple(_read_host(row) for row in _rows(path, document, "hosts", _HOST_FIELDS))
    names = {host.name for host in hosts}
    tasks = [_read_task(row, names) for row in _rows(path, document, "tasks", _TASK_FIELDS)]
    tasks.sort(key=lambda each: each.task.arrival_s)
    return Trace(hosts, _read_weights(path, document.get("weights")), tuple(tasks))


def _rows(path: str, document: Mapping[str, Any], name: str, known: set[str]) -> Sequence[Fields]:
    rows = document.get(name)
    if not isinstance(rows, list) or not rows or not all(isinstance(each, dict) for each in rows):
        raise WorkloadError(f"{path}, field {name!r}: it is no list of objects, or is empty")
    return each_once(
        [Fields(f"{path}, {name} {number}", each) for number, each in enumerate(rows, 1)], known
    )


def _read_host(row: Fields) -> SimulatedHost:
    return SimulatedHost(row.text("id"), row.resources(positive=True), row.score())


def _read_weights(path: str, found: object) -> tuple[Number, ...]:
    weights = found if isinstance(found, dict) else {}
    try:
        numbers = tuple(exact(weights.get(name)) for name in FRAMEWORKS)
    except ValueError as error:
        raise WorkloadError(f"{path}, field 'weights': {error}") from None
    if min(numbers) <= 0:
        raise WorkloadError(f"{path}, field 'weights': each must be above 0")
    return numbers


def _read_task(row: Fields, hosts: set[str]) -> TraceTask:
    kind = row.text("kind")
    if kind not in KINDS:
        raise row.fault("kind", f"{kind!r} is unknown; write guest or container")
    task = SimulatedTask(
        row.text("id"),
        KINDS[kind],
        row.resources(positive=False),
        row.seconds("arrival_s", positive=False),
        row.seconds("duration_s", positive=True),
    )
    refusals = row.fields.get("refusals", 0)
    if not isinstance(refusals, int) or refusals < 0:
        raise row.fault("refusals", f"{refusals!r} is no count; give 0 or more")
    ended = row.fields.get("ended", True)
    if not isinstance(ended, bool):
        raise row.fault("ended", f"{ended!r} is not true or false")
    if row.fields.get("started_s") is None:
        return TraceTask(task, ended=False, refusals=refusals)
    started_s = row.seconds("started_s", positive=False)
    if started_s < task.arrival_s:
        raise row.fault("started_s", "it is before arrival_s; give that time or a later one")
    return TraceTask(
        task, _host(row, row.text("host"), hosts), started_s, ended, refusals, _moves(row, hosts)
    )


def _moves(row: Fields, hosts: set[str]) -> tuple[TraceMove, ...]:
    moves = row.fields.get("moves", [])
    if not isinstance(moves, list) or not all(isinstance(each, dict) for each in moves):
        raise row.fault("moves", "it is no list of objects with at_s and host")
    rows = [Fields(f"{row.where}, moves {number}", each) for number, each in enumerate(moves, 1)]
    return tuple(
        TraceMove(each.seconds("at_s", positive=False), _host(each, each.text("host"), hosts))
        for each in rows
    )


def _host(row: Fields, name: str, hosts: set[str]) -> str:
    if name not in hosts:
        raise row.fault("host", f"{name!r} is none of the trace's hosts")
    return name
