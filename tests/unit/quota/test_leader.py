# SPDX-License-Identifier: Apache-2.0
"""One leader on the bus, with the real database; agents and plug-ins are emulated."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import oslo_messaging
import pytest
from oslo_config import cfg
from values import decision, report, request, task

from hybrid_sched.conf import clients, coordination, database, metrics, quota
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.reservations import ReservationStore
from hybrid_sched.db.share_history import ShareHistory
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.db.weights import WeightStore
from hybrid_sched.quota.history import HistoryDuty
from hybrid_sched.quota.leadership import Leadership
from hybrid_sched.quota.service import DutyMaker, Leader, QuotaService
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import decision_to_wire, report_to_wire, request_to_wire

_LIMIT_S = 30
_MODULES = (quota, coordination, database, clients, metrics)


class Listener:
    """Keeps what comes on a topic."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self) -> None:
        self.asked_to_report = threading.Event()
        self.squeezed: queue.Queue[tuple[int, dict[str, Any]]] = queue.Queue()
        self.snapshots: queue.Queue[dict[str, Any]] = queue.Queue()

    def report_now(self, _context: Any) -> None:
        self.asked_to_report.set()

    def squeeze(self, _context: Any, term: int, factors: dict[str, Any]) -> None:
        self.squeezed.put((term, factors))

    def snapshot(self, _context: Any, age_s: float, snapshot: dict[str, Any]) -> None:
        assert age_s == 0
        self.snapshots.put(snapshot)


class Office:
    """What an engine needs to lead."""

    def __init__(self, conf: cfg.ConfigOpts, base: Database) -> None:
        self.conf = conf
        self.database = base
        self.terms = Terms(base)
        self.transport = bus.transport(conf)
        self.client = bus.client(self.transport, bus.ENGINE_TOPIC, timeout_s=_LIMIT_S)
        self.agent, self.plug_in = Listener(), Listener()
        self._servers = []
        for topic, name, endpoint in (
            (bus.AGENT_TOPIC, "a", self.agent),
            (bus.SNAPSHOT_TOPIC, "plug-in", self.plug_in),
        ):
            server = bus.server(self.transport, topic, name, endpoint)
            server.start()
            self._servers.append(server)
        self.stopping = threading.Event()
        self._running: list[threading.Thread] = []

    def run(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work)
        thread.start()
        self._running.append(thread)
        return thread

    def close(self) -> None:
        self.stopping.set()
        for thread in self._running:
            thread.join(_LIMIT_S)
            assert not thread.is_alive()
        for server in self._servers:
            server.stop()
        self.database.close()


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(bus, "EXCHANGE", str(uuid.uuid4()))
    file = tmp_path / "engine.conf"
    file.write_text(
        f"""
[DEFAULT]
transport_url = fake:/
[database]
connection = sqlite:///{tmp_path}/test.sqlite
[coordination]
backend_url = file://{tmp_path}/coordination
member_id = first
election_period_s = 0.05
[quota]
period_s = 0.1
squeeze_after_s = 0
"""
    )
    conf = cfg.CONF
    for module in _MODULES:
        module.register(conf)
    conf([], default_config_files=[str(file)])
    base = Database(**database.parameters(conf))
    base.sync()
    made = Office(conf, base)
    yield made
    made.close()
    conf.reset()


def wait_until(is_so: Callable[[], Any]) -> Any:
    until_s = time.monotonic() + _LIMIT_S
    while not (found := is_so()):
        assert time.monotonic() < until_s, "it did not come"
        threading.Event().wait(0.02)
    return found


def lead(
    office: Office, duties: Sequence[DutyMaker] = ()
) -> tuple[int, threading.Thread, Leadership]:
    leadership = Leadership(office.conf, office.terms)
    term = leadership.campaign(office.stopping)
    assert term is not None
    leader = Leader(office.conf, term, office.database, office.transport, duties)
    return term, office.run(lambda: leader.run(office.stopping, leadership)), leadership


def send_report(office: Office, sequence: int, **changes: Any) -> None:
    told = report("a", task("t", 90), sequence=sequence, sampled_at_s=time.time(), **changes)
    office.client.cast({}, "report", report=report_to_wire(told))


def test_a_leader_asks_agents_at_once_and_tells_plug_ins_of_each_cycle(office: Office) -> None:
    term, _, leadership = lead(office)
    assert office.agent.asked_to_report.wait(_LIMIT_S)
    first, second = (office.plug_in.snapshots.get(timeout=_LIMIT_S) for _ in range(2))
    # The first one is whole, and what follows is what changed.
    assert (first["term"], first["since"], second["since"]) == (term, None, first["version"])
    send_report(office, 1)
    wait_until(lambda: "a" in office.plug_in.snapshots.get(timeout=_LIMIT_S)["hosts"])
    leadership.resign()


def test_a_leader_tells_agents_to_squeeze_and_to_release(office: Office) -> None:
    term, _, leadership = lead(office)
    wanted = decision(
        "g", framework=HYPERVISOR, demand=task("g", 100).demand, refused_by_share=True
    )
    office.client.call({}, "record_decisions", decisions=[decision_to_wire(wanted)])
    send_report(office, 1)
    assert office.agent.squeezed.get(timeout=_LIMIT_S) == (term, {CONTAINER: "5/9"})
    office.client.call({}, "record_decisions", decisions=[decision_to_wire(decision("g"))])
    send_report(office, 2, squeezed={CONTAINER: 0})
    wait_until(lambda: office.agent.squeezed.get(timeout=_LIMIT_S) == (term, {}))
    leadership.resign()


