# SPDX-License-Identifier: Apache-2.0
"""What the agent remembers of the limits of tasks, and its form in the replica: plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.core.resources import exact
from hybrid_sched.declared import declaration_from_json, declaration_to_json
from hybrid_sched.rpc.wire import number_to_wire


@dataclass(frozen=True, slots=True)
class Record:
    """The limits of one task with one isolator.

    :param made: identifies the making of the task that ``before`` is of; with another one all of this is void.
    :param before: what limited it before it was touched, in the aspects of ``touched``.
    :param touched: what was set since, and must be put back when the host is released.
    :param life: within which ``confirmed`` holds.
    :param confirmed: what was seen to be held as it should be.
    :param held: what it should be, in the aspects of ``confirmed``.
    :param settled: what was read back then: the kernel rounds.
    """

    made: str
    before: Limits = field(default_factory=Limits)
    touched: frozenset[Aspect] = frozenset()
    life: str = ""
    confirmed: frozenset[Aspect] = frozenset()
    held: Limits = field(default_factory=Limits)
    settled: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class FirstSight:
    """What a task declared when it was seen first.

    :param backend_id: under which its back end made it; with another one it is another task.
    :param declaration: as it was then.
    """

    backend_id: str
    declaration: Declaration


def record_to_json(record: Record) -> dict[str, Any]:
    """Write a record."""
    return {
        "made": record.made,
        "before": limits_to_json(record.before),
        "touched": sorted(record.touched),
        "life": record.life,
        "confirmed": sorted(record.confirmed),
        "held": limits_to_json(record.held),
        "settled": limits_to_json(record.settled),
    }


def record_from_json(written: Mapping[str, Any]) -> Record:
    """Read a record.

    :raises KeyError, TypeError, ValueError, AttributeError: when it is none.
    """
    return Record(
        made=written["made"],
        before=limits_from_json(written["before"]),
        touched=frozenset(Aspect(name) for name in written["touched"]),
        life=written["life"],
        confirmed=frozenset(Aspect(name) for name in written["confirmed"]),
        held=limits_from_json(written["held"]),
        settled=limits_from_json(written["settled"]),
    )


def limits_to_json(limits: Limits) -> dict[str, Any]:
    """Write the limits that there are; CPUs as a sorted list, a fraction as ``"a/b"``."""
    return {
        aspect.value: shown(value)
        for aspect in Aspect
        if (value := getattr(limits, aspect)) is not None
    }


def limits_from_json(written: Mapping[str, Any]) -> Limits:
    """Read limits.

    :raises TypeError, ValueError, AttributeError: when they are none.
    """
    values = dict(written)
    if Aspect.CPU_QUOTA in values:
        values[Aspect.CPU_QUOTA] = exact(values[Aspect.CPU_QUOTA])
    if Aspect.CPUS in values:
        values[Aspect.CPUS] = frozenset(values[Aspect.CPUS])
    return Limits(**{str(name): value for name, value in values.items()})


def shown(value: object) -> Any:
    """Give the value of a limit in JSON."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, int | Fraction):
        return number_to_wire(value)
    return value


def first_sight_to_json(sight: FirstSight) -> dict[str, Any]:
    """Write a declaration."""
    return {
        "backend_id": sight.backend_id,
        "declaration": declaration_to_json(sight.declaration),
    }


def first_sight_from_json(written: Mapping[str, Any]) -> FirstSight:
    """Read a declaration.

    :raises KeyError, TypeError, ValueError, AttributeError: when it is none.
    """
    return FirstSight(written["backend_id"], declaration_from_json(written["declaration"]))
