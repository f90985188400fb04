# SPDX-License-Identifier: Apache-2.0
"""What agents and plug-ins send, and its form on the wire: plain JSON, exact numbers as integers or ``"a/b"``.

Every field is checked; whatever does not fit is refused by its name. The figures of tasks alone are packed
(:mod:`hybrid_sched.rpc.task_figures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybrid_sched.core.cluster import FRAMEWORKS, Task
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.hardware import UNKNOWN, Hardware
from hybrid_sched.core.resources import Number, Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import task_figures, wire
from hybrid_sched.rpc.isolation import IsolationReport, isolation_from_wire, isolation_to_wire
from hybrid_sched.rpc.wire import BadMessage, Wire, number_to_wire

__all__ = [
    "BadMessage",
    "HostReport",
    "ReportReader",
    "Wire",
    "decision_from_wire",
    "decision_to_wire",
    "number_to_wire",
    "report_from_wire",
    "report_to_wire",
    "request_from_wire",
    "request_to_wire",
]

MAX_TASKS = 10_000
MAX_COUNT = 10_000
MAX_SOURCES = 32
MAX_LISTED_HOSTS = 10_000
LONGEST_NAME = 255
LONGEST_TEXT = 2_000
_LONGEST_SEQUENCE = 2**53
_MOST_HOSTS_REMEMBERED = 50_000
_MOST_CPUS = 2**20


@dataclass(frozen=True, slots=True)
class HostReport:
    """What an agent tells of its host each period.

    :param host: the name under which Nova and Zun know the host.
    :param boot_id: identifies one life of the agent's replica; a new one starts a new count of ``sequence``.
    :param sequence: grows with each report of one life.
    :param sampled_at_s: Unix time on the host at which the figures were taken.
    :param capacity: what may be declared on the host.
    :param cpus: CPUs that the host has.
    :param memory_mb: memory that the host has.
    :param hardware: what it is made of.
    :param tasks: guests and containers that hold resources.
    :param measured: figures of the host by name (:mod:`hybrid_sched.core.measures`).
    :param task_measured: figures of tasks, by the task's uuid, then by name; those of tasks that are not in ``tasks`` are not
        sent.
    :param squeezed: factor, below 1, by which the CPU weights of a framework's tasks are reduced now.
    :param faults: a sentence for each source or isolator that failed.
    :param isolation: how the limits of its tasks are held.
    :param unknown_frameworks: those whose tasks could not be listed; they are not in ``tasks``.
    :param version: of the agent; empty from one that does not tell it.
    """

    host: str
    boot_id: str
    sequence: int
    sampled_at_s: float
    capacity: Resources
    cpus: int
    memory_mb: int
    hardware: Hardware = UNKNOWN
    tasks: tuple[Task, ...] = ()
    measured: Mapping[str, float] = field(default_factory=dict)
    task_measured: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    squeezed: Mapping[str, Number] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    isolation: IsolationReport = field(default_factory=IsolationReport)
    unknown_frameworks: tuple[str, ...] = ()
    version: str = ""


def report_to_wire(report: HostReport) -> Wire:
    """Write a report."""
    return {
        "host": report.host,
        "boot_id": report.boot_id,
        "sequence": report.sequence,
        "sampled_at_s": report.sampled_at_s,
        "capacity": wire.resources_to_wire(report.capacity),
        "cpus": report.cpus,
        "memory_mb": report.memory_mb,
        "hardware": {
            "cpu_model": report.hardware.cpu_model,
            "memory_kind": report.hardware.memory_kind,
        },
        "tasks": [task_to_wire(task) for task in report.tasks],
        "measured": dict(report.measured),
        "task_measured": task_figures.to_wire(
            report.task_measured, [task.uuid for task in report.tasks]
        ),
        "squeezed": {name: number_to_wire(factor) for name, factor in report.squeezed.items()},
        "faults": list(report.faults),
        "isolation": isolation_to_wire(report.isolation),
        "unknown_frameworks": list(report.unknown_frameworks),
        "version": report.version,
    }


class ReportReader:
    """Read and check reports. What a host's tasks are is read anew only when it differs from its last report.

    It is for one thread at a time.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, tuple[object, tuple[Task, ...]]] = {}

    def read(self, message: object) -> HostReport:
        """Read one.

        :raises BadMessage: when any field is missing or wrong; its name is in the text.
        """
        fields = wire.mapping(message, "report")
        host = _name(fields, "host")
        entries = _need(fields, "tasks")
        known, tasks = self._tasks.get(host, (None, ()))
        if entries != known:
            tasks = _tasks_from_wire(entries)
            if len(self._tasks) >= _MOST_HOSTS_REMEMBERED:
                self._tasks.clear()
            self._tasks[host] = entries, tasks
        return _report_from_wire(fields, tasks)


def report_from_wire(message: object) -> HostReport:
    """Read and check one report.

    :raises BadMessage: when any field is missing or wrong; its name is in the text.
    """
    return ReportReader().read(message)


