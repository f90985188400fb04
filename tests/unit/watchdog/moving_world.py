# SPDX-License-Identifier: Apache-2.0
"""A small cloud with a real engine and a real ledger, and an executor that moves its tasks in four steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from oslo_config import cfg

from hybrid_sched.conf import quota as quota_options
from hybrid_sched.conf import watchdog as watchdog_options
from hybrid_sched.core import measures
from hybrid_sched.core.cluster import CONTAINER, FRAMEWORKS, HYPERVISOR, Task
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.terms import Terms
from hybrid_sched.db.watchdog import WatchdogStore
from hybrid_sched.executors.dry_run import DryRunExecutor
from hybrid_sched.interfaces.executor import MigrationExecutor, Step
from hybrid_sched.loading import PluginNotFound
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc.messages import HostReport
from hybrid_sched.watchdog.executors import Executors
from hybrid_sched.watchdog.orders import Orders
from hybrid_sched.watchdog.policy import LivePolicy
from hybrid_sched.watchdog.runner import WatchdogRunner
from hybrid_sched.watchdog.watch import Watch

PERIOD_S = 60.0
SETTLE_S = 90.0
CORES = 10
MEMORY_MB = 16_384


class Killed(BaseException):
    """The engine is killed here."""


class InlinePool(Executor):
    """Runs each step at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # as a pool keeps it for whoever asks
            future.set_exception(error)
        return future


class Relocator(MigrationExecutor):
    """The named fake: make a port, stop the source, start on the target, remove the port."""

    frameworks = frozenset(FRAMEWORKS)
    steps = ("make a port", "stop the source", "start on the target", "remove the port")

    def __init__(self, world: World) -> None:
        super().__init__(world.conf)
        self._world = world

    def apart(self) -> Sequence[frozenset[str]]:
        if isinstance(self._world.apart, Exception):
            raise self._world.apart
        return self._world.apart

    def closed(self) -> Mapping[str, str]:
        if isinstance(self._world.closed, Exception):
            raise self._world.closed
        return self._world.closed

    def advance(self, move: MoveRecord) -> Step:
        self._world.meet("step before")
        step = self._advanced(move)
        self._world.meet("step after")
        return step

    def cancel(self, move: MoveRecord) -> Step:
        self._world.meet("cancel before")
        world, made = self._world, move.decision
        if move.step == "started":
            return self._advanced(move)
        world.running[made.task] -= {made.target}
        world.start(made.task, made.source)
        world.ports.discard(move.uuid)
        self._world.meet("cancel after")
        return Step(MoveState.CANCELLED, "undone", text="It is back on its source.")

    def _advanced(self, move: MoveRecord) -> Step:
        world, made = self._world, move.decision
        if world.faults:
            raise world.faults.pop(0)
        if world.refusals:
            world.ports.discard(move.uuid)
            return Step(MoveState.FAILED, "refused", text=world.refusals.pop(0))
        if not move.step:
            world.ports.add(move.uuid)
            return Step(MoveState.RUNNING, "prepared", {"port": move.uuid})
        assert move.details == {"port": move.uuid}
        if move.step == "prepared":
            world.running[made.task] -= {made.source}
            return Step(MoveState.RUNNING, "stopped", move.details)
        if move.step == "stopped":
            if world.start(made.task, made.target):
                world.moved[move.uuid] += 1
            return Step(MoveState.RUNNING, "started", move.details, again_s=world.wait_s)
        world.ports.discard(move.uuid)
        return Step(MoveState.DONE, "cleaned", text="It runs on its target.")


class FragileStore(MoveStore):
    """The real ledger, of which each write may be the last thing that a program does, before or after it."""

    def __init__(self, database: Database, world: World) -> None:
        super().__init__(database)
        self._world = world

    def update(self, move: MoveRecord, expected: MoveState, term: int) -> bool:
        self._world.meet("write before")
        written = super().update(move, expected, term)
        self._world.meet("write after")
        return written

    def add(self, moves: Any, term: int) -> bool:
        self._world.meet("add before")
        written = super().add(moves, term)
        self._world.meet("add after")
        return written


