# SPDX-License-Identifier: Apache-2.0
"""From two looks at counters to rates: pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hybrid_sched.agent.clock import Instant
from hybrid_sched.core.measures import RATE_OF_COUNTER, RATES_OVER_S

#: The kernel counts CPU time in ticks of 10 ms, and a busy host delays a look by some: over less than this a rate would tell of
#: them rather than of use. Below the shortest period.
SHORTEST_WINDOW_S = 0.4


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of the host or of one task at one moment.

    :param values: by the names of ``RATE_OF_COUNTER``.
    :param life: within which they only grow.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    life: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """All counters that one source gave at one moment.

    :param at: the moment.
    :param host: of the host.
    :param tasks: of tasks, by uuid.
    """

    at: Instant
    host: Counters = field(default_factory=Counters)
    tasks: Mapping[str, Counters] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rates:
    """What two looks tell.

    :param host: rates of the host, by the values of ``RATE_OF_COUNTER``.
    :param tasks: rates of tasks, by uuid, with the time that they are over (``RATES_OVER_S``); a task of which nothing can be
        told is left out.
    """

    host: Mapping[str, float] = field(default_factory=dict)
    tasks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def between(before: Look | None, after: Look) -> Rates:
    """Work out the mean rates from one look to another, over the true time between them, however long that was.

    There is no rate where it would be a guess: on a first look, after a reboot, for a task that began a new life, for a counter
    that went back, or when less than ``SHORTEST_WINDOW_S`` has passed.
    """
    elapsed_s = None if before is None else after.at.seconds_since(before.at)
    if before is None or elapsed_s is None or elapsed_s < SHORTEST_WINDOW_S:
        return Rates()
    tasks = {
        uuid: {**rates, RATES_OVER_S: elapsed_s}
        for uuid, counters in after.tasks.items()
        if (known := before.tasks.get(uuid)) and (rates := _rates(known, counters, elapsed_s))
    }
    return Rates(_rates(before.host, after.host, elapsed_s), tasks)


def base(before: Look | None, after: Look) -> Look:
    """Choose the look that the next one is compared with: the older one while too little time has passed for a rate."""
    elapsed_s = None if before is None else after.at.seconds_since(before.at)
    if before is not None and elapsed_s is not None and 0 <= elapsed_s < SHORTEST_WINDOW_S:
        return before
    return after


def _rates(before: Counters, after: Counters, elapsed_s: float) -> dict[str, float]:
    if before.life != after.life:
        return {}
    grown = {
        RATE_OF_COUNTER[name]: value - before.values[name]
        for name, value in after.values.items()
        if name in RATE_OF_COUNTER and name in before.values
    }
    return {
        name: growth / elapsed_s
        for name, growth in grown.items()
        if growth >= 0 and math.isfinite(growth)
    }
