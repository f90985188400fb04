# SPDX-License-Identifier: Apache-2.0
"""All of one sequence: two engines, hosts with agents, and a scheduler that asks for reservations; faults to do to them."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import oslo_messaging
from agents import Host
from engines import EngineProcess, use_addresses
from oslo_config import cfg
from proxy import Doors
from rabbitmq import Broker
from waiting import wait_until

from hybrid_sched.core.resources import Resources
from hybrid_sched.rpc import bus

PERIOD_S = 0.2
ENGINES = ("east", "west")
HOSTS = ("h1", "h2", "h3")
DOORS = (*ENGINES, "agents", "scheduler")

#: Reconnect at once: what is tested is what follows, not the pause before.
BUS_OPTIONS = {"kombu_reconnect_delay": 0, "rabbit_retry_backoff": 0, "rabbit_interval_max": 1}
_ENGINE_OPTIONS: dict[str, dict[str, Any]] = {
    "DEFAULT": {},
    "oslo_messaging_rabbit": BUS_OPTIONS,
    "quota": {
        "period_s": PERIOD_S,
        "report_max_age_s": 60,
        "clock_skew_s": 1,
        "forget_host_after_s": 3600,
        "reservation_ttl_s": 3600,
    },
    "coordination": {"election_period_s": 0.05},
}


@dataclass
class Ground:
    """What outlives a sequence.

    :param broker: that is real.
    :param doors: to it.
    :param context: that engines are made of.
    :param database: a file with the tables and nothing else.
    :param scheduler: transport of the one who reserves.
    :param agents: transport of the agents.
    :param broker_restarts_left: they take seconds, so that there are few of them.
    :param counts: of what was done.
    :param whole_after_s: times from the end of a leader until a standby knew all again.
    """

    broker: Broker
    doors: Doors
    context: Any
    database: Path
    scheduler: Any
    agents: Any
    broker_restarts_left: int
    counts: Counter[str] = field(default_factory=Counter)
    whole_after_s: list[float] = field(default_factory=list)


class Cluster:
    """One cluster, with addresses and files of its own.

    :param ground: what it stands on.
    :param directory: for all files.
    :param label: of its addresses.
    """

    def __init__(self, ground: Ground, directory: Path, label: str) -> None:
        self._ground = ground
        self._coordination = directory / "coordination"
        self._database = directory / "hybrid-sched.sqlite"
        shutil.copy(ground.database, self._database)
        use_addresses(label)
        self.engines = {
            name: EngineProcess(ground.context, name, directory, label, self._options(name))
            for name in ENGINES
        }
        engine = bus.client(ground.agents, bus.ENGINE_TOPIC).prepare(
            retry=0, transport_options=oslo_messaging.TransportOptions(at_least_once=True)
        )
        self.hosts = {
            name: Host(name, directory, lambda report: engine.cast({}, "report", report=report))
            for name in HOSTS
        }
        self._engine = bus.client(ground.scheduler, bus.ENGINE_TOPIC)
        for process in self.engines.values():
            process.start()

    def _options(self, engine: str) -> dict[str, dict[str, Any]]:
        return {
            **_ENGINE_OPTIONS,
            "DEFAULT": {"transport_url": self._ground.doors.url(engine)},
            "database": {"connection": f"sqlite:///{self._database}"},
            "coordination": {
                **_ENGINE_OPTIONS["coordination"],
                "backend_url": f"file://{self._coordination}",
            },
        }

    def ask(
        self,
        method: str,
        timeout_s: float | None = None,
        again_after_s: float = math.inf,
        **arguments: Any,
    ) -> Any:
        """Call the leading engine; None when no answer comes.

        One that has just begun to lead, or leads no more, says so and is asked again, as by the plug-ins.

        :param timeout_s: how long to wait; by default long where an engine can answer and short where none can.
        :param again_after_s: after which the question is asked anew, since the engine that had it may be dead.
        """
        if timeout_s is None:
            timeout_s = 2 if any(e.answers for e in self.engines.values()) else 0.2
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            engine = self._engine.prepare(timeout=min(left_s, again_after_s))
            try:
                return engine.call({}, method, **arguments)
            except oslo_messaging.RemoteError as error:
                if error.exc_type not in {"Deposed", "NotReady"}:
                    raise
                time.sleep(0.05)
            except oslo_messaging.MessagingException:
                if math.isinf(again_after_s):
                    break
        self._ground.counts[f"no answer to {method}"] += 1
        return None

    @property
    def term(self) -> int:
        """Give the newest term."""
        return self._rows("SELECT term FROM terms")[0][0]

    @property
    def leader(self) -> EngineProcess | None:
        """Give the engine that began the newest term, if it runs."""
        holder = self._rows("SELECT holder FROM terms")[0][0]
        engine = self.engines.get(holder)
        return engine if engine is not None and engine.is_alive else None

    @property
    def standby(self) -> EngineProcess:
        """Give the other one, whether it runs or not."""
        leader = self.leader
        return next(engine for engine in self.engines.values() if engine is not leader)

    def reservations(self) -> dict[str, tuple[str, Resources]]:
        """Give what the database promises, by request: framework and demand."""
        rows = self._rows("SELECT request_uuid, framework, demand, count FROM reservations")
        assert all(count == 1 for *_, count in rows)
        return {uuid: (name, Resources.parse(json.loads(demand))) for uuid, name, demand, _ in rows}

    def wait_until_led(self) -> None:
        """Wait until the engine that leads has said so in its log."""
        wait_until(
            lambda: self.leader and f"Serving. Term {self.term}." in self.leader.log_text(),
            "an engine leads",
        )

    def depose(self) -> EngineProcess | None:
        """Freeze the leader and let its lock run out, so that the other engine leads; gives the frozen one."""
        leader = self.leader
        if leader is None:
            return None
        other, term = self.standby, self.term
        leader.freeze()
        # The lock of a file never runs out. Who opens the file anew gets another one.
        if other.is_alive:
            other.kill()
        (self._coordination / "hybrid-sched-engine").unlink()
        other.start()
        # It has to start first, on a machine that may be busy with others.
        wait_until(lambda: self.term > term, "the standby leads", timeout_s=60)
        return leader

    def restart_broker(self) -> None:
        """End the broker at once and start it again."""
        self._ground.broker.kill()
        self._ground.broker.start()

    def close(self) -> None:
        for engine in self.engines.values():
            if engine.is_alive:
                engine.kill()
        for host in self.hosts.values():
            host.close()

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self._database, timeout=10)) as connection:
            return connection.execute(query).fetchall()


def open_transport(url: str) -> Any:
    """Open the bus of this process; the options are those of a file, as in the programs."""
    return bus.transport(cfg.CONF, url)
