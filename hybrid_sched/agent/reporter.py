# SPDX-License-Identifier: Apache-2.0
"""From what the sources see to one report of the host."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.agent import clock, rates
from hybrid_sched.agent.clock import Instant
from hybrid_sched.agent.rates import Counters, Look, Rates
from hybrid_sched.agent.state import State, Totals
from hybrid_sched.core.cluster import Task
from hybrid_sched.core.hardware import Hardware
from hybrid_sched.core.resources import Resources, exact, simplest
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SeenTask, SourceError
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.version import version_string

LOG = log.getLogger(__name__)

_LONGEST_FAULT = 1000
_LONGEST_NAME = 255


class NoTotals(Exception):
    """No source told the totals of the host, so that there is nothing to report yet."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What one look at everything gave.

    :param report: without a number yet.
    :param totals: to fall back on while their source fails.
    :param looks: counters that the next rates are worked out from, by source.
    """

    report: HostReport
    totals: Totals
    looks: Mapping[str, Look]


@dataclass(frozen=True, slots=True)
class Sight:
    """What the sources told in one look.

    :param at_s: Unix time of the look.
    :param observations: of the sources that answered, with the rates since the look before.
    :param looks: counters that the next rates are worked out from, by source.
    :param faults: a sentence for each source that failed.
    :param unknown: frameworks whose tasks could not be listed.
    """

    at_s: float
    observations: tuple[tuple[Observation, Rates], ...]
    looks: Mapping[str, Look]
    faults: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def tasks(self) -> tuple[SeenTask, ...]:
        """Give all tasks; of two sources that tell of the same one, the first counts."""
        tasks: dict[str, SeenTask] = {}
        for observation, _ in self.observations:
            for each in observation.tasks:
                tasks.setdefault(each.task.uuid, each)
        return tuple(tasks.values())


class Reporter:
    """Ask the sources and sum up.

    :param conf: options of the group ``[agent]``.
    :param sources: name and source, asked in order; one that fails does not stop the rest. Where several tell the same, the
        first one counts.
    :param now: tells the moment of a look.
    :param settle: puts what a task declared right, where its source cannot know it.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        sources: Sequence[tuple[str, MonitorSource]],
        now: Callable[[], Instant] = clock.now,
        settle: Callable[[SeenTask], SeenTask] = lambda seen: seen,
    ) -> None:
        self._conf = conf
        self._sources = sources
        self._settle = settle
        self._now = now
        self._failing: set[str] = set()

    def look(self, state: State) -> Sight:
        """Look at everything now.

        :param state: with the looks before this one.
        """
        sampled_at_s = time.time()
        seen: list[tuple[Observation, Rates]] = []
        looks: dict[str, Look] = {}
        faults: list[str] = []
        unknown: list[str] = []
        for name, source in self._sources:
            before = state.looks.get(name)
            try:
                observation, look = self._ask(source)
            except SourceError as error:
                self._note_failure(name, error)
                faults.append(fault(name, error))
                if source.framework:
                    unknown.append(source.framework)
                if before is not None:
                    looks[name] = before
            else:
                self._note_success(name)
                seen.append((observation, rates.between(before, look)))
                looks[name] = rates.base(before, look)
        return Sight(sampled_at_s, tuple(seen), looks, tuple(faults), tuple(unknown))

    def sum_up(self, sight: Sight, state: State) -> Findings:
        """Make a report of a look.

        :param state: with the totals that were seen last.
        :raises NoTotals: until the totals have been seen once.
        """
        seen = sight.observations
        totals = _totals([observation for observation, _ in seen], state.totals)
        tasks, task_measured = _tasks(seen)
        report = HostReport(
            host=self._conf.agent.host,
            boot_id="",
            sequence=0,
            sampled_at_s=sight.at_s,
            capacity=self._capacity(totals),
            cpus=totals.cpus,
            memory_mb=totals.memory_mb,
            hardware=totals.hardware,
            tasks=tasks,
            measured=_first((each.gauges, told.host) for each, told in seen),
            task_measured=task_measured,
            faults=sight.faults,
            unknown_frameworks=sight.unknown,
            version=version_string(),
        )
        return Findings(report, totals, sight.looks)

    def _ask(self, source: MonitorSource) -> tuple[Observation, Look]:
        asked_at = self._now()
        observation = source.collect()
        answered_at = self._now()
        # Not before the clock is read: what is settled may be written to disk.
        observation = replace(observation, tasks=tuple(map(self._settle, observation.tasks)))
        # A source reads its counters somewhere between the question and the answer.
        midpoint_s = (asked_at.boottime_s + answered_at.boottime_s) / 2
        look = Look(
            replace(answered_at, boottime_s=midpoint_s),
            Counters(observation.counters),
            {each.task.uuid: Counters(each.counters, each.life) for each in observation.tasks},
        )
        return observation, look

    def _capacity(self, totals: Totals) -> Resources:
        """Work out what may be declared, as Placement does: (total - reserved) * ratio, in whole units."""
        options = self._conf.agent
        return Resources(
            vcpu=_capacity(totals.cpus, options.reserved_cpus, options.cpu_allocation_ratio),
            memory_mb=_capacity(
                totals.memory_mb, options.reserved_memory_mb, options.ram_allocation_ratio
            ),
        )

    def _note_success(self, name: str) -> None:
        if name in self._failing:
            self._failing.discard(name)
            LOG.info("Source %s answers again.", name)

    def _note_failure(self, name: str, error: SourceError) -> None:
        if name not in self._failing:
            self._failing.add(name)
            LOG.warning("Source %s failed and is left out until it answers: %s", name, error)