def _tasks_from_wire(message: object) -> tuple[Task, ...]:
    tasks: dict[str, Task] = {}
    for index, entry in enumerate(wire.sequence(message, "tasks", MAX_TASKS)):
        try:
            task = _task_from_wire(entry)
            if task.uuid in tasks:
                raise BadMessage(f"uuid: {task.uuid} is there twice")
        except BadMessage as fault:
            raise BadMessage(f"tasks[{index}].{fault}") from None
        tasks[task.uuid] = task
    return tuple(tasks.values())


def _report_from_wire(fields: Mapping[str, Any], tasks: tuple[Task, ...]) -> HostReport:
    hardware = wire.mapping(fields.get("hardware", {}), "hardware")
    squeezed = wire.mapping(fields.get("squeezed", {}), "squeezed")
    return HostReport(
        host=_name(fields, "host"),
        boot_id=_name(fields, "boot_id"),
        sequence=wire.integer(_need(fields, "sequence"), "sequence", 0, _LONGEST_SEQUENCE),
        sampled_at_s=wire.measure(_need(fields, "sampled_at_s"), "sampled_at_s"),
        capacity=wire.resources_from_wire(_need(fields, "capacity"), "capacity"),
        cpus=wire.integer(_need(fields, "cpus"), "cpus", 1, _MOST_CPUS),
        memory_mb=wire.integer(_need(fields, "memory_mb"), "memory_mb", 1, wire.LARGEST),
        hardware=Hardware(
            *(
                wire.text(
                    hardware.get(name, ""), f"hardware.{name}", LONGEST_NAME, may_be_empty=True
                )
                for name in ("cpu_model", "memory_kind")
            )
        ),
        tasks=tasks,
        measured=_figures(fields.get("measured", {}), "measured"),
        task_measured=task_figures.from_wire(
            fields.get("task_measured", {}), "task_measured", [task.uuid for task in tasks]
        ),
        squeezed={
            wire.text(name, "squeezed", LONGEST_NAME): _factor(factor, f"squeezed.{name[:64]}")
            for name, factor in squeezed.items()
        },
        faults=_texts(fields, "faults", LONGEST_TEXT),
        isolation=isolation_from_wire(fields.get("isolation", {}), "isolation"),
        unknown_frameworks=_texts(fields, "unknown_frameworks", LONGEST_NAME),
        version=wire.text(fields.get("version", ""), "version", LONGEST_NAME, may_be_empty=True),
    )


def _factor(value: object, field_name: str) -> Number:
    factor = wire.number_from_wire(value, field_name)
    if factor > 1:
        raise BadMessage(f"{field_name}: {value!r} is more than 1")
    return factor


def _figures(message: object, where: str) -> dict[str, float]:
    fields = wire.mapping(message, where)
    if len(fields) > task_figures.MAX_FIGURES:
        raise BadMessage(
            f"{where}: {len(fields)} figures, at most {task_figures.MAX_FIGURES} are taken"
        )
    try:
        return {
            wire.text(name, "name", 64): wire.measure(figure, name)
            for name, figure in fields.items()
        }
    except BadMessage as fault:
        raise BadMessage(f"{where}.{str(fault)[:LONGEST_TEXT]}") from None


def task_to_wire(task: Task) -> Wire:
    """Write one task; what is not known of it is left out."""
    known = {
        "name": task.name,
        "state": task.state,
        "created_at_s": task.created_at_s,
        "movable": task.movable,
    }
    return {
        "uuid": task.uuid,
        "framework": task.framework,
        "demand": wire.resources_to_wire(task.demand),
        **_promise_to_wire(task),
        **{name: value for name, value in known.items() if value},
    }


def _promise_to_wire(task: Task) -> Wire:
    if task.promised is None or task.promised == task.demand:
        return {}
    return {"promised": wire.resources_to_wire(task.promised)}


def _task_from_wire(message: object) -> Task:
    fields = wire.mapping(message, "task")
    framework = _name(fields, "framework")
    if framework not in FRAMEWORKS:
        known = " or ".join(FRAMEWORKS)
        raise BadMessage(f"framework: {framework!r} is unknown: send {known}")
    return Task(
        uuid=_name(fields, "uuid"),
        framework=framework,
        demand=wire.resources_from_wire(_need(fields, "demand"), "demand"),
        name=wire.text(fields.get("name", ""), "name", LONGEST_NAME, may_be_empty=True),
        state=wire.text(fields.get("state", ""), "state", 64, may_be_empty=True),
        created_at_s=wire.measure(fields.get("created_at_s", 0.0), "created_at_s"),
        movable=wire.flag(fields.get("movable", False), "movable"),
        promised=wire.resources_from_wire(fields["promised"], "promised")
        if "promised" in fields
        else None,
    )


def request_to_wire(request: Request) -> Wire:
    """Write a request for a reservation."""
    return {
        "uuid": request.uuid,
        "framework": request.framework,
        "demand": wire.resources_to_wire(request.demand),
        "count": request.count,
        "is_move": request.is_move,
    }


