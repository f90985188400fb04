# SPDX-License-Identifier: Apache-2.0
"""Real agents that are killed, and a broker that goes away: what arrives at the engine's topic."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import oslo_messaging
import psutil
import pytest
from conftest import PERIOD_S, Site
from oslo_config import cfg
from programs import Program
from rabbitmq import Broker
from waiting import wait_until

from hybrid_sched.agent.rates import SHORTEST_WINDOW_S
from hybrid_sched.agent.replica import from_bytes
from hybrid_sched.agent.state import State
from hybrid_sched.core.measures import CPU_CORES
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import HostReport, report_from_wire


class Engine:
    """Takes what the agent of one test sends to the engine, and nothing else of it.

    The queue outlasts a test, with what was sent to it.
    """

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self, broker: Broker, host: str) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._reports: list[HostReport] = []
        self._transport = bus.transport(cfg.CONF, broker.url)
        self._server = bus.server(self._transport, bus.ENGINE_TOPIC, "test", self)
        # One thread, so that what is sent in order is noted in order.
        self._server.start(override_pool_size=1)
        self.agents = bus.client(self._transport, bus.AGENT_TOPIC, fanout=True)

    def report(self, _context: object, report: Any) -> None:
        read = report_from_wire(report)
        with self._lock:
            if read.host == self._host:
                self._reports.append(read)

    # Of the test, not of the bus.
    def _received(self) -> list[HostReport]:
        with self._lock:
            return list(self._reports)

    received = property(_received)

    def close(self) -> None:
        self._server.stop()
        self._server.wait()
        self._transport.cleanup()


@pytest.fixture
def host(site: Site) -> str:
    """Give the host a name of its own in each test."""
    return site.directory.name


@pytest.fixture
def consumer(site: Site, host: str) -> Iterator[Engine]:
    engine = Engine(site.broker, host)
    yield engine
    engine.close()


def written(site: Site) -> State:
    """Read what the agent has on disk; none yet is no report yet."""
    path = site.directory / f"{site.directory.name}.json"
    return from_bytes(path.read_bytes()) if path.exists() else State("none")


def accepted(reports: list[HostReport]) -> list[HostReport]:
    """Give what the engine would take.

    A kill between the broker's confirm and the note of it repeats a report. It must be the same one, right after it.
    """
    taken: list[HostReport] = []
    for report in reports:
        if taken and report.sequence == taken[-1].sequence:
            assert report == taken[-1]
        else:
            taken.append(report)
    return taken


def assert_sound(reports: list[HostReport]) -> None:
    assert len({report.boot_id for report in reports}) == 1
    for before, after in pairwise(reports):
        assert after.sequence > before.sequence
        assert after.sampled_at_s >= before.sampled_at_s
    for report in reports:
        for name, figure in report.measured.items():
            assert figure >= 0, (report.sequence, name)
        assert report.measured.get(CPU_CORES, 0) <= report.cpus * 1.05, report.sequence


def newest(consumer: Engine) -> int:
    return max((report.sequence for report in consumer.received), default=0)


def wait_for(consumer: Engine, sequence: int, timeout_s: float = 30) -> None:
    wait_until(lambda: newest(consumer) >= sequence, f"report {sequence} has arrived", timeout_s)


def kill_worker(agent: Program) -> None:
    """Kill the process that reports; the one that watches it starts another."""
    (worker,) = psutil.Process(agent.process.pid).children()
    os.kill(worker.pid, signal.SIGKILL)


def test_an_agent_that_is_killed_again_and_again_loses_and_repeats_no_number(
    site: Site, host: str, consumer: Engine
) -> None:
    chance = random.Random(5)
    agent = site.agent(host)
    for number in range(6):
        wait_for(consumer, newest(consumer) + 2)
        time.sleep(chance.random() * PERIOD_S)  # any moment of the period
        newest_before = newest(consumer)
        if number % 2:
            kill_worker(agent)
        else:
            agent.kill()
            agent.start()
        wait_for(consumer, newest_before + 2)
    assert agent.stop() == 0

    reports = accepted(consumer.received)
    assert_sound(reports)
    sequences = [report.sequence for report in reports]
    assert sequences == list(range(1, sequences[-1] + 1))
    # A restart costs no rate: the counters before it are on disk.
    assert CPU_CORES not in reports[0].measured
    for before, after in pairwise(reports):
        if after.sampled_at_s - before.sampled_at_s > SHORTEST_WINDOW_S + 0.05:
            assert CPU_CORES in after.measured, after.sequence
    assert list(site.directory.glob("*.damaged-*")) == []


def test_reports_wait_for_the_broker_and_arrive_in_order(
    site: Site, host: str, consumer: Engine
) -> None:
    agent = site.agent(host, unsent_reports_kept=200, unsent_max_age_s=120)
    wait_for(consumer, 2)
    site.broker.kill()
    away_at = written(site).sequence
    wait_until(lambda: written(site).sequence >= away_at + 4, "looks go on")
    # What waits outlives a kill, too.
    agent.kill()
    agent.start()
    wait_until(lambda: written(site).sequence >= away_at + 7, "looks go on")
    last_away = written(site).sequence
    site.broker.start()
    wait_for(consumer, last_away + 2, 60)

    reports = accepted(consumer.received)
    assert_sound(reports)
    sequences = [report.sequence for report in reports]
    assert sequences == list(range(1, sequences[-1] + 1))
    wait_until(lambda: len(written(site).unsent) <= 1, "nothing waits any more")


def test_reports_wait_for_an_engine_that_has_not_been_there_yet(site: Site, host: str) -> None:
    # A broker that was killed has forgotten the engine's queue.
    site.broker.kill()
    site.broker.start()
    agent = site.agent(host, unsent_reports_kept=200, unsent_max_age_s=120)
    wait_until(lambda: written(site).sequence >= 12, "12 looks and several attempts")
    wait_until(lambda: "MessageUndeliverable" in agent.log_text(), "the log says why they wait")
    engine = Engine(site.broker, host)
    try:
        wait_for(engine, 5)
        sequences = [report.sequence for report in accepted(engine.received)]
    finally:
        engine.close()
    assert sequences == list(range(1, sequences[-1] + 1))


def test_only_the_newest_wait_and_those_given_up_are_counted(
    site: Site, host: str, consumer: Engine
) -> None:
    agent = site.agent(host, unsent_reports_kept=3)
    wait_for(consumer, 2)
    site.broker.kill()
    away_at = written(site).sequence
    wait_until(lambda: written(site).sequence >= away_at + 8, "looks go on")
    state = written(site)
    assert [report["sequence"] for report in state.unsent] == [
        state.sequence - 2,
        state.sequence - 1,
        state.sequence,
    ]
    site.broker.start()
    wait_for(consumer, away_at + 9, 60)
    reports = accepted(consumer.received)
    assert_sound(reports)
    assert reports[-1].sequence - reports[0].sequence + 1 > len(reports)
    assert "given up: newer ones wait" in agent.log_text()
    assert "Traceback" not in agent.log_text()


def test_a_broker_that_is_away_does_not_slow_the_looks(site: Site, host: str) -> None:
    site.broker.kill()
    site.agent(host, unsent_reports_kept=100, unsent_max_age_s=120)
    wait_until(lambda: written(site).sequence >= 12, "12 looks")
    sampled_at_s = [report["sampled_at_s"] for report in written(site).unsent]
    gaps_s = sorted(after - before for before, after in pairwise(sampled_at_s))
    assert gaps_s[len(gaps_s) // 2] == pytest.approx(PERIOD_S, abs=0.1)


def test_a_second_agent_of_the_host_waits_until_the_first_has_ended(
    site: Site, host: str, consumer: Engine
) -> None:
    first = site.agent(host)
    wait_for(consumer, 2)
    second = site.program(
        "hybrid-sched-agent",
        "-second",
        agent={
            "host": host,
            "sources": "host",
            "isolators": "noop",
            "watchers": "noop",
            "period_s": PERIOD_S,
            "state_path": site.directory,
        },
    )
    second.start()
    wait_until(lambda: "another agent holds" in second.log_text(), "it says that it waits")
    assert first.stop() == 0
    last = written(site).sequence
    wait_for(consumer, last + 2)
    assert_sound(accepted(consumer.received))
    assert second.stop() == 0


def test_orders_to_squeeze_are_taken_over_the_bus(site: Site, host: str, consumer: Engine) -> None:
    agent = site.agent(host)
    wait_for(consumer, 1)

    def order(term: object, factors: object) -> None:
        consumer.agents.cast({}, "squeeze", term=term, factors=factors)

    # What is sent to all is lost on an agent that does not listen yet.
    wait_until(
        lambda: order(3, {"container": "1/2"}) or written(site).order.term == 3,
        "the order is on disk",
    )
    order(2, {})
    order(4, {"container": "2/1"})
    wait_until(
        lambda: (
            "of term 2, and term 3" in agent.log_text() and "factors.container" in agent.log_text()
        ),
        "both are refused with a line",
    )
    assert written(site).order.term == 3
    assert "Traceback" not in agent.log_text()


@pytest.mark.parametrize("kind", ["isolators", "watchers"])
def test_a_plug_in_that_is_not_there_ends_a_start_with_one_sentence(
    site: Site, host: str, kind: str
) -> None:
    agent = site.agent(host, **{kind: "noop,rack"})
    wait_until(lambda: agent.process.poll() is not None, "it has ended", 60)
    assert agent.process.returncode == 1
    assert f"[agent] {kind}: there is no plug-in 'rack'" in agent.log_text()
    assert agent.log_text().count("\n") == 1
