# SPDX-License-Identifier: Apache-2.0
"""What the watchdog remembers of hosts and tasks from one period to the next.

Signals are smoothed by exponentially weighted means rather than windows: two numbers a signal are all that is kept, a report
that is late or missing changes the weight by the time that passed, and the newest measurement counts most. Each task is
smoothed by itself and a host is the sum of its tasks and a rest, so that a host's signal is right at once after a move, where
the mean of its total would show the task that left for some time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import sqrt

from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.readings import LENGTH, NO_USE, HostReading, Use

#: A task or host that was not reported for so many long half-lives, and twice as long as makes a report stale, is forgotten.
_FORGOTTEN_AFTER = 2


@dataclass(frozen=True, slots=True)
class TaskSignal:
    """What a task uses, smoothed.

    :param at_s: time of its last measurement.
    :param count: of measurements.
    :param recent: mean with the short half-life.
    :param usual: mean with the long one.
    :param variance: about ``usual``, with the long half-life, each resource in its unit squared.
    :param expected: what it is taken to use from now on: the larger of the two means, so that no short lull is relied on.
    """

    at_s: float
    count: int
    recent: Use
    usual: Use
    variance: Use
    expected: Use


@dataclass(frozen=True, slots=True)
class HostSignal:
    """What is known of a host beside its tasks.

    :param at_s: time of its last report.
    :param count: of reports.
    :param rest: recent mean of what the host uses beside its measured tasks.
    :param stalls: recent mean of its stalls.
    :param over: the last periods, oldest first: when each was, and for each resource whether it was over its limit.
    """

    at_s: float
    count: int
    rest: Use
    stalls: Use
    over: tuple[tuple[float, tuple[bool, ...]], ...] = ()

    def times_over(self, resource: int, since_s: float) -> int:
        """Count the periods after a time in which a resource was over its limit."""
        return sum(was[resource] for at_s, was in self.over if at_s > since_s)


@dataclass(frozen=True, slots=True)
class History:
    """All signals; a value, so that :meth:`observe` gives another one.

    :param tasks: by uuid; the signal goes with a task that moves.
    :param hosts: by name.
    """

    tasks: Mapping[str, TaskSignal] = field(default_factory=dict)
    hosts: Mapping[str, HostSignal] = field(default_factory=dict)

    def observe(
        self, readings: Iterable[HostReading], parameters: Parameters, now_s: float
    ) -> History:
        """Take in the reports of a period. One that was taken in already, or is older, changes nothing.

        :param readings: the last report of each host.
        :param parameters: half-lives and limits.
        :param now_s: Unix time; what was not reported for long before it is forgotten.
        """
        kept_s = max(_FORGOTTEN_AFTER * parameters.long_half_life_s, 2 * parameters.stale_after_s)
        oldest_s = now_s - kept_s
        tasks = {uuid: each for uuid, each in self.tasks.items() if each.at_s >= oldest_s}
        hosts = {name: each for name, each in self.hosts.items() if each.at_s >= oldest_s}
        for reading in readings:
            known = hosts.get(reading.host)
            if known is not None and reading.at_s <= known.at_s:
                continue
            for each in reading.tasks:
                if each.use is not None:
                    uuid = each.task.uuid
                    tasks[uuid] = _task_after(tasks.get(uuid), each.use, reading.at_s, parameters)
            hosts[reading.host] = _host_after(known, reading, tasks, parameters)
        return History(tasks, hosts)


def peak(expected: float, variance: float, deviations: float) -> float:
    """Give the use to be ready for: the mean plus N standard deviations.

    It is the N-sigma predictor of Bashir et al., "Take it to the limit" (EuroSys 2021). The deviations of tasks count as
    independent, so that their variances add up.
    """
    return expected + deviations * sqrt(variance)


def _task_after(
    known: TaskSignal | None, use: Use, at_s: float, parameters: Parameters
) -> TaskSignal:
    if known is None:
        return TaskSignal(at_s, 1, use, use, NO_USE, use)
    passed_s = at_s - known.at_s
    if passed_s <= 0:
        # During a move both ends may tell of it.
        return known
    count = known.count + 1
    short = _part(passed_s, parameters.short_half_life_s, count)
    long = _part(passed_s, parameters.long_half_life_s, count)
    recent, usual, variance, expected = [], [], [], []
    for value, lately, mean, spread in zip(
        use, known.recent, known.usual, known.variance, strict=True
    ):
        if value == lately == mean:
            new_recent = new_usual = value
            new_variance = (1 - long) * spread
        else:
            step = value - mean
            new_recent = lately + short * (value - lately)
            new_usual = mean + long * step
            # West, "Updating mean and variance estimates", CACM 22 (1979), with a weight that is bounded from below.
            new_variance = (1 - long) * (spread + long * step * step)
        recent.append(new_recent)
        usual.append(new_usual)
        variance.append(new_variance)
        expected.append(new_recent if new_recent > new_usual else new_usual)
    return TaskSignal(at_s, count, tuple(recent), tuple(usual), tuple(variance), tuple(expected))


def _host_after(
    known: HostSignal | None,
    reading: HostReading,
    tasks: Mapping[str, TaskSignal],
    parameters: Parameters,
) -> HostSignal:
    measured = [each.use for each in reading.tasks if each.use is not None]
    held = _sum(measured)
    rest = tuple([max(0.0, all_ - some) for all_, some in zip(reading.use, held, strict=True)])
    stalls, count = reading.stalls, 1
    over: tuple[tuple[float, tuple[bool, ...]], ...] = ()
    if known is not None:
        count = known.count + 1
        short = _part(reading.at_s - known.at_s, parameters.short_half_life_s, count)
        rest, stalls = _towards(known.rest, rest, short), _towards(known.stalls, stalls, short)
        over = known.over[-(parameters.of_periods - 1) :] if parameters.of_periods > 1 else ()
        if reading.at_s - known.at_s > parameters.stale_after_s:
            # Nobody knows what was between, so that periods before it do not make a row with this one.
            over = ()
    signals = [tasks[each.task.uuid] for each in reading.tasks if each.use is not None]
    expected = _sum([rest, *(each.expected for each in signals)])
    variance = _sum([each.variance for each in signals])
    now_over = tuple(
        [
            (there > 0 and peak(used, spread, parameters.deviations) > limit * there)
            or stall > stall_limit
            for used, spread, there, limit, stall, stall_limit in zip(
                expected,
                variance,
                reading.usable,
                parameters.limits,
                stalls,
                parameters.stall_limits,
                strict=True,
            )
        ]
    )
    return HostSignal(reading.at_s, count, rest, stalls, (*over, (reading.at_s, now_over)))


@lru_cache(maxsize=1024)
def _part(passed_s: float, half_life_s: float, count: int) -> float:
    """Give the weight of a new measurement; the first ones are a plain mean, as there is nothing to forget yet."""
    return float(max(1 - 2 ** (-passed_s / half_life_s), 1 / count))


def _towards(mean: Use, value: Use, part: float) -> Use:
    return tuple([old + part * (new - old) for old, new in zip(mean, value, strict=True)])


def _sum(vectors: list[Use]) -> Use:
    return tuple(map(sum, zip(*vectors, strict=True))) if vectors else (0.0,) * LENGTH