def test_a_weight_that_is_set_is_kept_and_used_from_the_next_cycle(office: Office) -> None:
    _, _, leadership = lead(office)

    def set_weight(weight: Any) -> None:
        call = {"pool": "", "framework": CONTAINER, "weight": weight}
        assert office.client.call({}, "set_weight", **call) is None

    def weighs(weight: Any) -> bool:
        shares = office.client.call({}, "shares")
        return [row["weight"] for row in shares if row["framework"] == CONTAINER] == [weight]

    set_weight("5/2")
    assert set(WeightStore(office.database).all()[""]) == {CONTAINER}
    wait_until(lambda: weighs("5/2"))
    set_weight(None)
    wait_until(lambda: weighs(1))
    leadership.resign()


def test_a_leader_stops_once_a_newer_term_has_begun(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    term, running, leadership = lead(office)
    office.plug_in.snapshots.get(timeout=_LIMIT_S)
    office.terms.begin("other", time.time())
    running.join(_LIMIT_S)
    assert not running.is_alive()
    assert f"Another engine leads; term {term} is over." in caplog.text
    leadership.resign()


def test_a_leader_that_finds_itself_deposed_by_a_write_stops(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, running, leadership = lead(office)
    office.plug_in.snapshots.get(timeout=_LIMIT_S)
    # It cannot see for itself that another one leads.
    monkeypatch.setattr(leadership, "holds", lambda _term: True)
    office.terms.begin("other", time.time())
    assert running.is_alive()
    with pytest.raises(Deposed):
        office.client.call({}, "set_weight", pool="", framework=CONTAINER, weight=3)
    running.join(_LIMIT_S)
    assert not running.is_alive()
    assert WeightStore(office.database).all() == {}
    leadership.resign()


def test_a_leader_that_finds_itself_deposed_in_a_cycle_stops_without_a_fault(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, running, leadership = lead(office)
    office.plug_in.snapshots.get(timeout=_LIMIT_S)
    asked = request_to_wire(request("t", 90))
    office.client.call({}, "reserve", request=asked, pools=[""])
    monkeypatch.setattr(leadership, "holds", lambda _term: True)
    office.terms.begin("other", time.time())
    # The reservation is over once its task is there.
    send_report(office, 1)
    running.join(_LIMIT_S)
    assert not running.is_alive()
    assert "A cycle failed" not in caplog.text
    assert [each.request_uuid for each in ReservationStore(office.database).all()] == ["t"]
    leadership.resign()


def test_a_leader_that_cannot_ask_the_database_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, running, leadership = lead(office)

    def holds(_term: int) -> bool:
        raise DatabaseError("The database is away.")

    monkeypatch.setattr(leadership, "holds", holds)
    while not office.plug_in.snapshots.empty():
        office.plug_in.snapshots.get()
    for _ in range(3):
        office.plug_in.snapshots.get(timeout=_LIMIT_S)
    assert running.is_alive()
    assert "Whether this engine still leads cannot be checked: The database is away." in caplog.text
    leadership.resign()


def test_a_cycle_that_fails_leaves_the_shares_and_is_followed_by_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [RuntimeError("broken")]
    cycle = Leader._cycle

    def once(leader: Leader) -> None:
        if faults:
            raise faults.pop()
        cycle(leader)

    monkeypatch.setattr(Leader, "_cycle", once)
    _, _, leadership = lead(office)
    office.plug_in.snapshots.get(timeout=_LIMIT_S)
    assert "A cycle failed; the last shares stay until the next one." in caplog.text
    leadership.resign()


def test_the_service_leads_follows_and_leads_again_until_it_is_told_to_stop(
    office: Office,
) -> None:
    service = QuotaService(1, office.conf)
    running = office.run(service.run)
    try:
        first = office.plug_in.snapshots.get(timeout=_LIMIT_S)
        office.terms.begin("other", time.time())
        wait_until(lambda: office.plug_in.snapshots.get(timeout=_LIMIT_S)["term"] > first["term"])
        assert office.terms.newest() == first["term"] + 2
    finally:
        service.terminate()
        running.join(_LIMIT_S)
    assert not running.is_alive()


def test_a_leader_keeps_a_history_of_the_shares(office: Office) -> None:
    office.conf.set_override("history_interval_s", 0.1, "quota")
    lead(office, [HistoryDuty])
    send_report(office, 1)
    history = ShareHistory(office.database)
    [row, *_] = wait_until(
        lambda: [row for row in history.page(9, framework=CONTAINER) if row.figures["used"]]
    )
    assert row.figures["used"] == "9/10"


def test_the_engine_that_is_installed_has_this_duty() -> None:
    # Its module chooses the threads of a process at import, so that it gets one of its own.
    program = "from hybrid_sched.cmd.engine import EngineService as e; print(*(d.__name__ for d in e.duties))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"HistoryDuty", b"QueueDuty", b"WatchdogDuty"]
