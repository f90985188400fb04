# SPDX-License-Identifier: Apache-2.0
"""A ledger with one move: what a watchdog does with an executor, on a clock of the test's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from oslo_config import cfg

from hybrid_sched.conf import migration
from hybrid_sched.core.rebalancing.moves import IN_FLIGHT, Decision, Effect, MoveState
from hybrid_sched.core.rebalancing.readings import NO_USE
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.executor import MigrationExecutor, MoveUnavailable, Step

MOVE = "5f0c4a1e-0000-4000-8000-000000000001"


def conf(**options: Any) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    migration.register(made)
    made([], default_config_files=[])
    for name, value in options.items():
        made.set_override(name, value, group="migration")
    return made


def decision(task: str, framework: str, source: str, target: str) -> Decision:
    effect = Effect("vcpu", 1.0, 0.5, 0.2, 0.7)
    return Decision(
        task,
        framework,
        Resources(vcpu=1, memory_mb=256),
        NO_USE,
        source,
        target,
        "host is full",
        effect,
        1.0,
        0.5,
        0.1,
        0.0,
    )


class Ledger:
    """Keeps a move as JSON, as the database does.

    :param make: makes the executor of a new engine.
    """

    def __init__(self, make: Callable[[], MigrationExecutor], made: Decision) -> None:
        self._make = make
        self.executor = make()
        self.record = MoveRecord(MOVE, "plan", made, "x", state=MoveState.RUNNING)
        self.steps: list[str] = []
        self.due_s = 0.0

    @property
    def state(self) -> MoveState:
        return self.record.state

    @property
    def is_over(self) -> bool:
        return self.state not in IN_FLIGHT

    def step(self, now_s: float) -> Step | None:
        """Do a step and write it down; None when a service did not answer."""
        step = self.attempt()
        if step is None:
            self.due_s = now_s + 10
            return None
        self.record = replace(
            self.record,
            state=step.state,
            step=step.name,
            text=step.text,
            details=json.loads(json.dumps(dict(step.details))),
        )
        self.due_s = now_s + step.again_s
        if self.steps[-1:] != [step.name]:
            self.steps.append(step.name)
        return step

    def attempt(self) -> Step | None:
        """Do a step and forget what it came to."""
        next_of = self.executor.cancel if self.record.cancelling else self.executor.advance
        try:
            return next_of(self.record)
        except MoveUnavailable:
            return None

    def cancel(self) -> None:
        self.record = replace(self.record, cancelling=True)

    def kill(self) -> None:
        """Let another engine lead."""
        self.executor = self._make()