class World:
    """Three hosts of ten cores; the first is driven into exhaustion by two large guests and a container."""

    def __init__(self, database: Database, **options: Any) -> None:
        self.now_s = 1e9
        self.database = database
        self.conf = cfg.ConfigOpts()
        self.conf.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
        self.conf.register_opts(watchdog_options.OPTIONS, group=cfg.OptGroup("watchdog"))
        self.conf([], default_config_files=[])
        named = {HYPERVISOR: "relocator", CONTAINER: "relocator"}
        self.set(mode="on", executors=named, settle_s=SETTLE_S, **options)
        self.tasks = {
            "big": self.task("big", HYPERVISOR),
            "mid": self.task("mid", CONTAINER),
            "small": self.task("small", HYPERVISOR),
        }
        self.cores = {"big": 4.0, "mid": 3.0, "small": 2.0}
        self.running: dict[str, set[str]] = {name: {"a"} for name in self.tasks}
        self.rest = {"a": 0.0, "b": 0.0, "c": 0.0}
        self.ports: set[str] = set()
        self.refusals: list[str] = []
        self.faults: list[Exception] = []
        self.apart: Sequence[frozenset[str]] | Exception = ()
        self.closed: Mapping[str, str] | Exception = {}
        #: How often each move has started its task on the target.
        self.moved: Counter[str] = Counter()
        self.wait_s = 0.0
        self.meet: Callable[[str], None] = lambda _point: None
        self.moves = FragileStore(database, self)
        self.settings = WatchdogStore(database)
        self.terms = Terms(database)
        self._sequence = 0
        self.take_over()

    @staticmethod
    def task(uuid: str, framework: str, **changes: Any) -> Task:
        return Task(
            uuid, framework, Resources(vcpu=4, memory_mb=1024), **{"movable": True, **changes}
        )

    def set(self, **options: Any) -> None:
        for name, value in options.items():
            self.conf.set_override(name, value, group="watchdog")

    def clock(self) -> float:
        return self.now_s

    def make(self, name: str, conf: cfg.ConfigOpts) -> MigrationExecutor:
        if name == "relocator":
            return Relocator(self)
        if name == "dry_run":
            return DryRunExecutor(conf)
        raise PluginNotFound(f"there is no plug-in {name!r}")

    def start_rival(self, host: str) -> None:
        """Add a task of little use, which others may have to be apart from."""
        self.tasks["rival"] = self.task("rival", HYPERVISOR)
        self.cores["rival"], self.running["rival"] = 0.1, {host}

    def start(self, task: str, host: str) -> bool:
        """Start a task unless it runs there already; says whether it was started."""
        starts = host not in self.running[task]
        self.running[task].add(host)
        assert len(self.running[task]) == 1, f"{task} runs twice: {self.running[task]}"
        return starts

    def take_over(self) -> None:
        """Let another engine lead, which knows nothing but what is in the database."""
        self.term = self.terms.begin("test", self.now_s)
        self.engine = Engine(self.conf, self.term, None, self.clock, self.clock)
        self.executors = Executors(self.conf, self.make)
        self.policy = LivePolicy(
            self.conf, self.engine, self.moves, self.settings, self.executors, self.clock
        )
        parts = (self.moves, self.settings, self.policy, self.executors)
        watch = Watch(self.conf, *parts, self.term, self.clock)
        self.runner = WatchdogRunner(watch, InlinePool())
        self.orders = Orders(watch, self.runner)
        self.report()

    def report(self) -> None:
        """Let all agents report, and the engine work out its snapshot."""
        self._sequence += 1
        for host, rest in self.rest.items():
            here = [
                self.tasks[each] for each, hosts in sorted(self.running.items()) if host in hosts
            ]
            used = rest + sum(self.cores[task.uuid] for task in here)
            told = HostReport(
                host=host,
                boot_id="boot",
                sequence=self._sequence,
                sampled_at_s=self.now_s,
                capacity=Resources(vcpu=40, memory_mb=MEMORY_MB),
                cpus=CORES,
                memory_mb=MEMORY_MB,
                tasks=tuple(here),
                measured={measures.CPU_CORES: used, measures.MEMORY_USED_MB: 1024.0},
                task_measured={
                    task.uuid: {measures.CPU_CORES: self.cores[task.uuid]} for task in here
                },
            )
            self.engine.take_report(told)
        self.engine.run_cycle()

    def period(self) -> None:
        """Let a period pass, with one round at its end and some for the steps."""
        self.now_s += PERIOD_S
        self.report()
        self.rounds()

    def rounds(self, count: int = 8) -> None:
        for _ in range(count):
            self.runner.run_round()

    def ledger(self) -> list[MoveRecord]:
        return self.moves.newest(1000)[::-1]

    def where(self) -> dict[str, list[str]]:
        return {task: sorted(hosts) for task, hosts in self.running.items()}

    def one(self) -> MoveRecord:
        [move] = self.ledger()
        return move
