# SPDX-License-Identifier: Apache-2.0
"""What many tasks used over a window of time that moves on: sums and maxima in buckets, for all tasks in a few arrays.

A report of a host comes with its tasks' figures and the time for which each stands. That time may be less than since the report
before (one was lost) and is never more than what is not counted yet, so that nothing counts twice and gaps stay gaps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hybrid_sched.core import measures
from hybrid_sched.core.resources import Resources

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
_Number = TypeVar("_Number", np.float32, np.float64, np.bool_)

#: The figures of a task that are summed up, in the order of a row of :meth:`ReceiptWindows.add`.
FIGURES = (
    measures.CPU_CORES,
    measures.CPU_THROTTLED_CORES,
    measures.CPU_WAIT_CORES,
    measures.MEMORY_USED_MB,
    measures.DISK_READ_BPS,
    measures.DISK_WRITE_BPS,
    measures.NET_IN_BPS,
    measures.NET_OUT_BPS,
)
#: Those that a promise limits from above; the CPU is promised from below, too.
LIMITED = FIGURES[3:]
#: By how much more than promised a rate may be: limits are held over less than a period, and both are measured.
RATE_TOLERANCE = 0.1
#: Part of the promised CPU that must be missing for a task to count as starved.
STARVED_FROM = 0.1
#: Part of the promised CPU for which its own limit held a task back, from which on that explains what is missing.
HELD_FROM = 0.01
#: Buckets of a window. More would follow its end more closely and take more memory: each is 136 bytes a task.
BUCKETS = 6

_COUNT = len(FIGURES)
_CPU, _THROTTLED, _WAIT, _MEMORY = range(4)
# Columns of what is added up: integral over time and time covered of each figure, then the others.
_COVERED = slice(_COUNT, 2 * _COUNT)
_BROKEN = slice(2 * _COUNT, 2 * _COUNT + 1 + len(LIMITED))
_STARVED = _BROKEN.start
_SHORT, _HELD, _JUDGED, _SAMPLES = range(_BROKEN.stop, _BROKEN.stop + 4)
_COLUMNS = _BROKEN.stop + 4
_LEAST_ROWS = 64
_MOST_WAITING = 64


@dataclass(frozen=True, slots=True)
class Usage:
    """What one task used in the window.

    :param begun_s: Unix time from which on there are samples of it in the window.
    :param last_s: Unix time of the last sample.
    :param samples: how many samples ended in the window.
    :param integral: of each figure over time, by name.
    :param most: largest sample of each figure, by name; only of those that were measured.
    :param covered_s: seconds for which each figure is known, by name.
    :param judged_s: seconds for which it is known both how much CPU it had and how long it waited for more.
    :param starved_s: seconds for which it had less CPU than promised while it waited for more.
    :param short_core_s: CPU time that was missing then, in core seconds.
    :param held_s: seconds for which its own CPU limit held it back.
    :param exceeded_s: seconds for which it used more than promised, by name of the figure.
    """

    begun_s: float
    last_s: float
    samples: int
    integral: dict[str, float]
    most: dict[str, float]
    covered_s: dict[str, float]
    judged_s: float
    starved_s: float
    short_core_s: float
    held_s: float
    exceeded_s: dict[str, float]


class ReceiptWindows:
    """The windows of all tasks.

    Time is cut into buckets at the same moments for all. A window is the bucket of now and as many before it as make up its
    length, so that it is up to a bucket longer.

    :param window_s: its length in seconds, above 0.
    """

    def __init__(self, window_s: float) -> None:
        self.bucket_s = window_s / BUCKETS
        planes = BUCKETS + 1
        # The number of the bucket that each plane holds.
        self._numbers = np.full(planes, -1, dtype=np.int64)
        self._sums = np.zeros((planes, 0, _COLUMNS), dtype=np.float32)
        self._most = np.zeros((planes, 0, _COUNT), dtype=np.float32)
        self._cores = np.zeros(0)
        self._ceilings = np.zeros((0, len(LIMITED)))
        self._first_s = np.zeros(0)
        self._last_s = np.zeros(0)
        self._rows: dict[str, int] = {}
        self._promised: dict[str, Resources] = {}
        # Rows that have had a task, as a number from the first one on, and those of them that are empty now.
        self._used = 0
        self._free: list[int] = []
        # Samples that are not summed up yet, no two of one task, and of which tasks.
        self._waiting: list[tuple[Indices, float, Floats, Floats]] = []
        self._is_waiting = np.zeros(0, dtype=np.bool_)

    def __len__(self) -> int:
        """Count the tasks."""
        return len(self._rows)

    def __contains__(self, uuid: str) -> bool:
        """Say whether a task has a window."""
        return uuid in self._rows

    def promised(self, uuid: str) -> Resources:
        """Give what a task's use is compared with.

        :raises KeyError: when it has no window.
        """
        return self._promised[uuid]

    def row(self, uuid: str, promised: Resources) -> int:
        """Give the row of a task, a new one where it has none. With another promise than before its window begins anew.

        :param promised: 0 where nothing is.
        """
        row = self._rows.get(uuid)
        if row is not None and self._promised[uuid] == promised:
            return row
        if row is None:
            row = self._rows[uuid] = self._free.pop() if self._free else self._next_row()
        else:
            # What waits was under the promise before.
            self._take_in()
            self._empty(row)
        self._promised[uuid] = promised
        self._first_s[row] = math.inf
        self._last_s[row] = -math.inf
        # What is no number is neither above nor below anything.
        cores, memory_mb, *rates = (float(amount) or math.nan for amount in promised)
        self._cores[row] = cores
        self._ceilings[row] = (memory_mb, *((1 + RATE_TOLERANCE) * rate for rate in rates))
        return row

    def forget(self, uuids: Iterable[str]) -> None:
        """Drop the windows of some tasks; their rows are given to others."""
        self._take_in()
        for uuid in uuids:
            row = self._rows.pop(uuid)
            del self._promised[uuid]
            self._empty(row)
            self._free.append(row)

    def add(self, rows: Indices, at_s: float, values: Floats, over_s: Floats) -> None:
        """Take in one sample of each of some tasks.

        One that is not after the last sample of its task changes nothing.

        :param rows: of the tasks, each once, shape (n,).
        :param at_s: Unix time at which the samples end.
        :param values: shape (n, 8), in the order of ``FIGURES``; nan where not known.
        :param over_s: seconds for which each sample stands, shape (n,); nan for one that is not to count.
        """
        if self._is_waiting[rows].any() or len(self._waiting) >= _MOST_WAITING:
            self._take_in()
        self._is_waiting[rows] = True
        self._waiting.append((rows, at_s, values, over_s))

    def _take_in(self) -> None:
        """Sum up the samples that wait. Many at once cost little more than one."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        rows = np.concatenate([each[0] for each in waiting])
        at_s = np.repeat([each[1] for each in waiting], [len(each[0]) for each in waiting])
        values = np.concatenate([each[2] for each in waiting])
        covered_s = np.minimum(
            np.concatenate([each[3] for each in waiting]), at_s - self._last_s[rows]
        )
        self._is_waiting[rows] = False
        taken = covered_s > 0
        if not taken.all():
            rows, at_s, values, covered_s = (
                each[taken] for each in (rows, at_s, values, covered_s)
            )
            if not len(rows):
                return
        begins_s = at_s - covered_s
        self._last_s[rows] = at_s
        self._first_s[rows] = np.minimum(self._first_s[rows], begins_s)
        per_s = self._per_second(rows, values)
        # The bucket of a sample is that in which it ends, the moment at which one begins being the end of the one before.
        bucket_of = np.ceil(at_s / self.bucket_s) - 1
        newest = int(bucket_of.max())
        oldest = max(math.floor(begins_s.min() / self.bucket_s), newest - BUCKETS)
        for number in range(oldest, newest + 1):
            plane = self._plane(number)
            if plane is None:
                continue
            bucket_begins_s = number * self.bucket_s
            ends_s = np.minimum(at_s, bucket_begins_s + self.bucket_s)
            inside_s = ends_s - np.maximum(begins_s, bucket_begins_s)
            inside = inside_s > 0
            part = per_s[inside] * inside_s[inside, np.newaxis]
            part[:, _SAMPLES] = bucket_of[inside] == number
            self._sums[plane, rows[inside]] += part
            most = np.fmax(self._most[plane, rows[inside]], values[inside])
            self._most[plane, rows[inside]] = most

    def usage(self, uuid: str, now_s: float) -> Usage | None:
        """Sum up the window of a task; None for one of which there is no sample in it.

        :param now_s: Unix time.
        """
        row = self._rows.get(uuid)
        if row is None:
            return None
        self._take_in()
        planes = self._planes_at(now_s)
        sums = self._sums[planes, row].astype(np.float64).sum(axis=0)
        most = self._most[planes, row].max(axis=0, initial=0)
        covered_s = sums[_COVERED]
        if not covered_s.any():
            return None
        broken_s = sums[_BROKEN]
        known = [index for index in range(_COUNT) if covered_s[index] > 0]
        return Usage(
            begun_s=max(float(self._first_s[row]), self.begins_s(now_s)),
            last_s=float(self._last_s[row]),
            samples=round(sums[_SAMPLES]),
            integral={FIGURES[index]: float(sums[index]) for index in known},
            most={FIGURES[index]: float(most[index]) for index in known},
            covered_s={FIGURES[index]: float(covered_s[index]) for index in known},
            judged_s=float(sums[_JUDGED]),
            starved_s=float(broken_s[0]),
            short_core_s=float(sums[_SHORT]),
            held_s=float(sums[_HELD]),
            exceeded_s={
                name: float(seconds)
                for name, seconds in zip(LIMITED, broken_s[1:], strict=True)
                if seconds > 0
            },
        )

    def begins_s(self, now_s: float) -> float:
        """Give the Unix time at which the window begins."""
        return (math.floor(now_s / self.bucket_s) - BUCKETS) * self.bucket_s

    def broken(self, now_s: float) -> set[str]:
        """Name the tasks to which a promise was broken in the window."""
        self._take_in()
        seconds = self._sums[self._planes_at(now_s), :, _BROKEN].sum(axis=(0, 2))
        return {uuid for uuid, row in self._rows.items() if seconds[row] > 0}

    def _per_second(self, rows: Indices, values: Floats) -> Floats:
        """Give what each second of a sample adds to the sums, shape (n, columns)."""
        cores, known = self._cores[rows], ~np.isnan(values)
        cpu, wait = values[:, _CPU], values[:, _WAIT]
        held = values[:, _THROTTLED] > HELD_FROM * cores
        short = np.minimum(cores - cpu, wait)
        starved = (short > STARVED_FROM * cores) & ~held
        per_s = np.zeros((len(rows), _COLUMNS))
        np.copyto(per_s[:, :_COUNT], values, where=known)
        per_s[:, _COVERED] = known
        per_s[:, _STARVED] = starved
        per_s[:, _STARVED + 1 : _BROKEN.stop] = values[:, _MEMORY:] > self._ceilings[rows]
        np.copyto(per_s[:, _SHORT], short, where=starved)
        per_s[:, _HELD] = held
        per_s[:, _JUDGED] = known[:, _CPU] & known[:, _WAIT]
        return per_s

    def _plane(self, number: int) -> int | None:
        """Give the plane of a bucket, emptied if it held an older one; None for a bucket that has left the window."""
        plane = number % len(self._numbers)
        if self._numbers[plane] < number:
            # Rows that no task has had yet are left alone: they are empty, and the system has given no memory for them.
            self._numbers[plane] = number
            self._sums[plane, : self._used] = 0
            self._most[plane, : self._used] = 0
        return plane if self._numbers[plane] == number else None

    def _planes_at(self, now_s: float) -> Indices:
        """Give the planes that are in the window; one that a clock ahead began early is."""
        return np.flatnonzero(self._numbers >= math.floor(now_s / self.bucket_s) - BUCKETS)

    def _empty(self, row: int) -> None:
        self._sums[:, row] = 0
        self._most[:, row] = 0

    def _next_row(self) -> int:
        """Give a row that has had no task yet; where there is none, room is made for as many again."""
        row = self._used
        self._used += 1
        if row == len(self._cores):
            more = max(row, _LEAST_ROWS)
            self._sums = _widened(self._sums, more, axis=1)
            self._most = _widened(self._most, more, axis=1)
            self._cores = _widened(self._cores, more)
            self._ceilings = _widened(self._ceilings, more)
            self._first_s = _widened(self._first_s, more)
            self._last_s = _widened(self._last_s, more)
            self._is_waiting = _widened(self._is_waiting, more)
        return row


def _widened(array: npt.NDArray[_Number], more: int, axis: int = 0) -> npt.NDArray[_Number]:
    """Give a longer copy of an array; memory that is not written to yet is not taken from the system."""
    shape = list(array.shape)
    shape[axis] += more
    wide = np.zeros(shape, array.dtype)
    wide[(slice(None),) * axis + (slice(array.shape[axis]),)] = array
    return wide
