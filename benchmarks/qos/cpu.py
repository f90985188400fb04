# SPDX-License-Identifier: Apache-2.0
"""How much of their CPUs the hosts of the lab use over time, and how much the rest of the machine does."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lab import cgroups
from lab.layout import Lab

#: What is neither a host's nor idle: the control plane, those who ask, and whatever else the machine does.
ELSEWHERE = "elsewhere"
PERIOD_S = 1.0
_TICKS_A_S = os.sysconf("SC_CLK_TCK")
#: Fields of a line of /proc/stat that are work: user, nice, system, irq, softirq. Guests of the machine are within user.
_WORK = (0, 1, 2, 5, 6)


@dataclass(frozen=True)
class Sample:
    """CPU time up to a moment.

    :param at_s: the moment.
    :param used_s: CPU seconds, by who used them.
    """

    at_s: float
    used_s: Mapping[str, float]


@dataclass(frozen=True)
class Use:
    """CPU use over a while.

    :param seconds: middle of each period, from the beginning.
    :param percent: of all CPUs of the machine, by who used them, one for each period.
    :param mean: over the whole while.
    """

    seconds: Sequence[float]
    percent: Mapping[str, Sequence[float]]
    mean: Mapping[str, float]


def use(samples: Sequence[Sample], cpus: int) -> Use:
    """Give the use between samples; there are two at least.

    :param cpus: of the machine; each host sees all of them.
    """
    first, last = samples[0], samples[-1]
    pairs = list(pairwise(samples))

    def percent(one: Sample, other: Sample, name: str) -> float:
        used_s = other.used_s[name] - one.used_s[name]
        return round(100 * used_s / cpus / (other.at_s - one.at_s), 1)

    return Use(
        [round((one.at_s + other.at_s) / 2 - first.at_s, 1) for one, other in pairs],
        {name: [percent(*pair, name) for pair in pairs] for name in first.used_s},
        {name: percent(first, last, name) for name in first.used_s},
    )


def worked_s(stat: str) -> float:
    """Give the CPU seconds that the machine has worked.

    :param stat: text of /proc/stat.
    """
    ticks = [int(field) for field in stat.splitlines()[0].split()[1:]]
    return sum(ticks[field] for field in _WORK) / _TICKS_A_S


def look(lab: Lab) -> Sample:
    """Take a sample. A host's is what the host's own /proc/stat is made from."""
    used_s = {host.name: cgroups.cpu_used_by_s(host.name) for host in lab.hosts}
    all_s = worked_s(Path("/proc/stat").read_text())
    return Sample(time.monotonic(), {**used_s, ELSEWHERE: all_s - sum(used_s.values())})


class Meter:
    """Looks each second.

    :param look: takes a sample.
    """

    def __init__(self, look: Callable[[], Sample]) -> None:
        self._look = look
        self._samples: list[Sample] = []
        self._stopped = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Look until the context is left."""
        self._samples.append(self._look())
        thread = threading.Thread(target=self._go_on)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()
        self._samples.append(self._look())

    def _go_on(self) -> None:
        while not self._stopped.wait(PERIOD_S):
            self._samples.append(self._look())

    def use(self, cpus: int) -> Use:
        """Give the use while it ran; a last period that is much shorter than the others counts in the mean alone."""
        whole = use(self._samples, cpus)
        return Use(
            whole.seconds[:-1],
            {name: values[:-1] for name, values in whole.percent.items()},
            whole.mean,
        )
