# SPDX-License-Identifier: Apache-2.0
"""From what the sources see to one report of the host."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from fractions import Fraction

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.core.resources import Resources, exact, simplest
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError
from hybrid_sched.rpc.messages import HostReport

LOG = log.getLogger(__name__)


class NoTotals(Exception):
    """No source told the totals of the host, so that there is nothing to report yet."""


class Reporter:
    """Ask the sources and sum up.

    :param conf: options of the group ``[agent]``.
    :param sources: name and source, asked in order; one that fails does not stop the rest.
    """

    def __init__(self, conf: cfg.ConfigOpts, sources: Sequence[tuple[str, MonitorSource]]) -> None:
        self._conf = conf
        self._sources = sources
        self._boot_id = str(uuid.uuid4())
        self._sequence = itertools.count(1)
        self._failing: set[str] = set()
        self._capacity: Resources | None = None

    def report(self) -> HostReport:
        """Look at everything now.

        :raises NoTotals: until the totals have been seen once.
        """
        observations = []
        faults = []
        unknown = []
        for name, source in self._sources:
            try:
                observations.append(source.collect())
                self._note_success(name)
            except SourceError as error:
                self._note_failure(name, error)
                faults.append(f"{name}: {error}"[:1000])
                if source.framework:
                    unknown.append(source.framework)
        self._capacity = self._capacity_of(observations) or self._capacity
        if self._capacity is None:
            raise NoTotals
        return HostReport(
            host=self._conf.agent.host,
            boot_id=self._boot_id,
            sequence=next(self._sequence),
            capacity=self._capacity,
            tasks=tuple(task for seen in observations for task in seen.tasks),
            measured={
                name: value for seen in observations for name, value in seen.measured.items()
            },
            faults=tuple(faults),
            unknown_frameworks=tuple(unknown),
        )

    def _capacity_of(self, observations: Sequence[Observation]) -> Resources | None:
        """Work out what may be declared, as Placement does: (total - reserved) * ratio, in whole units."""
        options = self._conf.agent
        cpus = next((seen.cpus for seen in observations if seen.cpus is not None), None)
        memory_mb = next(
            (seen.memory_mb for seen in observations if seen.memory_mb is not None), None
        )
        if cpus is None or memory_mb is None:
            return None
        return Resources(
            vcpu=_capacity(cpus, options.reserved_cpus, options.cpu_allocation_ratio),
            memory_mb=_capacity(
                memory_mb, options.reserved_memory_mb, options.ram_allocation_ratio
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


def _capacity(total: int, reserved: int, ratio: float) -> int:
    return int(simplest(Fraction(max(0, total - reserved)) * exact(ratio)))
