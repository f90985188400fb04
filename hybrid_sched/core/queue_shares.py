# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is in the queue: weighted DRF over the tasks that wait, and the share gate with what was granted charged."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

from hybrid_sched.core.cluster import Pool
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Number, Resources, Vector, add, dominant_share, scale
from hybrid_sched.core.share_gate import Refusal, Request, share_refusal
from hybrid_sched.core.shares import rationed


class Charges:
    """What the frameworks of one pool are charged with, as tasks are granted.

    :param pool: as the snapshot shows it.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._keys: dict[str, Number] = {}

    def copy(self) -> Charges:
        """Give one that can be charged for a trial."""
        return Charges(self.pool)

    def key(self, framework: str) -> Number:
        """Give k_i = s_i / phi_i; 0 for a framework that the pool does not know."""
        if framework not in self._keys:
            known = self.pool.frameworks.get(framework)
            share = dominant_share(known.used, self.pool.capacity) if known else 0
            self._keys[framework] = Fraction(share) / known.weight if known else 0
        return self._keys[framework]

    def charge(self, framework: str, demand: Resources, score: Number) -> None:
        """Charge a framework with a task.

        :param score: of its host.
        """
        known = self.pool.frameworks.get(framework)
        if known is not None:
            cost = scale(score, rationed(demand, self.pool.capacity))
            after = replace(known, used=add(known.used, cost), wanted=add(known.wanted, cost))
            self.pool = replace(self.pool, frameworks={**self.pool.frameworks, framework: after})
            self._keys.pop(framework, None)

    def later(self, gone: Mapping[str, Vector]) -> Charges:
        """Give the charges as they will be when some tasks have ended.

        :param gone: scored charges of those, by framework.
        """
        frameworks = dict(self.pool.frameworks)
        for name, ended in gone.items():
            if name in frameworks:
                known = frameworks[name]
                frameworks[name] = replace(
                    known, used=_without(known.used, ended), wanted=_without(known.wanted, ended)
                )
        return Charges(replace(self.pool, frameworks=frameworks))

    def refusal(self, framework: str, demand: Resources, score: Number) -> Refusal | None:
        """Ask the share gate for one task.

        :param score: of its host.
        :returns: the refusal, or None.
        """
        return share_refusal(self.pool, Request("", framework, demand), score)

    def ever_granted(self, framework: str, demand: Resources, score: Number) -> bool:
        """Say whether the gate would let the task in if no framework held or wanted anything."""
        nothing = (0,) * len(self.pool.capacity)
        idle = {
            name: replace(each, used=nothing, wanted=nothing)
            for name, each in self.pool.frameworks.items()
        }
        request = Request("", framework, demand)
        return share_refusal(replace(self.pool, frameworks=idle), request, score) is None


class Turns:
    """The waiting tasks of one pool, a line for each framework.

    :param charges: of the pool; they decide whose turn it is.
    :param tasks: in order.
    """

    def __init__(self, charges: Charges, tasks: Iterable[QueuedTask]) -> None:
        self.charges = charges
        self._lines: dict[str, deque[QueuedTask]] = {
            name: deque() for name in charges.pool.frameworks
        }
        for task in tasks:
            self._lines.setdefault(task.framework, deque()).append(task)
        self._granted = dict.fromkeys(self._lines, 0)

    def trial(self) -> Turns:
        """Give a copy on which turns can be tried."""
        trial = Turns(self.charges.copy(), ())
        trial._lines = {name: deque(line) for name, line in self._lines.items()}
        trial._granted = dict(self._granted)
        return trial

    def first(self) -> QueuedTask | None:
        """Give the task whose turn it is: of the smallest (k_i, tasks granted, place of the framework) with one waiting."""
        keys = [
            (self.charges.key(name), self._granted[name], place, name)
            for place, (name, line) in enumerate(self._lines.items())
            if line
        ]
        return self._lines[min(keys)[3]][0] if keys else None

    def skip(self, task: QueuedTask) -> None:
        """Let the next one of its framework come forward; it must be the first one."""
        self._lines[task.framework].popleft()

    def grant(self, task: QueuedTask, score: Number) -> None:
        """Charge the framework with a task that starts on a host of this score."""
        self.charges.charge(task.framework, task.demand, score)
        self._granted[task.framework] += 1

    def remove(self, uuids: Collection[str]) -> None:
        """Take tasks out of the lines, wherever they are."""
        for name, line in self._lines.items():
            self._lines[name] = deque(task for task in line if task.uuid not in uuids)

    def stop(self, framework: str) -> list[QueuedTask]:
        """Give all tasks of a framework that are left, and empty its line."""
        line = self._lines[framework]
        left = list(line)
        line.clear()
        return left


def _without(charge: Vector, gone: Vector) -> Vector:
    return tuple(max(0, held - ended) for held, ended in zip(charge, gone, strict=True))
