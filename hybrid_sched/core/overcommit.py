# SPDX-License-Identifier: Apache-2.0
"""Usage-aware overcommit: capacity that is declared but idle is lent, as far as a predicted peak of use allows.

What tasks of a host will use together at most is predicted for the host as a whole, not as a sum of each task's own peak:
their peaks seldom fall together (Bashir et al., "Take it to the limit: peak prediction-driven resource overcommitment in
datacenters", EuroSys 2021). The predictor is their N-sigma one, about the larger of recent and usual use of all tasks
together; means and variances are those that the watchdog keeps. A task of which too little, or nothing fresh, is measured
counts with all that it declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hybrid_sched.core.cluster import Task
from hybrid_sched.core.rebalancing.history import TaskSignal, peak


class BadLending(ValueError):
    """A setting that cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Lending:
    """How much idle capacity is lent.

    :param margin: part of a host's capacity, in [0, 1), that stays free above the predicted peak.
    :param deviations: N: the predicted peak is the expected use plus N standard deviations.
    :param largest_ratio: most that may be declared for each unit of capacity, 1 or more, whatever is used.
    :param least_measurements: without so many measurements a task counts with what it declared.
    :param stale_after_s: so does one whose last measurement is older than that many seconds.
    """

    margin: float = 0.05
    deviations: float = 2.0
    largest_ratio: float = 16.0
    least_measurements: int = 12
    stale_after_s: float = 900.0

    def __post_init__(self) -> None:
        """Check each.

        :raises BadLending: when one cannot be used.
        """
        # Written so that a value which is no number is refused too.
        if not 0 <= self.margin < 1:
            raise BadLending(f"margin: {self.margin!r} must be at least 0 and below 1")
        for name, least in (("deviations", 0), ("largest_ratio", 1), ("least_measurements", 1)):
            value = getattr(self, name)
            if not value >= least:
                raise BadLending(f"{name}: {value!r} must be at least {least}")
        if not self.stale_after_s > 0:
            raise BadLending(f"stale_after_s: {self.stale_after_s!r} must be above 0 seconds")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What one task, or the tasks of a host together, declared of a resource and are taken to use of it.

    :param declared: units that were declared.
    :param recent: units that were used lately, mean.
    :param usual: units that are usually used, mean.
    :param variance: of the use, units squared; those of several tasks count as independent.
    """

    declared: float = 0.0
    recent: float = 0.0
    usual: float = 0.0
    variance: float = 0.0

    def __add__(self, other: Foreseen) -> Foreseen:
        """Take two together."""
        return Foreseen(
            self.declared + other.declared,
            self.recent + other.recent,
            self.usual + other.usual,
            self.variance + other.variance,
        )

    def peak(self, deviations: float) -> float:
        """Give the use to be ready for, which limits keep at or below what was declared."""
        # Summed up before the larger one is taken: what one task uses more than usual another one uses less.
        expected = max(self.recent, self.usual)
        return min(self.declared, peak(expected, self.variance, deviations))


def foresee(
    task: Task, signal: TaskSignal | None, resource: int, lending: Lending, now_s: float
) -> Foreseen:
    """Tell what a task is taken to use.

    :param task: with what it declared.
    :param signal: what was measured of it; None for nothing.
    :param resource: as an index into ``Resources``.
    :param now_s: Unix time.
    """
    declared = float(task.demand[resource])
    if (
        signal is None
        or signal.count < lending.least_measurements
        or now_s - signal.at_s > lending.stale_after_s
    ):
        return Foreseen(declared, declared, declared)
    return Foreseen(
        declared,
        min(declared, signal.recent[resource]),
        min(declared, signal.usual[resource]),
        signal.variance[resource],
    )


def foresee_all(
    tasks: Iterable[Task],
    signals: Mapping[str, TaskSignal],
    resource: int,
    lending: Lending,
    now_s: float,
) -> Foreseen:
    """Tell what tasks are taken to use together.

    :param signals: by uuid.
    """
    together = Foreseen()
    for task in tasks:
        together += foresee(task, signals.get(task.uuid), resource, lending, now_s)
    return together


def takes(capacity: float, there: Foreseen, task: Foreseen, lending: Lending) -> bool:
    """Say whether a host may take a task more.

    A task of which nothing is measured asks for what it declared; one that is known, as it is moved or comes back, asks for
    what it adds to the predicted peak. What fits without overcommit is always taken, and never more is declared than
    ``largest_ratio`` of the capacity.

    :param capacity: after the host's reserve.
    :param there: the tasks of the host.
    """
    together = there + task
    if together.declared <= capacity:
        return True
    if together.declared > lending.largest_ratio * capacity:
        return False
    return together.peak(lending.deviations) <= (1 - lending.margin) * capacity
