# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from pathlib import Path

import pytest
from agents import Clock, conf

from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.service import AgentEndpoint
from hybrid_sched.agent.squeeze import Squeezer
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.interfaces.monitor import Observation

TOTALS = Observation(cpus=4, memory_mb=4096)


@pytest.fixture
def wake() -> threading.Event:
    return threading.Event()


@pytest.fixture
def endpoint(tmp_path: Path, wake: threading.Event) -> AgentEndpoint:
    return AgentEndpoint(wake.set, Squeezer(conf(), [], Replica(tmp_path, "a"), Clock()))


def test_an_order_wakes_the_agent_and_its_renewal_does_not(
    endpoint: AgentEndpoint, wake: threading.Event
) -> None:
    endpoint.squeeze({}, 1, {CONTAINER: "1/2"})
    assert wake.is_set()
    wake.clear()
    endpoint.squeeze({}, 1, {CONTAINER: "1/2"})
    assert not wake.is_set()
    endpoint.report_now({})
    assert wake.is_set()


def test_a_malformed_order_is_a_line_in_the_log(
    endpoint: AgentEndpoint, wake: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.squeeze({}, 1, {CONTAINER: 2})
    assert not wake.is_set()
    assert "Squeeze order refused (malformed): factors.container: 2 is not above 0" in caplog.text
