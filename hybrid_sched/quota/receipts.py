# SPDX-License-Identifier: Apache-2.0
"""Receipts of the tasks that agents report: counted report by report since this engine began to lead."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from hybrid_sched.core import measures
from hybrid_sched.core.cluster import Task
from hybrid_sched.core.receipt_windows import FIGURES, Indices, ReceiptWindows
from hybrid_sched.core.receipts import Receipt, receipt
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.rpc.task_figures import TaskFigures

_NAMES = (*FIGURES, measures.RATES_OVER_S)


@dataclass(frozen=True, slots=True)
class TaskReceipt:
    """The receipt of one task.

    :param task: as it was reported last.
    :param host: that reported it last.
    :param present: whether a host reports it still. Of one that has gone the receipt is kept for the length of a window.
    :param receipt: what it got.
    """

    task: Task
    host: str
    present: bool
    receipt: Receipt


@dataclass(slots=True)
class _OnHost:
    """What a host reported last.

    :param tasks: of its last report, as that had them.
    :param uuids: of these.
    :param rows: of their windows.
    """

    tasks: tuple[Task, ...]
    uuids: list[str]
    rows: Indices


class ReceiptBook:
    """Count what every task gets.

    Its methods may be called from several threads.

    :param window_s: seconds that a receipt reaches back; with 0 nothing is counted.
    :param fresh_s: seconds for which the next sample of a task may be missing before that is a gap.
    :param clock_s: Unix time.
    """

    def __init__(self, window_s: float, fresh_s: float, clock_s: Callable[[], float]) -> None:
        self.window_s = window_s
        #: Unix time since which it is counted: nothing is known of before.
        self.since_s = clock_s()
        self._fresh_s = fresh_s
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._windows = ReceiptWindows(window_s) if window_s > 0 else None
        self._hosts: dict[str, _OnHost] = {}
        self._tasks: dict[str, tuple[Task, str]] = {}
        # On how many hosts a task is: two during a move. Those that are on none, and since when by the clock here.
        self._seen_on: dict[str, int] = {}
        self._gone: OrderedDict[str, float] = OrderedDict()

    def take(self, report: HostReport) -> None:
        """Count a report that was accepted."""
        if self._windows is None:
            return
        with self._lock:
            on_host = self._hosts.get(report.host)
            # Reports that are alike in their tasks share one tuple of them.
            if on_host is None or on_host.tasks is not report.tasks:
                on_host = self._follow(self._windows, report, on_host)
            if on_host.tasks:
                table = TaskFigures.of(report.task_measured).select(on_host.uuids, _NAMES)
                self._windows.add(on_host.rows, report.sampled_at_s, table[:, :-1], table[:, -1])

    def forget_host(self, host: str) -> None:
        """Take in that a host is left out: its tasks are reported no more."""
        with self._lock:
            on_host = self._hosts.pop(host, None)
            if on_host is not None:
                self._leave({task.uuid for task in on_host.tasks})

    def forget_old(self) -> None:
        """Drop the receipts of tasks that have been gone for the length of a window."""
        if self._windows is None:
            return
        with self._lock:
            oldest_s = self._clock_s() - self.window_s
            while self._gone and next(iter(self._gone.values())) < oldest_s:
                uuid, _ = self._gone.popitem(last=False)
                self._windows.forget([uuid])
                del self._tasks[uuid]

    def get(self, uuid: str) -> TaskReceipt | None:
        """Give the receipt of one task; None for one that is unknown."""
        with self._lock:
            return self._receipt(uuid) if uuid in self._tasks else None

    def list(
        self,
        limit: int,
        marker: str = "",
        *,
        host: str | None = None,
        framework: str | None = None,
        broken: bool = False,
    ) -> list[TaskReceipt]:
        """Give receipts in order of uuid.

        :param limit: how many at most.
        :param marker: uuid after which to begin.
        :param host: of tasks that were seen on it last; None for any.
        :param framework: of its tasks; None for any.
        :param broken: only those with a broken promise.
        """
        with self._lock:
            among: Iterable[str] = self._tasks
            if broken:
                among = self._windows.broken(self._clock_s()) if self._windows else ()
            chosen = (
                uuid
                for uuid in among
                if uuid > marker
                and (host is None or self._tasks[uuid][1] == host)
                and (framework is None or self._tasks[uuid][0].framework == framework)
            )
            return [self._receipt(uuid) for uuid in sorted(chosen)[:limit]]

    def _receipt(self, uuid: str) -> TaskReceipt:
        assert self._windows is not None  # noqa: S101 - there are tasks only where something is counted
        now_s = self._clock_s()
        task, host = self._tasks[uuid]
        present = uuid in self._seen_on
        usage = self._windows.usage(uuid, now_s)
        ended_s = now_s
        if usage is not None and (not present or now_s - usage.last_s <= self._fresh_s):
            ended_s = usage.last_s
        judged = receipt(self._windows.promised(uuid), usage, ended_s)
        return TaskReceipt(task, host, present, judged)

    def _follow(
        self, windows: ReceiptWindows, report: HostReport, before: _OnHost | None
    ) -> _OnHost:
        """Take in which tasks a host has now."""
        seen = {task.uuid for task in before.tasks} if before is not None else set()
        rows = np.empty(len(report.tasks), dtype=np.intp)
        uuids = [task.uuid for task in report.tasks]
        for index, (uuid, task) in enumerate(zip(uuids, report.tasks, strict=True)):
            promised = task.demand if task.promised is None else task.promised
            if report.squeezed.get(task.framework) is not None and uuid in windows:
                # What Docker tells of the CPU of a squeezed container is its reduced weight, and not what was promised.
                promised = promised._replace(vcpu=windows.promised(uuid).vcpu)
            rows[index] = windows.row(uuid, promised)
            self._tasks[uuid] = task, report.host
            if uuid in seen:
                seen.discard(uuid)
            else:
                self._seen_on[uuid] = self._seen_on.get(uuid, 0) + 1
                self._gone.pop(uuid, None)
        self._leave(seen)
        on_host = self._hosts[report.host] = _OnHost(report.tasks, uuids, rows)
        return on_host

    def _leave(self, uuids: Iterable[str]) -> None:
        """Take in that a host reports some tasks no more."""
        for uuid in uuids:
            if self._seen_on[uuid] > 1:
                self._seen_on[uuid] -= 1
            else:
                del self._seen_on[uuid]
                self._gone[uuid] = self._clock_s()
