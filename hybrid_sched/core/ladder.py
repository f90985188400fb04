# SPDX-License-Identifier: Apache-2.0
"""The reclaim ladder: how a framework gives back what it borrowed (algorithms: borrow and reclaim).

No new grants above the entitlement at once; after a grace period less CPU weight for the borrower; after another its
youngest movable tasks are named to the watchdog. Guests are never killed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from hybrid_sched.core.cluster import Framework, Rung, Task
from hybrid_sched.core.resources import Number, Vector, dominant_share, scale, simplest


@dataclass(frozen=True, slots=True)
class LadderRules:
    """How long each rung lasts.

    :param squeeze_after_s: from the first refused grant to the squeeze.
    :param relieve_after_s: from the squeeze to naming tasks that should move; None for never.
    :param least_squeeze: smallest factor on CPU weights, in (0, 1].
    """

    squeeze_after_s: float
    relieve_after_s: float | None
    least_squeeze: Number


class Ladder:
    """Where each borrower of one pool stands.

    :param since_s: the time, by the caller's clock, at which each borrower began to owe.
    """

    def __init__(self) -> None:
        self.since_s: dict[str, float] = {}

    def climb(
        self, frameworks: Mapping[str, Framework], rules: LadderRules, now_s: float
    ) -> dict[str, Framework]:
        """Give the frameworks with their rung and squeeze as they are now.

        A framework is on the ladder while it borrows and another one is owed; it leaves it at once when either ends.

        :param frameworks: of the pool, from this cycle.
        :param rules: grace periods.
        :param now_s: the caller's monotonic clock.
        """
        climbed = {}
        for name, framework in frameworks.items():
            others_owed = any(other.owed > 0 for key, other in frameworks.items() if key != name)
            if not (framework.borrowed > 0 and others_owed):
                self.since_s.pop(name, None)
                climbed[name] = framework
                continue
            age_s = now_s - self.since_s.setdefault(name, now_s)
            climbed[name] = _on_rung(framework, rules, age_s)
        return climbed


def _on_rung(framework: Framework, rules: LadderRules, age_s: float) -> Framework:
    if age_s < rules.squeeze_after_s:
        return replace(framework, rung=Rung.NO_GRANTS)
    held = framework.entitlement + framework.borrowed
    factor = max(rules.least_squeeze, simplest(Fraction(framework.entitlement) / held))
    relieve = (
        rules.relieve_after_s is not None and age_s >= rules.squeeze_after_s + rules.relieve_after_s
    )
    return replace(framework, rung=Rung.RELIEVE if relieve else Rung.SQUEEZE, squeeze=factor)


def candidates(
    framework: Framework, capacity: Vector, tasks: Iterable[tuple[Task, Number]]
) -> Sequence[Task]:
    """Name the tasks whose move would give back what is borrowed: the youngest movable ones, as few as are enough.

    :param framework: a borrower.
    :param capacity: E of its pool.
    :param tasks: its tasks in the pool, each with the score of its host.
    :returns: youngest first; those of unknown age come last.
    """
    chosen: list[Task] = []
    left = framework.borrowed
    movable = [(task, score) for task, score in tasks if task.movable]
    for task, score in sorted(movable, key=lambda each: (-each[0].created_at_s, each[0].uuid)):
        if left <= 0:
            break
        chosen.append(task)
        left -= dominant_share(scale(score, task.demand), capacity)
    return chosen
