# SPDX-License-Identifier: Apache-2.0
"""What the agent must know after a restart, and its form in a file: plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hybrid_sched.agent.clock import Instant
from hybrid_sched.agent.rates import Counters, Look
from hybrid_sched.agent.records import (
    FirstSight,
    Record,
    first_sight_from_json,
    first_sight_to_json,
    record_from_json,
    record_to_json,
)
from hybrid_sched.core.hardware import Hardware
from hybrid_sched.core.resources import Number, exact
from hybrid_sched.rpc.isolation import HostEvent, event_from_wire, event_to_wire
from hybrid_sched.rpc.wire import Wire, number_to_wire


@dataclass(frozen=True, slots=True)
class Totals:
    """What the host has, as the sources told it last.

    :param cpus: CPUs.
    :param memory_mb: memory.
    :param hardware: what it is made of.
    """

    cpus: int
    memory_mb: int
    hardware: Hardware = field(default_factory=Hardware)


@dataclass(frozen=True, slots=True)
class Order:
    """The newest order of the engine to squeeze CPU weights.

    :param term: of the engine that gave it; grows with each change of the leading engine.
    :param factors: by framework, above 0 and at most 1.
    :param taken_at: when it came; None before the first.
    """

    term: int = 0
    factors: Mapping[str, Number] = field(default_factory=dict)
    taken_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Squeeze:
    """What is done to the tasks that one isolator reaches.

    :param factor: that all of them were last brought to; 1 when they are not squeezed.
    :param originals: CPU weight of each before it was squeezed, by uuid.
    """

    factor: Number = 1
    originals: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """All of it, immutable.

    Tasks are not in it: those of a source that fails are the engine's to remember (``unknown_frameworks`` of a report).

    :param boot_id: identifies this life of the state; a new one starts when the file is lost.
    :param sequence: number of the last report.
    :param totals: None until they have been seen once.
    :param looks: last counters of each source.
    :param order: the newest order to squeeze.
    :param squeezes: by name of the isolator.
    :param first_sights: of tasks whose declaration is read from what an isolator may alter, by uuid.
    :param records: of the limits of tasks, by name of the isolator, then by uuid.
    :param applied: limits that were set because something was new, by aspect.
    :param repaired: limits that were set again because something else had changed them, by aspect.
    :param events: what happened to tasks lately, the oldest first.
    :param unsent: reports that the broker has not taken, the oldest first, as messages.
    """

    boot_id: str
    sequence: int = 0
    totals: Totals | None = None
    looks: Mapping[str, Look] = field(default_factory=dict)
    order: Order = field(default_factory=Order)
    squeezes: Mapping[str, Squeeze] = field(default_factory=dict)
    first_sights: Mapping[str, FirstSight] = field(default_factory=dict)
    records: Mapping[str, Mapping[str, Record]] = field(default_factory=dict)
    applied: Mapping[str, int] = field(default_factory=dict)
    repaired: Mapping[str, int] = field(default_factory=dict)
    events: tuple[HostEvent, ...] = ()
    unsent: tuple[Wire, ...] = ()


def state_to_json(state: State) -> dict[str, Any]:
    """Write a state."""
    return {
        "boot_id": state.boot_id,
        "sequence": state.sequence,
        "totals": None
        if state.totals is None
        else {
            "cpus": state.totals.cpus,
            "memory_mb": state.totals.memory_mb,
            "cpu_model": state.totals.hardware.cpu_model,
            "memory_kind": state.totals.hardware.memory_kind,
        },
        "looks": {
            source: {
                "at": _instant_to_json(look.at),
                "host": _counters_to_json(look.host),
                "tasks": {uuid: _counters_to_json(task) for uuid, task in look.tasks.items()},
            }
            for source, look in state.looks.items()
        },
        "order": {
            "term": state.order.term,
            "factors": _numbers_to_json(state.order.factors),
            "taken_at": state.order.taken_at and _instant_to_json(state.order.taken_at),
        },
        "squeezes": {
            isolator: {
                "factor": number_to_wire(squeeze.factor),
                "originals": dict(squeeze.originals),
            }
            for isolator, squeeze in state.squeezes.items()
        },
        "first_sights": {
            uuid: first_sight_to_json(sight) for uuid, sight in state.first_sights.items()
        },
        "records": {
            isolator: {uuid: record_to_json(record) for uuid, record in records.items()}
            for isolator, records in state.records.items()
        },
        "applied": dict(state.applied),
        "repaired": dict(state.repaired),
        "events": [event_to_wire(event) for event in state.events],
        "unsent": list(state.unsent),
    }


def state_from_json(written: Mapping[str, Any]) -> State:
    """Read a state.

    :raises KeyError, TypeError, ValueError, AttributeError: when another program or version wrote it.
    """
    totals, order = written["totals"], written["order"]
    # What an earlier release did not write is empty.
    records, sights = written.get("records", {}), written.get("first_sights", {})
    return State(
        boot_id=written["boot_id"],
        sequence=written["sequence"],
        totals=None
        if totals is None
        else Totals(
            totals["cpus"],
            totals["memory_mb"],
            Hardware(totals["cpu_model"], totals["memory_kind"]),
        ),
        looks={
            source: Look(
                Instant(*look["at"]),
                Counters(**look["host"]),
                {uuid: Counters(**task) for uuid, task in look["tasks"].items()},
            )
            for source, look in written["looks"].items()
        },
        order=Order(
            order["term"],
            _numbers_from_json(order["factors"]),
            order["taken_at"] and Instant(*order["taken_at"]),
        ),
        squeezes={
            isolator: Squeeze(exact(squeeze["factor"]), squeeze["originals"])
            for isolator, squeeze in written["squeezes"].items()
        },
        first_sights={uuid: first_sight_from_json(sight) for uuid, sight in sights.items()},
        records={
            isolator: {uuid: record_from_json(record) for uuid, record in of_tasks.items()}
            for isolator, of_tasks in records.items()
        },
        applied=dict(written.get("applied", {})),
        repaired=dict(written.get("repaired", {})),
        events=tuple(event_from_wire(event, "events") for event in written.get("events", ())),
        unsent=tuple(written["unsent"]),
    )


def _instant_to_json(instant: Instant) -> list[Any]:
    return [instant.kernel_boot_id, instant.boottime_s]


def _counters_to_json(counters: Counters) -> dict[str, Any]:
    return {"values": dict(counters.values), "life": counters.life}


def _numbers_to_json(numbers: Mapping[str, Number]) -> dict[str, int | str]:
    return {name: number_to_wire(number) for name, number in numbers.items()}


def _numbers_from_json(written: Mapping[str, object]) -> dict[str, Number]:
    return {name: exact(number) for name, number in written.items()}
