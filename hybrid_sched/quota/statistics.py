# SPDX-License-Identifier: Apache-2.0
"""Statistics: the last report of each host (paper 4.1). Holds nothing that the agents cannot give back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hybrid_sched.core.cluster import Host, Task
from hybrid_sched.core.resources import Number, Resources, add
from hybrid_sched.rpc.messages import HostReport


class ReportRefused(ValueError):
    """A report that changes nothing.

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
    """

    report: HostReport
    received_at_s: float
    tasks: Mapping[str, Task]


class Statistics:
    """The last report of each host.

    Ages are measured by the engine's own clock, so that a clock that jumps on a host does no harm.

    :param report_max_age_s: after which a report is not fresh.
    :param forget_host_after_s: after which a host is left out.
    :param now_s: the monotonic clock.
    """

    def __init__(
        self, report_max_age_s: float, forget_host_after_s: float, now_s: Callable[[], float]
    ) -> None:
        self._report_max_age_s = report_max_age_s
        self._forget_host_after_s = forget_host_after_s
        self._now_s = now_s
        self._records: dict[str, HostRecord] = {}
        self.refusals: Counter[str] = Counter()

    def accept(self, report: HostReport) -> None:
        """Take in a report.

        :raises ReportRefused: when it is older than or the same as the one that is held.
        """
        held = self._records.get(report.host)
        same_life = held is not None and held.report.boot_id == report.boot_id
        if held is not None and same_life and report.sequence <= held.report.sequence:
            repeated = report.sequence == held.report.sequence
            reason = "repeated" if repeated else "reordered"
            self.refusals[reason] += 1
            raise ReportRefused(
                reason,
                f"report {report.sequence} of host {report.host} came after {held.report.sequence}",
            )
        tasks = {task.uuid: task for task in report.tasks}
        if held is not None:
            for task in held.tasks.values():
                if task.framework in report.unknown_frameworks:
                    tasks.setdefault(task.uuid, task)
        self._records[report.host] = HostRecord(report, self._now_s(), tasks)

    def forget_silent_hosts(self) -> list[str]:
        """Leave out hosts that have not reported for too long; gives their names."""
        limit_s = self._now_s() - self._forget_host_after_s
        silent = [name for name, held in self._records.items() if held.received_at_s < limit_s]
        for name in silent:
            del self._records[name]
        return silent

    def records(self) -> Mapping[str, HostRecord]:
        """Give what is known of each host, by name in alphabetical order."""
        return {name: self._records[name] for name in sorted(self._records)}

    def age_s(self, record: HostRecord) -> float:
        """Tell how old a record is."""
        return self._now_s() - record.received_at_s

    def host(self, record: HostRecord, score: Number) -> Host:
        """Sum up one host for a snapshot."""
        used: dict[str, Resources] = {}
        for task in record.tasks.values():
            held = used.get(task.framework, Resources())
            used[task.framework] = Resources(*add(held, task.demand))
        return Host(
            name=record.report.host,
            capacity=record.report.capacity,
            score=score,
            used=used,
            task_count=len(record.tasks),
            fresh=self.age_s(record) <= self._report_max_age_s
            and not record.report.unknown_frameworks,
        )
