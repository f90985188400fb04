# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dockerd as dockerd_module
import pytest
from dockerd import Dockerd
from oslo_config import cfg
from programs import Program, manage, run_manage
from rabbitmq import Broker, why_not
from waiting import wait_until

from hybrid_sched.conf import client as client_options
from hybrid_sched.db import Database
from hybrid_sched.quota.client import QuotaClient

PERIOD_S = 0.5


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Dockerd]:
    reason = dockerd_module.why_not()
    if reason is not None:
        pytest.skip(reason)
    # Not pytest's directory: its long name would not fit into the sockets' addresses.
    directory = Path(tempfile.mkdtemp(prefix="hs-dockerd-"))
    daemon = Dockerd(directory)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def running_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    broker = Broker(tmp_path_factory.mktemp("rabbitmq"))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def broker(running_broker: Broker) -> Broker:
    """Give a broker that runs, even after a test that killed it."""
    if not running_broker.is_running:
        running_broker.start()
    return running_broker


class Site:
    """The engine, agents and clients of one test, all on one broker."""

    def __init__(self, broker: Broker, directory: Path) -> None:
        self.broker = broker
        self.directory = directory
        self.programs: list[Program] = []
        self.database_url = f"sqlite:///{directory}/hybrid-sched.sqlite"
        Database(self.database_url).sync()
        self.engine = self.engine_program("engine")
        self._clients: list[QuotaClient] = []

    def program(self, name: str, label: str = "", **options: dict[str, Any]) -> Program:
        program = Program(name, self.directory, self.broker.url, label, options)
        self.programs.append(program)
        return program

    def engine_program(self, member_id: str, **quota: Any) -> Program:
        """Make an engine; all of one site have one database and one election."""
        return self.program(
            "hybrid-sched-engine",
            f"-{member_id}",
            quota={"period_s": PERIOD_S, **quota},
            database={"connection": self.database_url},
            coordination={
                "backend_url": f"file://{self.directory}/coordination",
                "member_id": member_id,
                "election_period_s": 0.1,
            },
        )

    def agent(self, host: str, **options: Any) -> Program:
        settings = {
            "host": host,
            "sources": "host",
            "isolators": "noop",
            "watchers": "noop",
            "period_s": PERIOD_S,
            "state_path": self.directory,
            **options,
        }
        agent = self.program("hybrid-sched-agent", f"-{host}", agent=settings)
        agent.start()
        return agent

    def client(self, **options: Any) -> QuotaClient:
        client_options.register(cfg.CONF)
        options = {"transport_url": self.broker.url, "refresh_period_s": 0.5, **options}
        for name, value in options.items():
            cfg.CONF.set_override(name, value, group="hybrid_sched")
        client = QuotaClient(cfg.CONF)
        self._clients.append(client)
        return client

    def ask(self, *arguments: str) -> Any:
        return manage(self.engine.config_file, *arguments)

    def ask_if_served(self, *arguments: str) -> Any:
        """Ask the engine, which may not be back on the broker yet; None when it does not answer in time."""
        done = run_manage(self.engine.config_file, *arguments, "-f", "json")
        if done.returncode == 1 and "did not answer within" in done.stderr:
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def wait_for_hosts(self, *names: str, timeout_s: float = 20) -> None:
        """Wait until just these hosts are fresh."""
        wait_until(
            lambda: (
                {row["Host"] for row in self.ask_if_served("hosts", "list") or () if row["Fresh"]}
                == set(names)
            ),
            f"hosts {names} are fresh",
            timeout_s,
        )

    def close(self) -> None:
        for client in self._clients:
            client.close()
        for program in self.programs:
            program.kill()


@pytest.fixture
def site(broker: Broker, tmp_path: Path) -> Iterator[Site]:
    cfg.CONF([], default_config_files=[])
    site = Site(broker, tmp_path)
    try:
        yield site
    finally:
        site.close()
        cfg.CONF.clear()
