# SPDX-License-Identifier: Apache-2.0
"""What a report tells of the limits of a host's tasks, and its form on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybrid_sched.rpc import wire
from hybrid_sched.rpc.wire import BadMessage, Wire

#: The kernel ended a process of a task, because the task reached its memory limit.
OOM_KILL = "oom_kill"
#: The events of a host that are kept and reported, the newest.
MOST_EVENTS = 50
#: The sentences of one kind that a report takes.
MOST_SENTENCES = 32
_MOST_ASPECTS = 64
_LONGEST_TEXT = 2_000
_LONGEST_NAME = 255
_MOST = 2**53


@dataclass(frozen=True, slots=True)
class HostEvent:
    """Something that happened to a task once.

    :param uuid: of the task.
    :param kind: ``oom_kill``.
    :param at_s: Unix time at which it was noticed.
    """

    uuid: str
    kind: str
    at_s: float


@dataclass(frozen=True, slots=True)
class IsolationReport:
    """How the limits of a host's tasks are held.

    :param mode: ``off``, ``observe`` or ``enforce``; empty from an agent that does not tell.
    :param applied: limits that were set because a task or its surroundings were new, since the replica began, by aspect.
    :param repaired: limits that were set again because something else had changed them, since the replica began, by aspect.
    :param pending: limits that differ now and are not set, by aspect: what ``enforce`` would do.
    :param missing: a sentence for each declared kind of limit that nothing on the host can hold.
    :param events: what happened to tasks, the oldest first.
    """

    mode: str = ""
    applied: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    pending: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    events: tuple[HostEvent, ...] = ()


def isolation_to_wire(isolation: IsolationReport) -> Wire:
    """Write it."""
    return {
        "mode": isolation.mode,
        "applied": dict(isolation.applied),
        "repaired": dict(isolation.repaired),
        "pending": dict(isolation.pending),
        "missing": list(isolation.missing),
        "events": [event_to_wire(event) for event in isolation.events],
    }


def event_to_wire(event: HostEvent) -> Wire:
    """Write an event."""
    return {"uuid": event.uuid, "kind": event.kind, "at_s": event.at_s}


def isolation_from_wire(message: object, where: str) -> IsolationReport:
    """Read and check it; what is not there is empty.

    :param where: name of the field, for the error.
    :raises BadMessage: when any field is wrong; its name is in the text.
    """
    fields = wire.mapping(message, where)
    missing = wire.sequence(fields.get("missing", []), f"{where}.missing", MOST_SENTENCES)
    events = wire.sequence(fields.get("events", []), f"{where}.events", MOST_EVENTS)
    return IsolationReport(
        mode=wire.text(fields.get("mode", ""), f"{where}.mode", 64, may_be_empty=True),
        applied=_counts(fields.get("applied", {}), f"{where}.applied"),
        repaired=_counts(fields.get("repaired", {}), f"{where}.repaired"),
        pending=_counts(fields.get("pending", {}), f"{where}.pending"),
        missing=tuple(wire.text(each, f"{where}.missing", _LONGEST_TEXT) for each in missing),
        events=tuple(event_from_wire(each, f"{where}.events") for each in events),
    )


def event_from_wire(message: object, where: str) -> HostEvent:
    """Read and check an event.

    :param where: name of the field, for the error.
    :raises BadMessage: when any field is missing or wrong; its name is in the text.
    """
    fields = wire.mapping(message, where)
    for name in ("uuid", "kind", "at_s"):
        if name not in fields:
            raise BadMessage(f"{where}.{name} is missing")
    return HostEvent(
        wire.text(fields["uuid"], f"{where}.uuid", _LONGEST_NAME),
        wire.text(fields["kind"], f"{where}.kind", 64),
        wire.measure(fields["at_s"], f"{where}.at_s"),
    )


def _counts(message: object, where: str) -> dict[str, int]:
    fields = wire.mapping(message, where)
    if len(fields) > _MOST_ASPECTS:
        raise BadMessage(f"{where}: {len(fields)} aspects, at most {_MOST_ASPECTS} are taken")
    return {
        wire.text(name, where, 64): wire.integer(count, f"{where}.{name[:64]}", 0, _MOST)
        for name, count in fields.items()
    }
