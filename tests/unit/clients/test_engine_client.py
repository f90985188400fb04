# SPDX-License-Identifier: Apache-2.0
"""The client of the quota service on oslo.messaging's in-memory bus, and on brokers that are not there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import oslo_messaging
import pytest
from oslo_config import cfg

from hybrid_sched.clients.engine import EngineClient, NoAnswer
from hybrid_sched.rpc import bus


class Endpoint:
    """Answers, fails and waits."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.reached = threading.Semaphore(0)

    def echo(self, _context: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        return arguments

    def fail(self, _context: dict[str, Any]) -> None:
        # As a driver of a real broker gives what failed elsewhere.
        raise oslo_messaging.RemoteError("LookupError", "there is no such thing", ["Traceback"])

    def wait(self, _context: dict[str, Any]) -> None:
        self.reached.release()
        self.go_on.wait(60)


@pytest.fixture
def conf() -> Iterator[cfg.ConfigOpts]:
    cfg.CONF([], default_config_files=[])
    yield cfg.CONF
    cfg.CONF.clear()
    cfg.CONF.reset()


@pytest.fixture
def endpoint(conf: cfg.ConfigOpts) -> Iterator[Endpoint]:
    transport = bus.transport(conf, "fake://")
    conf.set_override("transport_url", "fake://")
    endpoint = Endpoint()
    server = bus.server(transport, bus.ENGINE_TOPIC, "test", endpoint)
    server.start()
    yield endpoint
    endpoint.go_on.set()
    server.stop()
    server.wait()
    transport.cleanup()


@pytest.fixture
def client(conf: cfg.ConfigOpts, endpoint: Endpoint) -> Iterator[EngineClient]:
    client = EngineClient(conf, most_under_way=2)
    yield client
    endpoint.go_on.set()
    client.close()


def test_an_answer_is_given(client: EngineClient) -> None:
    assert client.ask("echo", 10, {"names": ["a"]}) == {"names": ["a"]}
    # Places are given back.
    for number in range(5):
        assert client.ask("echo", 10, {"number": number}) == {"number": number}


def test_a_fault_of_the_engine_is_one_sentence_without_its_traceback(client: EngineClient) -> None:
    with pytest.raises(NoAnswer) as told:
        client.ask("fail", 10, {})
    assert str(told.value) == "The quota service cannot answer: there is no such thing"


def test_an_engine_that_does_not_answer_in_time_is_told(client: EngineClient) -> None:
    with pytest.raises(
        NoAnswer, match=r"did not answer within 0\.1 s: check that hybrid-sched-engine"
    ):
        client.ask("wait", 0.1, {})


def test_questions_that_hang_do_not_pile_up(client: EngineClient, endpoint: Endpoint) -> None:
    asked = [
        threading.Thread(target=lambda: client.ask("wait", 60, {}), daemon=True) for _ in range(2)
    ]
    for thread in asked:
        thread.start()
    for _ in asked:
        assert endpoint.reached.acquire(timeout=60)
    with pytest.raises(NoAnswer, match="Too many questions"):
        client.ask("echo", 10, {})
    endpoint.go_on.set()
    for thread in asked:
        thread.join(60)
    assert client.ask("echo", 10, {}) == {}


def test_a_broker_that_cannot_be_named_is_told(conf: cfg.ConfigOpts) -> None:
    conf.set_override("transport_url", "nonsense://")
    with pytest.raises(NoAnswer, match=r"cannot be asked .*check \[DEFAULT\] transport_url"):
        EngineClient(conf).ask("echo", 1, {})
