# SPDX-License-Identifier: Apache-2.0
"""Two real engines: one leads, the other stands by; the first is killed, frozen or stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import oslo_messaging
import pytest
from conftest import Site
from oslo_config import cfg
from programs import Program
from waiting import wait_until

from hybrid_sched.agent.replica import from_bytes
from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, Snapshot
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.db import Database
from hybrid_sched.db.reservations import ReservationStore
from hybrid_sched.db.terms import Terms
from hybrid_sched.quota.client import QuotaClient
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import request_to_wire
from hybrid_sched.rpc.snapshots import snapshot_to_wire

# Long beside what an election takes, so that two of them are a bound that a busy machine keeps, too.
PERIOD_S = 2.0
HOSTS = {"one", "two"}


class Pair:
    """Two engines of one site, two hosts, and a client.

    :param site: of the test.
    """

    def __init__(self, site: Site, period_s: float = PERIOD_S) -> None:
        self.site = site
        self._database = Database(site.database_url)
        self.terms = Terms(self._database)
        self.ledger = ReservationStore(self._database)
        self._transport = bus.transport(cfg.CONF, site.broker.url)
        self.call = bus.client(self._transport, bus.ENGINE_TOPIC, timeout_s=10)
        self.agents = bus.client(self._transport, bus.AGENT_TOPIC, fanout=True)
        self.plug_ins = bus.client(self._transport, bus.SNAPSHOT_TOPIC, fanout=True)
        self.leader = site.engine_program("east", period_s=period_s)
        self.standby = site.engine_program("west", period_s=period_s)
        self.leader.start()
        wait_until(lambda: "Serving. Term 1." in self.leader.log_text(), "the first one leads")
        self.standby.start()
        wait_until(lambda: "standing by" in self.standby.log_text(), "the second one stands by")
        for host in HOSTS:
            # Its own next report comes long after the test: it is the engine that asks for it.
            site.agent(host, period_s=300)
        self.client = site.client(refresh_period_s=0.1)
        self.wait_for_hosts_of_term(1)

    def wait_for_hosts_of_term(self, term: int) -> Snapshot:
        """Wait until the client knows of all hosts from an engine of a term."""

        def whole() -> Snapshot | None:
            snapshot = self.client.view().snapshot
            is_it = snapshot is not None and snapshot.term >= term and set(snapshot.hosts) == HOSTS
            return snapshot if is_it else None

        return wait_until(whole, f"the hosts are in a snapshot of term {term}")

    def reservations(self) -> dict[str, int]:
        """Count what the leading engine holds, by framework."""
        return {row["framework"]: row["reservations"] for row in self.call.call({}, "shares")}

    def close(self) -> None:
        self._transport.cleanup()
        self._database.close()


@pytest.fixture
def pair_of(site: Site) -> Iterator[Callable[..., Pair]]:
    pairs: list[Pair] = []

    def make(**options: Any) -> Pair:
        pairs.append(Pair(site, **options))
        return pairs[-1]

    yield make
    for pair in pairs:
        pair.close()


def request(uuid: str, framework: str = CONTAINER) -> Request:
    return Request(uuid, framework, Resources(memory_mb=16))


def reserve(client: QuotaClient, uuid: str, *, patient: bool = False) -> dict[str, Any] | None:
    return client.reserve(request(uuid), [DEFAULT_POOL], 15 if patient else 5, patient=patient)


def send_signal(program: Program, number: int) -> None:
    """Signal a program and its workers."""
    assert program.process is not None
    os.killpg(program.process.pid, number)


def test_a_standby_takes_over_within_two_periods_and_knows_every_promise(
    pair_of: Callable[..., Pair],
) -> None:
    pair = pair_of()
    promised = [f"request-{number}" for number in range(5)]
    for uuid in promised:
        assert reserve(pair.client, uuid)["granted"]

    pair.leader.kill()
    killed_at_s = time.monotonic()
    snapshot = pair.wait_for_hosts_of_term(2)
    assert time.monotonic() - killed_at_s < 2 * PERIOD_S
    assert snapshot.term == 2

    assert {each.request_uuid for each in pair.ledger.all()} == set(promised)
    assert pair.reservations() == {HYPERVISOR: 0, CONTAINER: 5}
    charged = snapshot.pools[DEFAULT_POOL].frameworks[CONTAINER].used
    assert charged == Resources(memory_mb=5 * 16)
    # Whose answer got lost asks again; it is charged once.
    assert reserve(pair.client, promised[0])["granted"]
    assert pair.reservations() == {HYPERVISOR: 0, CONTAINER: 5}


def test_who_must_have_a_reservation_gets_it_although_the_leader_dies(
    pair_of: Callable[..., Pair],
) -> None:
    pair = pair_of()
    with ThreadPoolExecutor(4) as pool:
        asked = [f"request-{number}" for number in range(4)]
        pair.leader.kill()
        answers = list(pool.map(lambda uuid: reserve(pair.client, uuid, patient=True), asked))
    # None is refused by an engine that does not know the hosts yet.
    assert all(answer and answer["granted"] for answer in answers), answers
    assert {each.request_uuid for each in pair.ledger.all()} == set(asked)


def test_nobody_listens_to_an_earlier_leader(pair_of: Callable[..., Pair]) -> None:
    pair = pair_of()
    old = pair.client.view().snapshot
    pair.leader.kill()
    new = pair.wait_for_hosts_of_term(2)

    # A plug-in: the version does not matter, the term does.
    late = {**snapshot_to_wire(old), "version": 10**6, "hosts": {}}
    pair.plug_ins.cast({}, "snapshot", age_s=0.0, snapshot=late)
    wait_until(lambda: pair.client.view().snapshot.version > new.version, "the next snapshot")
    seen = pair.wait_for_hosts_of_term(2)
    assert seen.term == 2
    assert seen.version < 10**6

    # An agent: the order of term 2 reaches it, and the one of term 1 does not count any more.
    agent = next(p for p in pair.site.programs if p.config_file.name.endswith("agent-one.conf"))
    state = pair.site.directory / "one.json"

    def order(term: int, factors: dict[str, str]) -> None:
        pair.agents.cast({}, "squeeze", term=term, factors=factors)

    order(2, {CONTAINER: "1/2"})
    wait_until(lambda: from_bytes(state.read_bytes()).order.term == 2, "the order is on disk")
    order(1, {HYPERVISOR: "1/3"})
    wait_until(lambda: "it is of term 1, and term 2 has been seen" in agent.log_text(), "a line")
    assert HYPERVISOR not in from_bytes(state.read_bytes()).order.factors
    # It is a message like any other that the plug-in would take of a leader that is new.
    pair.plug_ins.cast({}, "snapshot", age_s=0.0, snapshot={**late, "term": 9})
    wait_until(lambda: pair.client.view().snapshot.term == 9, "a snapshot of a newer term")


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("reserve", {"request": request_to_wire(request("while it was frozen"))}),
        # What is answered without a write is as wrong.
        ("reserve", {"request": request_to_wire(request("before"))}),
        ("release", {"request_uuid": "reserved elsewhere"}),
    ],
    ids=["reserve", "reserve again", "release"],
)
def test_a_leader_that_was_frozen_writes_nothing_more_and_steps_down_by_itself(
    pair_of: Callable[..., Pair], method: str, arguments: dict[str, Any]
) -> None:
    # So long that it is not the next cycle by which it finds out.
    pair = pair_of(period_s=8)
    pair.standby.kill()
    assert reserve(pair.client, "before")["granted"]
    send_signal(pair.leader, signal.SIGSTOP)
    # The lock of a file outlasts the pause; that of a server would not, and another engine would begin a term.
    assert pair.terms.begin("elsewhere", time.time()) == 2
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            pair.call.call({}, method, **arguments)
        except oslo_messaging.RemoteError as error:
            failures.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    woken_at_s = time.monotonic()
    send_signal(pair.leader, signal.SIGCONT)
    asking.join()
    assert [error.exc_type for error in failures] == ["Deposed"]
    wait_until(lambda: "term 1 is over" in pair.leader.log_text(), "it steps down")
    assert time.monotonic() - woken_at_s < 4
    assert [each.request_uuid for each in pair.ledger.all()] == ["before"]

    # Nobody else stands for election, so that it leads again, as somebody new.
    wait_until(lambda: "Serving. Term 3." in pair.leader.log_text(), "it leads again")
    assert pair.terms.newest() == 3
    assert "Traceback" not in pair.leader.log_text()


def test_a_planned_stop_hands_over_at_once(pair_of: Callable[..., Pair]) -> None:
    # A standby that had to find out would need longer.
    pair = pair_of(period_s=10)
    assert reserve(pair.client, "before")["granted"]
    stopped_at_s = time.monotonic()
    assert pair.leader.stop() == 0
    wait_until(lambda: "Serving. Term 2." in pair.standby.log_text(), "the other one leads")
    assert time.monotonic() - stopped_at_s < 5
    assert [each.request_uuid for each in pair.ledger.all()] == ["before"]
    assert reserve(pair.client, "before")["granted"]
    assert "Traceback" not in pair.leader.log_text() + pair.standby.log_text()
