# SPDX-License-Identifier: Apache-2.0
"""What tests of the agent have in common: options, a clock that is set by hand, sources and back ends in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from oslo_config import cfg

from hybrid_sched.agent.clock import Instant
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError


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
