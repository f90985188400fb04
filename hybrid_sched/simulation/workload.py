# SPDX-License-Identifier: Apache-2.0
"""Hosts and tasks that are to be simulated, read from files or made by the paper's table 2."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR
from hybrid_sched.core.resources import Number, Resources, exact

_RATES = Resources._fields[2:]
#: That a file of tasks, or of hosts, must have.
TASK_COLUMNS = ("id", "kind", "vcpu", "memory_mb", "arrival_s", "duration_s")
HOST_COLUMNS = ("id", "vcpu", "memory_mb")
#: What a task may be called, and the framework that runs it.
KINDS = {"guest": HYPERVISOR, "container": CONTAINER, **{name: name for name in FRAMEWORKS}}
_LONGEST_S = 10.0**9


class WorkloadError(ValueError):
    """Input that cannot be simulated; the message names the file, the line, the field and the remedy."""


@dataclass(frozen=True, slots=True)
class SimulatedHost:
    """A host: its name, what may be declared on it, and its hardware score in (0, 1]."""

    name: str
    capacity: Resources
    score: Number = 1


@dataclass(frozen=True, slots=True)
class SimulatedTask:
    """A task that the simulator lets come, start and end.

    :param name: its id.
    :param framework: ``hypervisor`` for a guest, ``container`` for a container.
    :param demand: of it.
    :param arrival_s: when it comes.
    :param duration_s: how long it runs; policies do not know it.
    """

    name: str
    framework: str
    demand: Resources
    arrival_s: float
    duration_s: float


def read_hosts(path: str) -> tuple[SimulatedHost, ...]:
    """Read hosts from a CSV file with a header, or a JSON list of objects (a name that ends in ``.json``).

    Fields are ``id``, ``vcpu``, ``memory_mb``, and if wanted the rates and ``score``.

    :raises WorkloadError: when they cannot be read, or something in them is wrong.
    """
    rows = _json_rows(path) if path.endswith(".json") else csv_rows(path, HOST_COLUMNS)
    hosts: list[SimulatedHost] = []
    for row in each_once(rows, {*HOST_COLUMNS, *_RATES, "score"}):
        capacity = row.resources(positive=True)
        score = row.score()
        for rate in _RATES:
            if hosts and bool(getattr(capacity, rate)) != bool(getattr(hosts[0].capacity, rate)):
                raise row.fault(
                    rate, "some hosts declare it and some do not; give it to all or none"
                )
        hosts.append(SimulatedHost(row.text("id"), capacity, score))
    if not hosts:
        raise WorkloadError(f"{path} has no host; give one on each line")
    return tuple(hosts)


def read_tasks(path: str) -> tuple[SimulatedTask, ...]:
    """Read tasks from a CSV file with a header; the rates' columns may be left out.

    :raises WorkloadError: when they cannot be read, or something in them is wrong.
    """
    tasks = []
    for row in each_once(csv_rows(path, TASK_COLUMNS), {*TASK_COLUMNS, *_RATES}):
        kind = row.text("kind")
        if kind not in KINDS:
            raise row.fault("kind", f"{kind!r} is unknown; write guest or container")
        tasks.append(
            SimulatedTask(
                row.text("id"),
                KINDS[kind],
                row.resources(positive=False),
                row.seconds("arrival_s", positive=False),
                row.seconds("duration_s", positive=True),
            )
        )
    if not tasks:
        raise WorkloadError(f"{path} has no task; give one on each line")
    return tuple(tasks)


def check_room(tasks: Sequence[SimulatedTask], hosts: Sequence[SimulatedHost], path: str) -> None:
    """See that each task fits on some host that has nothing else. A rate that no host declares is not rationed.

    :param path: of the tasks' file.
    :raises WorkloadError: naming the first that does not.
    """
    declared = rationed_resources(hosts)
    shapes = {host.capacity for host in hosts}
    for task in tasks:
        if not any(all(task.demand[r] <= shape[r] for r in declared) for shape in shapes):
            asked = ", ".join(
                f"{float(amount):g} {name}" for name, amount in task.demand.declared().items()
            )
            raise WorkloadError(
                f"{path}: task {task.name!r} asks for {asked}, which no host has even when it is empty; "
                "make it smaller or add a larger host"
            )


def rationed_resources(hosts: Sequence[SimulatedHost]) -> tuple[int, ...]:
    """Give the resources that hosts declare, as indices into ``Resources``."""
    return tuple(r for r in range(len(Resources._fields)) if all(h.capacity[r] for h in hosts))


@dataclass(frozen=True, slots=True)
class Fields:
    """One line or object of a file, whose fields are read one by one.

    :param where: it is, for people.
    :param fields: by name, as they stand there.
    """

    where: str
    fields: Mapping[str, object]

    def fault(self, field: str, text: str) -> WorkloadError:
        """Make the error that names a field."""
        return WorkloadError(f"{self.where}, field {field!r}: {text}")

    def text(self, field: str) -> str:
        """Read text that is not empty."""
        value = self.fields.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.fault(field, "it is empty or no text; give one")
        return value.strip()

    def number(self, field: str) -> Number:
        """Read an exact number."""
        value = self.fields.get(field)
        try:
            return exact(value.strip() if isinstance(value, str) else value)
        except ValueError as error:
            raise self.fault(field, str(error)) from None

    def score(self) -> Number:
        """Read ``score``; 1 without it."""
        score = self.number("score") if "score" in self.fields else 1
        if not 0 < score <= 1:
            raise self.fault("score", f"{score} is not above 0 and at most 1; give such a number")
        return score

    def resources(self, *, positive: bool) -> Resources:
        """Read vcpu, memory_mb and the rates.

        :param positive: whether vcpu and memory_mb have to be above 0.
        """
        amounts = {
            name: self.number(name)
            for name in Resources._fields
            if name in self.fields or name not in _RATES
        }
        for name, amount in amounts.items():
            if amount < 0 or (positive and not amount and name not in _RATES):
                least = "above 0" if positive else "0 or more"
                raise self.fault(name, f"{amount} is too small; give a number of {least}")
        resources = Resources(**amounts)
        if not any(resources[:2]):
            raise self.fault("vcpu", "vcpu and memory_mb are both 0; give one of them")
        return resources

    def seconds(self, field: str, *, positive: bool) -> float:
        """Read a time or a length.

        :param positive: whether it has to be above 0.
        """
        value = float(self.number(field))
        if not (0 <= value <= _LONGEST_S and (value or not positive)):
            least = "above 0" if positive else "of 0 or more"
            raise self.fault(field, f"{value:g} is out of range; give seconds {least}, at most 1e9")
        return value


def read_text(path: str) -> str:
    """Read a file.

    :raises WorkloadError: when it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise WorkloadError(f"cannot read {path}: {error.strerror}; name a file") from None
    except UnicodeDecodeError:
        raise WorkloadError(f"{path} is not text in UTF-8; write it anew in UTF-8") from None


