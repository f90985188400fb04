# SPDX-License-Identifier: Apache-2.0
"""A runner with the real store, a fake cloud of each framework, and a planner that starts everything in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fake_cloud import FakeCloud, Killed
from oslo_config import cfg

from hybrid_sched.conf import queue as queue_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.queued import QueuedTask, QueuePlan, Start, TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.db.terms import Terms
from hybrid_sched.queue.runner import QueueRunner, Round

PERIOD_S = 5.0
SETTLE_S = 20.0


class InOrder:
    """Starts every task that may be started, in the order of arrival, on one host."""

    def __init__(self) -> None:
        self.doomed: dict[str, str] = {}
        self.blocked: dict[str, str] = {}

    def plan(self, tasks: Sequence[QueuedTask], blocked: Mapping[str, str], now_s: float) -> Round:
        self.blocked = dict(blocked)
        waiting = sorted(
            (task for task in tasks if task.state is TaskState.WAITING),
            key=lambda task: task.position,
        )
        starts = [
            Start(task.uuid, "h1", "It is its turn.")
            for task in waiting
            if not {task.uuid} & (blocked.keys() | self.doomed.keys())
            and task.not_before_s <= now_s
        ]
        hopeless = {
            task.uuid: self.doomed[task.uuid] for task in waiting if task.uuid in self.doomed
        }
        return Round(QueuePlan(tuple(starts)), hopeless)


class World:
    """Everything that a runner works on; a new runner may take over at any time."""

    def __init__(self, database: Database, **cloud: Any) -> None:
        self.now_s = 1_000_000.0
        self.conf = cfg.ConfigOpts()
        # A group of its own, for oslo.config shares one between all that register it, with the values that are set.
        self.conf.register_group(cfg.OptGroup(queue_options.GROUP.name))
        self.conf.register_opts(queue_options.OPTIONS, group=queue_options.GROUP.name)
        self.conf([], default_config_files=[])
        self.options(settle_s=SETTLE_S, launch_threads=1, retry_pause_s=PERIOD_S)
        self.terms = Terms(database)
        self.store = TaskStore(database)
        self.guests = FakeCloud(self.clock_s, **cloud)
        self.containers = FakeCloud(self.clock_s, **cloud)
        self.planner = InOrder()
        self.launchers: dict[str, Any] = {HYPERVISOR: self.guests, CONTAINER: self.containers}
        #: Clouds of other projects, by framework and trust.
        self.trusted: dict[tuple[str, str], FakeCloud] = {}
        self.trusts_ended: list[str] = []
        self.keystone_is_down = False
        self.runner = self.take_over()

    def options(self, **values: object) -> None:
        for name, value in values.items():
            self.conf.set_override(name, value, group="queue")

    def clock_s(self) -> float:
        return self.now_s

    def take_over(self) -> QueueRunner:
        """Begin a new term with a runner that knows nothing but the database."""
        self.term = self.terms.begin("test", self.now_s)
        self.runner = QueueRunner(
            *(self.conf, self.store, self.launchers, self.planner, self.term, self.clock_s),
            make_trusted=lambda framework, trust_id: self.trusted.get((framework, trust_id)),
            end_trust=self._end_trust,
        )
        return self.runner

    def trust(self, trust_id: str, framework: str = HYPERVISOR) -> FakeCloud:
        """Make the cloud of a project that trusts the engine."""
        self.trusted[framework, trust_id] = FakeCloud(self.clock_s)
        return self.trusted[framework, trust_id]

    def _end_trust(self, trust_id: str) -> bool:
        if not self.keystone_is_down:
            self.trusts_ended.append(trust_id)
        return not self.keystone_is_down

    def add(self, *names: str, framework: str = HYPERVISOR, **fields: Any) -> list[str]:
        tasks = [
            QueuedTask(
                uuid=f"task-{name}",
                name=name,
                framework=framework,
                kind="kind",
                submitted_at_s=self.now_s,
                **{"demand": Resources(vcpu=1), **fields},
            )
            for name in names
        ]
        self.store.add(tasks, self.term)
        return [task.uuid for task in tasks]

    def rounds(self, count: int = 1) -> None:
        for _ in range(count):
            self.runner.run_round()
            self.pass_time()

    def pass_time(self) -> None:
        self.now_s += PERIOD_S
        self.guests.tick()
        self.containers.tick()
        for cloud in self.trusted.values():
            cloud.tick()

    def until_all_ended(self, most: int = 200) -> None:
        for _ in range(most):
            if not self.store.unfinished():
                return
            self.rounds()
        raise AssertionError(f"after {most} rounds: {self.store.unfinished()}")

    def survive(self, most: int = 200) -> int:
        """Run rounds until all tasks have ended; whenever the program is killed, a new one takes over. Gives how often."""
        killed = 0
        for _ in range(most):
            if not self.store.unfinished():
                return killed
            try:
                self.rounds()
            except Killed:
                killed += 1
                self.pass_time()
                self.take_over()
        raise AssertionError(f"after {most} rounds: {self.store.unfinished()}")

    def task(self, uuid: str) -> QueuedTask:
        task = self.store.get(uuid)
        assert task is not None
        return task

    def state(self, uuid: str) -> TaskState:
        return self.task(uuid).state

    def settle(self) -> None:
        """Run rounds until whatever was left over is gone."""
        self.rounds(int(3 * SETTLE_S / PERIOD_S))