def fault(name: str, error: object) -> str:
    """Give the line of a report that tells of a failure.

    :param name: of the source or isolator.
    """
    return printable(f"{name}: {error}", _LONGEST_FAULT)


def printable(text: str, longest: int) -> str:
    """Give a text that a report may carry: back ends and owners of tasks write what they like."""
    return "".join(each if each.isprintable() else " " for each in text)[:longest]


def _totals(observations: Sequence[Observation], known: Totals | None) -> Totals:
    cpus = next((each.cpus for each in observations if each.cpus is not None), None)
    memory_mb = next((each.memory_mb for each in observations if each.memory_mb is not None), None)
    hardware = next((each.hardware for each in observations if each.hardware is not None), None)
    if known is None and (cpus is None or memory_mb is None):
        raise NoTotals
    known = known or Totals(0, 0)
    return Totals(
        known.cpus if cpus is None else cpus,
        known.memory_mb if memory_mb is None else memory_mb,
        known.hardware if hardware is None else _printable_hardware(hardware),
    )


def _printable_hardware(hardware: Hardware) -> Hardware:
    return Hardware(
        printable(hardware.cpu_model, _LONGEST_NAME), printable(hardware.memory_kind, _LONGEST_NAME)
    )


def _tasks(
    seen: Sequence[tuple[Observation, Rates]],
) -> tuple[tuple[Task, ...], dict[str, Mapping[str, float]]]:
    tasks: dict[str, Task] = {}
    figures: dict[str, list[tuple[Mapping[str, float], ...]]] = {}
    for observation, told in seen:
        for each in observation.tasks:
            tasks.setdefault(each.task.uuid, _printable_task(each))
            rates_of_task = told.tasks.get(each.task.uuid, {})
            figures.setdefault(each.task.uuid, []).append((each.gauges, rates_of_task))
    measured = {uuid: _first(tables) for uuid, tables in figures.items()}
    return tuple(tasks.values()), {uuid: each for uuid, each in measured.items() if each}


def _printable_task(seen: SeenTask) -> Task:
    return replace(
        seen.task,
        name=printable(seen.task.name, _LONGEST_NAME),
        state=printable(seen.task.state, 64),
    )


def _first(told: Iterable[tuple[Mapping[str, float], ...]]) -> dict[str, float]:
    """Give each figure as the first source told it; one that is no finite number of 0 or more was not told."""
    figures: dict[str, float] = {}
    for tables in told:
        for table in tables:
            for name, value in table.items():
                if math.isfinite(value) and value >= 0:
                    figures.setdefault(name, value)
    return figures


def _capacity(total: int, reserved: int, ratio: float) -> int:
    return int(simplest(Fraction(max(0, total - reserved)) * exact(ratio)))
