# SPDX-License-Identifier: Apache-2.0
"""Hosts with the real code of the agent, driven step by step; what they run is scripted, and their wire has faults."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from oslo_config import cfg

from hybrid_sched.agent.inspection import Inspector
from hybrid_sched.agent.outbox import Outbox
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import NoTotals
from hybrid_sched.agent.rounds import Round
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import FRAMEWORKS, HYPERVISOR, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SeenTask, SourceError
from hybrid_sched.rpc.wire import Wire

CPUS = 16
MEMORY_MB = 65536
#: Of every host: no ratios, nothing kept for the host itself.
CAPACITY = Resources(vcpu=CPUS, memory_mb=MEMORY_MB)


class Fate(StrEnum):
    """What becomes of the next report on its way."""

    ARRIVES = "arrives"
    #: It is taken, and arrives later, after others.
    HELD = "held"
    TWICE = "arrives twice"
    #: It arrives, and the agent does not learn of it.
    CONFIRM_LOST = "confirm lost"
    REFUSED = "refused"
    #: The agent is killed before the broker has it.
    KILLED_BEFORE = "agent killed before"
    #: The agent is killed when the broker has it, before it notes that.
    KILLED_AFTER = "agent killed after"


class Killed(BaseException):
    """The agent ends here, without a goodbye: not even its handlers of exceptions run."""


class Wires:
    """The way of one agent's reports to the bus.

    :param cast: gives a message to the real broker.
    """

    def __init__(self, cast: Callable[[object], None]) -> None:
        self._cast = cast
        self._numbered: dict[tuple[str, int], Wire] = {}
        #: Numbers that two different reports had, which must never be.
        self.numbered_twice: list[tuple[str, int]] = []
        self.fate = Fate.ARRIVES
        self.held: list[Wire] = []
        self.last: Wire | None = None
        self.sent = 0

    def send(self, report: Wire) -> None:
        """Take a report from the outbox."""
        number = report["boot_id"], report["sequence"]
        if report != self._numbered.setdefault(number, copy.deepcopy(report)):
            self.numbered_twice.append(number)
        fate, self.fate = self.fate, Fate.ARRIVES
        if fate is Fate.KILLED_BEFORE:
            raise Killed
        if fate is Fate.REFUSED:
            raise ConnectionError
        if fate is Fate.HELD:
            self.held.append(report)
            return
        for _ in range(2 if fate is Fate.TWICE else 1):
            self.deliver(report)
            self.last = report
        if fate is Fate.CONFIRM_LOST:
            raise ConnectionError
        if fate is Fate.KILLED_AFTER:
            raise Killed

    def deliver(self, message: object) -> None:
        """Give a message to the broker."""
        self._cast(message)
        self.sent += 1

    def deliver_held(self, place: int) -> None:
        """Let one of the reports that are held arrive."""
        self.deliver(self.held[place])
        # Only now: the broker may have refused it.
        del self.held[place]


class ScriptedSource(MonitorSource):
    """Stands in for libvirt or Docker.

    :param host: whose tasks it lists.
    :param framework: the tasks' framework.
    """

    def __init__(self, host: Host, framework: str) -> None:
        self._host = host
        self.framework = framework

    def collect(self) -> Observation:
        if self.framework in self._host.failing:
            raise SourceError("it hangs")
        tasks = [t for t in self._host.tasks.values() if t.framework == self.framework]
        totals = self.framework == HYPERVISOR
        return Observation(
            tuple(SeenTask(task) for task in tasks),
            cpus=CPUS if totals else None,
            memory_mb=MEMORY_MB if totals else None,
        )


class Host:
    """One host: its tasks, and its agent.

    :param name: of the host.
    :param directory: for the agent's state.
    :param cast: gives a message to the real broker.
    """

    def __init__(self, name: str, directory: Path, cast: Callable[[object], None]) -> None:
        self.name = name
        self._directory = directory
        config_file = directory / f"{name}.conf"
        config_file.write_text(
            f"[agent]\nhost = {name}\ncpu_allocation_ratio = 1\nreserved_memory_mb = 0\n"
        )
        # The values are in a file, because all instances share what is set otherwise.
        self._conf = cfg.ConfigOpts()
        agent_options.register(self._conf)
        self._conf(["--config-file", str(config_file)], project="hybrid-sched")
        self._sources = [(name, ScriptedSource(self, name)) for name in FRAMEWORKS]
        self.wires = Wires(cast)
        self.tasks: dict[str, Task] = {}
        self.failing: set[str] = set()
        self.clock_offset_s = 0.0
        self.kills = 0
        self._open()

    def report(self) -> None:
        """Look, and send what waits; the agent that is killed on the way starts again."""
        try:
            findings = self._inspector.inspect(Round(report=True))
            sampled_at_s = findings.report.sampled_at_s + self.clock_offset_s
            report = replace(findings.report, sampled_at_s=sampled_at_s)
            self._outbox.put(replace(findings, report=report))
            self._outbox.send_waiting()
        except NoTotals:
            # As the service: a host whose state was lost reports once a source has told what it has.
            return
        except Killed:
            self.kill()

    def kill(self) -> None:
        """Kill the agent and start another one, which has the file of the first."""
        self.kills += 1
        # The kernel gives back the lock of a process that ended.
        self._replica.close()
        self._open()

    def lose_disk(self) -> None:
        """Kill the agent and take away its file."""
        (self._directory / f"{self.name}.json").unlink(missing_ok=True)
        self.kill()

    def close(self) -> None:
        self._replica.close()

    def _open(self) -> None:
        self._replica = Replica(self._directory, self.name)
        self._inspector = Inspector(self._conf, self._sources, [], self._replica)
        self._outbox = Outbox(self._conf, self._replica, self.wires.send, self._now_s)

    def _now_s(self) -> float:
        return time.time() + self.clock_offset_s


def _with(**fields: Any) -> Callable[[Wire], Wire]:
    # Were one of them taken, its number would keep out all that come after it.
    return lambda report: {**report, "sequence": report["sequence"] + 1_000_000, **fields}


def _without(field: str) -> Callable[[Wire], object]:
    return lambda report: {n: value for n, value in _with()(report).items() if n != field}


_TASK = {"uuid": "x", "framework": HYPERVISOR, "demand": {"vcpu": 1}}
#: Reports that must change nothing, by what is wrong with them; made of a good one.
RUBBISH: dict[str, Callable[[Wire], object]] = {
    "no dictionary": lambda _report: [1, 2, 3],
    "no host": _without("host"),
    "no tasks": _without("tasks"),
    "negative sequence": _with(sequence=-1),
    "capacity is text": _with(capacity="much"),
    "negative capacity": _with(capacity={"vcpu": -1}),
    "tasks of nobody": _with(tasks=[{**_TASK, "framework": "nobody"}]),
    "one task twice": _with(tasks=[_TASK, _TASK]),
    "no CPUs": _with(cpus=0),
    "more CPU time than CPUs": _with(measured={"cpu_cores": 10.0 * CPUS}),
    "more memory than there is": _with(measured={"memory_used_mb": 2.0 * MEMORY_MB}),
    "more than all of the time": _with(measured={"cpu_stall_fraction": 1.5}),
    "of yesterday": lambda report: _with(sampled_at_s=report["sampled_at_s"] - 86400)(report),
    "of tomorrow": lambda report: _with(sampled_at_s=report["sampled_at_s"] + 86400)(report),
}
