# SPDX-License-Identifier: Apache-2.0
"""A bus in memory for tests of the quota client."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from emulators import EngineEmulator
from oslo_config import cfg

from hybrid_sched.conf import client as options
from hybrid_sched.quota.client import QuotaClient
from hybrid_sched.rpc import bus


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., cfg.ConfigOpts]]:
    """Set options; oslo.messaging reads some of its own from the global ones, so they are these."""
    monkeypatch.setattr(bus, "EXCHANGE", str(uuid.uuid4()))
    options.register(cfg.CONF)
    cfg.CONF([], default_config_files=[])

    def make(**values: Any) -> cfg.ConfigOpts:
        for name, value in values.items():
            cfg.CONF.set_override(name, value, group="hybrid_sched")
        return cfg.CONF

    make(transport_url="fake:/", first_snapshot_timeout_s=0.0)
    yield make
    for option in options.OPTIONS:
        cfg.CONF.clear_override(option.name, group="hybrid_sched")
    cfg.CONF.reset()


@pytest.fixture
def serve(conf: Callable[..., cfg.ConfigOpts]) -> Iterator[Callable[[object], None]]:
    """Serve an endpoint under the engine's topic for as long as the test lasts."""
    transport = bus.transport(conf(), "fake:/")
    servers = []

    def start(endpoint: object) -> None:
        server = bus.server(transport, bus.ENGINE_TOPIC, "test", endpoint)
        servers.append(server)
        server.start()

    yield start
    # Nobody else is on its bus, so that nothing needs to wait for its threads.
    for server in servers:
        server.stop()


@pytest.fixture
def emulator(serve: Callable[[object], None]) -> Iterator[EngineEmulator]:
    made = EngineEmulator()
    serve(made)
    yield made
    made.open.set()
    made.talks.set()


@pytest.fixture
def client_of(conf: Callable[..., cfg.ConfigOpts]) -> Iterator[Callable[..., QuotaClient]]:
    """Make clients that end with the test."""
    made: list[QuotaClient] = []

    def make(**values: Any) -> QuotaClient:
        made.append(QuotaClient(conf(**values)))
        return made[-1]

    yield make
    for client in made:
        client.close()