def csv_rows(path: str, needed: Sequence[str]) -> list[Fields]:
    """Read the lines of a CSV file with a header.

    :param needed: columns that it must have; it may have others.
    :raises WorkloadError: when it cannot be read.
    """
    lines = csv.reader(io.StringIO(read_text(path)), strict=True)
    rows = []
    try:
        header = [name.strip() for name in next(lines, [])]
        for column in needed:
            if column not in header:
                raise WorkloadError(
                    f"{path}, line 1, field {column!r}: the header lacks it; write {','.join(needed)} and further columns"
                )
        for fields in lines:
            if not fields:
                continue
            where = f"{path}, line {lines.line_num}"
            if len(fields) != len(header):
                short = header[len(fields)] if len(fields) < len(header) else header[-1]
                raise WorkloadError(
                    f"{where}, field {short!r}: it has {len(fields)} fields and the header {len(header)}; give each a value"
                )
            rows.append(Fields(where, dict(zip(header, fields, strict=True))))
        if len(set(header)) != len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise WorkloadError(f"{path}, line 1, field {twice!r}: it is there twice; keep one")
    except csv.Error as error:
        raise WorkloadError(
            f"{path}, line {lines.line_num}: it is not CSV ({error}); separate fields by commas"
        ) from None
    return rows


def _json_rows(path: str) -> list[Fields]:
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, WorkloadError):
            raise
        raise WorkloadError(f"{path} is not JSON ({error}); write a list of hosts") from None
    if not isinstance(document, list) or not all(isinstance(each, dict) for each in document):
        raise WorkloadError(f'{path} is no JSON list of objects; write [{{"id": ...}}, ...]')
    return [Fields(f"{path}, entry {number}", each) for number, each in enumerate(document, 1)]


def each_once(rows: Sequence[Fields], known: set[str]) -> Sequence[Fields]:
    """Give the rows again once it is seen that each ``id`` is there once.

    :param known: fields that a row may have.
    :raises WorkloadError: for a field that is unknown, or an id that is there twice.
    """
    seen: dict[str, str] = {}
    for row in rows:
        for field in row.fields:
            if field not in known:
                raise row.fault(field, f"it is unknown; use {', '.join(sorted(known))}")
        name = row.text("id")
        if name in seen:
            raise row.fault("id", f"{name!r} is at {seen[name]} too; give each its own")
        seen[name] = row.where
    return rows


def in_arrival_order(tasks: Sequence[SimulatedTask]) -> list[SimulatedTask]:
    """Sort tasks by arrival; those that come at one time keep their order."""
    return sorted(tasks, key=lambda task: task.arrival_s)


def lower_bound_s(tasks: Sequence[SimulatedTask], hosts: Sequence[SimulatedHost]) -> float:
    """Give a time before which no policy can have ended all tasks, counted from the first arrival.

    For every time t at which a task comes: what comes from t on takes, of each resource, at least its amount times its duration
    over all hosts' capacity. And no task ends before its arrival and its duration.
    """
    begin = min(task.arrival_s for task in tasks)
    bound = max(task.arrival_s + task.duration_s for task in tasks)
    latest_first = sorted(tasks, key=lambda each: -each.arrival_s)
    for resource in range(len(Resources._fields)):
        capacity = float(sum(host.capacity[resource] for host in hosts))
        work = 0.0
        for task in latest_first if capacity else ():
            work += float(task.demand[resource]) * task.duration_s
            bound = max(bound, task.arrival_s + work / capacity)
    # Rounding must not lift it above what is possible.
    return (bound - begin) * (1 - 1e-12)