def request_from_wire(message: object) -> Request:
    """Read and check a request for a reservation.

    :raises BadMessage: when any field is missing or wrong; its name is in the text.
    """
    fields = wire.mapping(message, "request")
    return Request(
        uuid=_name(fields, "uuid"),
        framework=_name(fields, "framework"),
        demand=wire.resources_from_wire(_need(fields, "demand"), "demand"),
        count=wire.integer(_need(fields, "count"), "count", 1, MAX_COUNT),
        is_move=wire.flag(_need(fields, "is_move"), "is_move"),
    )


def decision_to_wire(decision: Decision) -> Wire:
    """Write a decision."""
    return {
        "request_uuid": decision.request_uuid,
        "framework": decision.framework,
        "demand": wire.resources_to_wire(decision.demand),
        "stage": decision.stage.value,
        "decided_at_s": decision.decided_at_s,
        "snapshot_version": decision.snapshot_version,
        "snapshot_age_s": decision.snapshot_age_s,
        "hosts": list(decision.hosts),
        "refused": dict(decision.refused),
        "refused_by_share": decision.refused_by_share,
        "pool": decision.pool,
        "text": decision.text,
        "weights": [number_to_wire(weight) for weight in decision.weights],
        "more_hosts": decision.more_hosts,
        "more_refused": decision.more_refused,
    }


def decision_from_wire(message: object) -> Decision:
    """Read and check a decision; what peers of earlier releases do not send is empty.

    :raises BadMessage: when any field is missing or wrong; its name is in the text.
    """
    fields = wire.mapping(message, "decision")
    stage = wire.text(_need(fields, "stage"), "stage", 32)
    if stage not in list(Stage):
        raise BadMessage(f"stage: {stage!r} is unknown: send one of {', '.join(Stage)}")
    version, age_s = fields.get("snapshot_version"), fields.get("snapshot_age_s")
    refused = wire.mapping(fields.get("refused", {}), "refused")
    if len(refused) > MAX_LISTED_HOSTS:
        raise BadMessage(f"refused: {len(refused)} hosts, at most {MAX_LISTED_HOSTS} are taken")
    hosts = wire.sequence(fields.get("hosts", []), "hosts", MAX_LISTED_HOSTS)
    weights = wire.sequence(fields.get("weights", []), "weights", MAX_LISTED_HOSTS)
    if weights and len(weights) != len(hosts):
        raise BadMessage(f"weights: {len(weights)} for {len(hosts)} hosts: send one each or none")
    return Decision(
        request_uuid=_name(fields, "request_uuid"),
        framework=_name(fields, "framework"),
        demand=wire.resources_from_wire(_need(fields, "demand"), "demand"),
        stage=Stage(stage),
        decided_at_s=wire.measure(_need(fields, "decided_at_s"), "decided_at_s"),
        snapshot_version=None
        if version is None
        else wire.integer(version, "snapshot_version", 0, _LONGEST_SEQUENCE),
        snapshot_age_s=None if age_s is None else wire.measure(age_s, "snapshot_age_s"),
        hosts=tuple(wire.text(host, "hosts", LONGEST_NAME) for host in hosts),
        refused={
            wire.text(host, "refused", LONGEST_NAME): wire.text(reason, "refused", LONGEST_TEXT)
            for host, reason in refused.items()
        },
        text=wire.text(fields.get("text", ""), "text", LONGEST_TEXT, may_be_empty=True),
        refused_by_share=wire.flag(fields.get("refused_by_share", False), "refused_by_share"),
        pool=wire.text(fields.get("pool", ""), "pool", LONGEST_NAME, may_be_empty=True),
        weights=tuple(_signed_from_wire(weight, "weights") for weight in weights),
        more_hosts=wire.integer(fields.get("more_hosts", 0), "more_hosts", 0, _LONGEST_SEQUENCE),
        more_refused=wire.integer(
            fields.get("more_refused", 0), "more_refused", 0, _LONGEST_SEQUENCE
        ),
    )


def _signed_from_wire(value: object, name: str) -> Number:
    """Read a weight, which may be negative."""
    if type(value) is int and value < 0:
        return -wire.number_from_wire(-value, name)
    if isinstance(value, str) and value.startswith("-"):
        return -wire.number_from_wire(value[1:], name)
    return wire.number_from_wire(value, name)


def _need(fields: Mapping[str, Any], name: str) -> Any:
    if name not in fields:
        raise BadMessage(f"{name} is missing")
    return fields[name]


def _name(fields: Mapping[str, Any], name: str) -> str:
    return wire.text(_need(fields, name), name, LONGEST_NAME)


def _texts(fields: Mapping[str, Any], name: str, longest: int) -> tuple[str, ...]:
    entries = wire.sequence(fields.get(name, []), name, MAX_SOURCES)
    return tuple(wire.text(entry, name, longest) for entry in entries)
