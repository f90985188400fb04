# SPDX-License-Identifier: Apache-2.0
"""Programs of neighbouring releases on one bus."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import oslo_messaging
import pytest
from oslo_config import cfg

from hybrid_sched.clients.engine import EngineClient, NoAnswer
from hybrid_sched.rpc import bus

_TIMEOUT_S = 5.0


class Endpoint:
    """An engine of some release.

    :param version: of its interface.
    """

    def __init__(self, version: str) -> None:
        self.target = oslo_messaging.Target(version=version)
        self.asked: list[str] = []

    def submit_tasks(self, _context: dict[str, Any], tasks: list[str]) -> dict[str, Any]:
        self.asked += tasks
        return {"faults": []}


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[str], Endpoint]]:
    monkeypatch.setattr(bus, "EXCHANGE", str(uuid.uuid4()))
    file = tmp_path / "test.conf"
    file.write_text("[DEFAULT]\ntransport_url = fake:/\n")
    cfg.CONF(["--config-file", str(file)])
    servers = []

    def start(version: str) -> Endpoint:
        endpoint = Endpoint(version)
        transport = bus.transport(cfg.CONF, "fake:/")
        servers.append(bus.server(transport, bus.ENGINE_TOPIC, "test", endpoint))
        servers[-1].start()
        return endpoint

    yield start
    for server in servers:
        server.stop()
    cfg.CONF.reset()


def submit(version: str) -> Any:
    client = EngineClient(cfg.CONF, version=version)
    return client.ask("submit_tasks", _TIMEOUT_S, {"tasks": ["one"]})


def test_an_engine_answers_programs_of_the_release_before(serve: Callable[[str], Endpoint]) -> None:
    endpoint = serve(bus.VERSION)
    assert submit(bus.FIRST_VERSION) == {"faults": []}
    assert submit(bus.VERSION) == {"faults": []}
    assert endpoint.asked == ["one", "one"]


def test_an_engine_of_the_release_before_does_nothing_that_it_would_do_wrong(
    serve: Callable[[str], Endpoint],
) -> None:
    endpoint = serve(bus.FIRST_VERSION)
    with pytest.raises(NoAnswer, match=r"older than 1\.1: upgrade every hybrid-sched-engine first"):
        submit(bus.VERSION)
    assert endpoint.asked == []
    assert submit(bus.FIRST_VERSION) == {"faults": []}
