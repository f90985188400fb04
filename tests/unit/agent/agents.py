# SPDX-License-Identifier: Apache-2.0
"""What tests of the agent have in common: options, a clock that is set by hand, sources and back ends in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from oslo_config import cfg

from hybrid_sched.agent.clock import Instant
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import CONTAINER, Task
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SeenTask, SourceError


def conf(**options: Any) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    made([], default_config_files=[])
    for name, value in {"host": "a", **options}.items():
        made.set_override(name, value, group="agent")
    return made


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.kernel_boot_id = "kernel"
        self.boottime_s = 100.0

    def __call__(self) -> Instant:
        return Instant(self.kernel_boot_id, self.boottime_s)

    def advance(self, seconds: float) -> None:
        self.boottime_s += seconds


class Told(MonitorSource):
    """A source that gives what it is told, or fails."""

    def __init__(self, *answers: Observation | str, framework: str | None = None) -> None:
        super().__init__(cfg.ConfigOpts())
        self.framework = framework
        self._answers = list(answers)

    def collect(self) -> Observation:
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            raise SourceError(answer)
        return answer


class Killed(BaseException):
    """Stands for a ``kill -9``: nothing of ours catches it."""


class Weights(Isolator):
    """A back end with weights in memory; None where none was set."""

    def __init__(self, framework: str = CONTAINER, **weights: int | None) -> None:
        super().__init__(cfg.ConfigOpts())
        self.frameworks = frozenset({framework})
        self.weights = weights
        self.able = Ability(frozenset({Aspect.CPU_WEIGHT, Aspect.CPUS}), {})
        self.away = False
        self.refused: set[str] = set()
        self.sets = 0
        self.asked = 0
        self.killed_at_set: int | None = None

    def ability(self) -> Ability:
        self.asked += 1
        if self.away:
            raise IsolationError("away.")
        return self.able

    def read(self) -> Mapping[str, Limits]:
        self.asked += 1
        if self.away:
            raise IsolationError("away.")
        return {uuid: Limits(cpu_weight=weight) for uuid, weight in self.weights.items()}

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        assert set(aspects) == {Aspect.CPU_WEIGHT}
        if self.killed_at_set is not None and self.sets >= self.killed_at_set:
            raise Killed
        self.sets += 1
        if uuid in self.refused:
            raise IsolationError(f"{uuid} refused.")
        if uuid in self.weights:
            self.weights[uuid] = limits.cpu_weight


class BackEnd(Isolator):
    """A back end with all limits in memory, which it rounds as it is told to."""

    def __init__(
        self,
        framework: str = CONTAINER,
        aspects: Collection[Aspect] = frozenset(Aspect),
        missing: Mapping[Aspect, str] | None = None,
        **limits: Limits,
    ) -> None:
        super().__init__(cfg.ConfigOpts())
        self.frameworks = frozenset({framework})
        self.limits = limits
        self.able = Ability(frozenset(aspects), missing or {})
        self.away = False
        #: Questions that fail, on a connection that broke.
        self.broken = 0
        #: Calls of ``hold``: uuid and aspects.
        self.held: list[tuple[str, frozenset[Aspect]]] = []
        self.refused: set[str] = set()
        #: Those of which nothing can be read, though they keep what is set.
        self.stopped: set[str] = set()
        #: Limits that it does not take, whatever it says.
        self.deaf: set[Aspect] = set()
        self.killed_at_hold: int | None = None

    def _answer(self) -> None:
        self.broken -= 1
        if self.away or self.broken >= 0:
            raise IsolationError("away.")

    def ability(self) -> Ability:
        self._answer()
        return self.able

    def read(self) -> Mapping[str, Limits]:
        self._answer()
        unknown = dict.fromkeys(map(str, set(Aspect) - self.able.aspects))
        return {
            uuid: replace(limits, **unknown)
            for uuid, limits in self.limits.items()
            if uuid not in self.stopped
        }

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        if self.killed_at_hold is not None and len(self.held) >= self.killed_at_hold:
            raise Killed
        assert set(aspects) <= self.able.aspects
        self.held.append((uuid, frozenset(aspects)))
        if uuid in self.refused:
            raise IsolationError(f"{uuid} refused.")
        if uuid in self.limits:
            taken = {str(each): getattr(limits, each) for each in set(aspects) - self.deaf}
            self.limits[uuid] = self.rounded(replace(self.limits[uuid], **taken))

    def rounded(self, limits: Limits) -> Limits:
        return limits


def seen(
    uuid: str,
    framework: str = CONTAINER,
    life: str = "1",
    made: str | None = None,
    state: str = "running",
    counters: Mapping[str, float] | None = None,
    created_at_s: float = 0,
    **declared: Any,
) -> SeenTask:
    """Give a task as a source sees it.

    :param made: its identifier at its back end; by default a container has one and a guest none.
    :param declared: of its declaration, besides one CPU and 64 MiB.
    """
    declaration = Declaration(**{"cpus": 1, "memory_mb": 64, **declared})
    if made is None:
        made = f"id-{uuid}" if framework == CONTAINER else ""
    return SeenTask(
        task=Task(uuid, framework, declaration.resources, state=state, created_at_s=created_at_s),
        counters=counters or {},
        life=life,
        declaration=declaration,
        backend_id=made,
    )
