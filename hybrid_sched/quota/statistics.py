# SPDX-License-Identifier: Apache-2.0
"""Statistics: the last report of each host (paper 4.1). Holds nothing that the agents cannot give back."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import Task
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.rpc.task_figures import TaskFigures

#: CPU time is counted in ticks, so that a short period may show a little more than there is.
_CPU_TOLERANCE = 1.1
_CLOCK_REASONS = frozenset({"late", "clock_jump"})
#: Until Placement has told which hosts there are, anybody may report under any name.
_MOST_CLOCKS = 1000


class ReportRefused(ValueError):
    """A report that changes nothing; the message is a sentence.

    :param reason: a short name, by which refusals are counted.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class HostRecord:
    """What is known of one host.

    :param report: its last report.
    :param received_at_s: when it came, by the engine's monotonic clock.
    :param tasks: its tasks; those of a framework whose source failed are the ones known before.
    :param clock_offset_s: how far the host's clock was ahead of the engine's when it came, less its time on the way.
    """

    report: HostReport
    received_at_s: float
    tasks: Mapping[str, Task]
    clock_offset_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ReportLimits:
    """Which reports are taken.

    :param max_age_s: after which a report is too old, on its way or since it came.
    :param clock_skew_s: how far a host's clock may be ahead of the engine's.
    :param forget_after_s: after which a silent host is left out.
    """

    max_age_s: float
    clock_skew_s: float
    forget_after_s: float


class Statistics:
    """The last report of each host.

    :param limits: which reports are taken.
    :param now_s: the monotonic clock.
    :param clock_s: Unix time.
    """

    def __init__(
        self, limits: ReportLimits, now_s: Callable[[], float], clock_s: Callable[[], float]
    ) -> None:
        self._limits = limits
        self._now_s = now_s
        self._clock_s = clock_s
        # In the order in which the reports came, so that silent hosts are found at the front.
        self._records: OrderedDict[str, HostRecord] = OrderedDict()
        #: Names of the hosts that there are; None while that is not known.
        self.known_hosts: frozenset[str] | None = None
        #: Hosts that report tasks with a reduced CPU weight.
        self.squeezed: set[str] = set()
        self.refusals: Counter[str] = Counter()
        #: Clock offsets, in seconds, of hosts whose last report was refused for them.
        self.refused_clocks: dict[str, float] = {}

    def accept(self, report: HostReport) -> HostRecord:
        """Take in a report.

        :returns: the new record of its host.
        :raises ReportRefused: when it changes nothing: unknown host, late, clock ahead, impossible, repeated or reordered.
        """
        held = self._records.get(report.host)
        refused = self._why_not(report) or (held and _why_not_after(held.report, report))
        if refused:
            self.refusals[refused.reason] += 1
            if refused.reason in _CLOCK_REASONS:
                self._note_clock(report)
            raise refused
        tasks = {task.uuid: task for task in report.tasks}
        if held is not None and report.unknown_frameworks:
            for task in held.tasks.values():
                if task.framework in report.unknown_frameworks:
                    tasks.setdefault(task.uuid, task)
        self.refused_clocks.pop(report.host, None)
        offset_s = report.sampled_at_s - self._clock_s()
        record = HostRecord(report, self._now_s(), tasks, offset_s)
        self._records[report.host] = record
        self._records.move_to_end(report.host)
        if report.squeezed:
            self.squeezed.add(report.host)
        else:
            self.squeezed.discard(report.host)
        return record

    def get(self, host: str) -> HostRecord | None:
        """Give what is known of a host."""
        return self._records.get(host)

    def forget_silent_hosts(self) -> list[str]:
        """Leave out hosts that have not reported for too long; gives their names."""
        silent = [record.report.host for record in self._older_than(self._limits.forget_after_s)]
        for name in silent:
            del self._records[name]
            self.squeezed.discard(name)
        return silent

    def stale(self) -> Iterator[str]:
        """Name the hosts whose last report is too old to act on."""
        return (record.report.host for record in self._older_than(self._limits.max_age_s))

    def is_fresh(self, record: HostRecord) -> bool:
        """Say whether a record is young enough and complete."""
        return self.age_s(record) <= self._limits.max_age_s and not record.report.unknown_frameworks

    def records(self) -> Mapping[str, HostRecord]:
        """Give what is known of each host, by name in alphabetical order."""
        return {name: self._records[name] for name in sorted(self._records)}

    def age_s(self, record: HostRecord) -> float:
        """Tell how old a record is, by the engine's own clock."""
        return self._now_s() - record.received_at_s

    def _note_clock(self, report: HostReport) -> None:
        self.refused_clocks.pop(report.host, None)
        while len(self.refused_clocks) >= _MOST_CLOCKS:
            del self.refused_clocks[next(iter(self.refused_clocks))]
        self.refused_clocks[report.host] = report.sampled_at_s - self._clock_s()

    def _older_than(self, age_s: float) -> Iterator[HostRecord]:
        limit_s = self._now_s() - age_s
        for record in self._records.values():
            if record.received_at_s >= limit_s:
                return
            yield record

    def _why_not(self, report: HostReport) -> ReportRefused | None:
        if self.known_hosts is not None and report.host not in self.known_hosts:
            text = f"host {report.host!r} has no provider in Placement: check [agent] host there"
            return ReportRefused("unknown_host", text)
        age_s = self._clock_s() - report.sampled_at_s
        if age_s > self._limits.max_age_s:
            text = f"report {report.sequence} of host {report.host} is {age_s:.0f} s old"
            return ReportRefused("late", f"{text}: check its clock and the broker")
        if -age_s > self._limits.clock_skew_s:
            text = f"the clock of host {report.host} is {-age_s:.0f} s ahead: check NTP there"
            return ReportRefused("clock_jump", text)
        impossible = _impossible(report)
        return ReportRefused("impossible", impossible) if impossible else None


def _why_not_after(held: HostReport, report: HostReport) -> ReportRefused | None:
    """Say why a report cannot follow another one of its host."""
    which = f"report {report.sequence} of host {report.host}"
    if report.boot_id == held.boot_id:
        if report.sequence > held.sequence:
            return None
        reason = "repeated" if report.sequence == held.sequence else "reordered"
        return ReportRefused(reason, f"{which} came after {held.sequence}")
    if report.sampled_at_s > held.sampled_at_s:
        return None
    return ReportRefused("reordered", f"{which} is of an earlier life of its agent")


def _impossible(report: HostReport) -> str:
    """Say which figure cannot be; empty when all can."""
    cpus, memory_mb = report.cpus * _CPU_TOLERANCE, report.memory_mb
    for figures in (
        TaskFigures.of({"": report.measured}),
        TaskFigures.of(report.task_measured),
    ):
        if (above := figures.above(measures.CPU_CORES, cpus)) is not None:
            whose, used = above
            return f"{_named(report, whose)}: {used:.2f} of {report.cpus} CPUs are in use"
        if (above := figures.above(measures.MEMORY_USED_MB, memory_mb)) is not None:
            whose, used_mb = above
            named = _named(report, whose)
            return f"{named}: {used_mb:.0f} of {memory_mb} MiB of memory are in use"
    for name, figure in report.measured.items():
        if name.endswith("_fraction") and figure > 1:
            return f"host {report.host}: {name} is {figure:.2f}, which is more than 1"
    return ""


def _named(report: HostReport, uuid: str) -> str:
    return f"host {report.host}, task {uuid}" if uuid else f"host {report.host}"
