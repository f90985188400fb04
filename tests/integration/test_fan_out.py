# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator

import pytest
from oslo_config import cfg
from rabbitmq import Broker
from waiting import wait_until

from hybrid_sched.rpc import bus

_TOPIC = "hybrid-sched-test-fan-out"


class Listener:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[int] = []

    def said(self, context: object, number: int) -> None:
        """Take a number."""
        self.heard.append(number)


@pytest.fixture
def transport(broker: Broker) -> Iterator[object]:
    cfg.CONF([], default_config_files=[])
    transport = bus.transport(cfg.CONF, broker.url)
    yield transport
    transport.cleanup()
    cfg.CONF.clear()


def test_the_last_listener_goes_and_the_next_one_hears_what_is_said_then(broker, transport):
    fan_out = bus.FanOut(transport, _TOPIC)
    heard = []
    for number in range(3):
        listener = Listener()
        # A transport of its own, as another process has: its end takes its queue along at once.
        others = bus.transport(cfg.CONF, broker.url)
        server = bus.server(others, _TOPIC, "one", listener)
        server.start()
        fan_out.cast("said", number=number)
        wait_until(lambda listener=listener: listener.heard, "it is heard")
        server.stop()
        server.wait()
        others.cleanup()
        wait_until(
            lambda: not broker.has_exchange(f"{_TOPIC}_fanout"), "the exchange goes with its queue"
        )
        fan_out.cast("said", number=-1)
        heard.append(listener.heard)
    assert heard == [[0], [1], [2]]
