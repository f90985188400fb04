# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import oslo_messaging
import pytest
from oslo_config import cfg
from values import Clock, decision, quota_conf, report, request, task

from hybrid_sched.conf import client as options
from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota import client as client_module
from hybrid_sched.quota.client import (
    QuotaClient,
    View,
    client_for_process,
    close_client_for_process,
)
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.service import EngineEndpoint
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import BadMessage, decision_to_wire, snapshot_to_wire

# How long to wait for what must happen; nothing is slept away.
_LIMIT_S = 30
_GRANTED = {"granted": True, "text": ""}


def engine() -> Engine:
    made = Engine(quota_conf(), lambda _snapshot: None, Clock(), Clock())
    made.take_report(report("a", task("t", 50)))
    made.run_cycle()
    return made


def snapshot(version: int = 1, epoch: str = "x") -> Snapshot:
    return replace(engine().snapshot()[0], version=version, epoch=epoch)


class EngineEmulator:
    """An engine on the bus that keeps what it is asked, and answers what and when a test says."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self) -> None:
        self.asked: queue.Queue[Any] = queue.Queue()
        self.reserved: queue.Queue[Any] = queue.Queue()
        self.recorded: queue.Queue[list[str]] = queue.Queue()
        self.first_answers: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"age_s": 0.0, "snapshot": None}
        self.reservation: dict[str, Any] = _GRANTED
        self.faults: list[Exception] = []
        self.open = threading.Event()
        self.open.set()

    def snapshot(self, _context: Any, known_epoch: str | None, known_version: int | None) -> Any:
        self.asked.put((known_epoch, known_version))
        return self.first_answers.pop(0) if self.first_answers else self.answer

    def reserve(self, _context: Any, request: Any) -> Any:
        self.reserved.put(request)
        self._wait()
        return self.reservation

    def record_decisions(self, _context: Any, decisions: list[Any]) -> None:
        self.recorded.put(decisions)
        self._wait()

    def _wait(self) -> None:
        assert self.open.wait(_LIMIT_S)
        if self.faults:
            raise self.faults.pop()


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


def held(client: QuotaClient) -> Snapshot:
    found = client.view().snapshot
    assert found is not None
    return found


def test_a_snapshot_is_seen_whole_and_grows_old(
    client_of: Callable[..., QuotaClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=clock))
    client = client_of()
    assert client.view() == View(None, None)
    client.accept_snapshot(snapshot_to_wire(snapshot()), age_s=2.5)
    assert client.view() == View(snapshot(), 2.5)
    clock.now_s += 4
    assert client.view() == View(snapshot(), 6.5)
    # The same one once more, with a younger age.
    client.accept_snapshot(snapshot_to_wire(snapshot()), age_s=0.5)
    assert client.view() == View(snapshot(), 0.5)


def test_an_older_version_of_the_same_life_changes_nothing(
    client_of: Callable[..., QuotaClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=clock))
    client = client_of()
    seen = []
    for age_s, (version, epoch) in enumerate([(3, "x"), (2, "x"), (4, "x"), (1, "y"), (1, "x")]):
        client.accept_snapshot(snapshot_to_wire(snapshot(version, epoch)), age_s=float(age_s))
        view = client.view()
        assert view.snapshot is not None
        seen.append((view.snapshot.version, view.snapshot.epoch, view.age_s))
    assert seen == [(3, "x", 0), (3, "x", 0), (4, "x", 2), (1, "y", 3), (1, "x", 4)]


def test_a_malformed_snapshot_leaves_the_one_that_is_held(
    client_of: Callable[..., QuotaClient],
) -> None:
    client = client_of()
    client.accept_snapshot(snapshot_to_wire(snapshot()), age_s=0.0)
    wire = snapshot_to_wire(snapshot(version=2))
    del wire["pool"]
    with pytest.raises(BadMessage, match="pool"):
        client.accept_snapshot(wire, age_s=0.0)
    assert held(client) == snapshot()


def test_only_the_first_look_waits_for_a_snapshot(client_of: Callable[..., QuotaClient]) -> None:
    waits_s = []

    class Arrival(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits_s.append(timeout)
            return False

    client = client_of(first_snapshot_timeout_s=7.0)
    client._arrived = Arrival()
    assert [client.view().snapshot for _ in range(3)] == [None, None, None]
    assert waits_s == [7.0]


def test_a_client_asks_by_itself_and_the_first_look_waits_for_the_answer(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.answer = {"age_s": 100.0, "snapshot": snapshot_to_wire(snapshot(version=7))}
    client = client_of(first_snapshot_timeout_s=_LIMIT_S, refresh_period_s=0.1)
    view = client.view()
    assert view.snapshot == snapshot(version=7)
    assert view.age_s is not None
    assert view.age_s >= 100
    assert emulator.asked.get(timeout=_LIMIT_S) == (None, None)
    assert emulator.asked.get(timeout=_LIMIT_S) == ("x", 7)
    # There is nothing newer, so that what is held stays.
    emulator.answer = {"age_s": 0.0, "snapshot": None}
    for _ in range(3):
        assert emulator.asked.get(timeout=_LIMIT_S) == ("x", 7)
    assert held(client).version == 7


def test_a_malformed_answer_does_not_end_the_asking(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.first_answers = [{"age_s": 0.0, "snapshot": {"version": 1}}]
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot())}
    client = client_of(first_snapshot_timeout_s=_LIMIT_S, refresh_period_s=0.1)
    assert held(client) == snapshot()
    asked = [emulator.asked.get(timeout=_LIMIT_S) for _ in range(3)]
    assert asked == [(None, None), (None, None), ("x", 1)]


def test_a_snapshot_comes_without_being_asked_for_and_a_malformed_one_is_left_aside(
    client_of: Callable[..., QuotaClient], conf: Callable[..., cfg.ConfigOpts]
) -> None:
    client = client_of()
    fan_out = bus.client(bus.transport(conf(), "fake:/"), bus.SNAPSHOT_TOPIC, fanout=True)
    # What is fanned out before the client listens is lost, so it is sent until it arrives.
    until_s = time.monotonic() + _LIMIT_S
    while client.view().snapshot is None and time.monotonic() < until_s:
        fan_out.cast({}, "snapshot", age_s=0.0, snapshot={"version": 9})
        fan_out.cast({}, "snapshot", age_s=0.0, snapshot=snapshot_to_wire(snapshot()))
        client._arrived.wait(0.05)
    assert held(client) == snapshot()


def test_decisions_are_sent_in_order_and_at_most_a_hundred_at_once(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    made = [decision(str(number), decided_at_s=float(number)) for number in range(251)]
    emulator.open.clear()
    client = client_of()
    client.record(made[0])
    batches = [emulator.recorded.get(timeout=_LIMIT_S)]
    for each in made[1:]:
        client.record(each)
    emulator.open.set()
    batches += [emulator.recorded.get(timeout=_LIMIT_S) for _ in range(3)]
    assert [len(batch) for batch in batches] == [1, 100, 100, 50]
    assert [wire for batch in batches for wire in batch] == [decision_to_wire(one) for one in made]
    assert client.decisions_dropped == 0


def test_when_too_many_decisions_wait_the_oldest_are_dropped_and_counted(
    emulator: EngineEmulator,
    client_of: Callable[..., QuotaClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "_DECISIONS_WAITING", 4)
    emulator.open.clear()
    client = client_of()
    client.record(decision("0"))
    first = emulator.recorded.get(timeout=_LIMIT_S)
    for number in range(1, 8):
        client.record(decision(str(number)))
    assert client.decisions_dropped == 3
    emulator.open.set()
    second = emulator.recorded.get(timeout=_LIMIT_S)
    assert [[wire["request_uuid"] for wire in batch] for batch in (first, second)] == [
        ["0"],
        ["4", "5", "6", "7"],
    ]


def test_decisions_that_the_engine_did_not_take_are_sent_again(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.faults = [oslo_messaging.MessagingTimeout("not now")]
    client = client_of()
    client.record(decision("a"))
    batches = [emulator.recorded.get(timeout=_LIMIT_S) for _ in range(2)]
    client.record(decision("b"))
    batches.append(emulator.recorded.get(timeout=_LIMIT_S))
    assert batches == [[decision_to_wire(decision(each))] for each in ("a", "a", "b")]


def test_a_reservation_is_asked_for_and_answered(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.reservation = {"granted": False, "text": "no share is left"}
    client = client_of(reservation_timeout_s=_LIMIT_S)
    answer = client.reserve(request("r", 5, count=3))
    assert answer == {"granted": False, "text": "no share is left"}
    assert emulator.reserved.get(timeout=_LIMIT_S) == {
        "uuid": "r",
        "framework": "container",
        "demand": {"memory_mb": 5},
        "count": 3,
        "is_move": False,
    }


def test_a_reservation_that_fails_has_no_answer_and_stops_no_other(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.faults = [RuntimeError("not now")]
    client = client_of(reservation_timeout_s=_LIMIT_S)
    assert client.reserve(request("failed", 1)) is None
    assert client.reserve(request("next", 1)) == _GRANTED
    assert [emulator.reserved.get_nowait()["uuid"] for _ in range(2)] == ["failed", "next"]


def test_a_reservation_that_nobody_waits_for_any_more_is_not_asked_for(
    emulator: EngineEmulator,
    client_of: Callable[..., QuotaClient],
    conf: Callable[..., cfg.ConfigOpts],
) -> None:
    client = client_of(reservation_timeout_s=_LIMIT_S)
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(client.reserve, request("slow", 1))
        assert emulator.reserved.get(timeout=_LIMIT_S)["uuid"] == "slow"
        conf(reservation_timeout_s=0.01)
        assert client.reserve(request("given up", 1)) is None
        conf(reservation_timeout_s=_LIMIT_S)
        emulator.open.set()
        assert slow.result(_LIMIT_S) == _GRANTED
    assert client.reserve(request("last", 1)) == _GRANTED
    assert emulator.reserved.get_nowait()["uuid"] == "last"
    assert emulator.reserved.empty()


def test_with_too_many_reservations_waiting_there_is_no_answer(
    emulator: EngineEmulator,
    client_of: Callable[..., QuotaClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "_RESERVATIONS_WAITING", 1)
    client = client_of(reservation_timeout_s=_LIMIT_S)
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(client.reserve, request("slow", 1))]
        assert emulator.reserved.get(timeout=_LIMIT_S)["uuid"] == "slow"
        # One of the two finds no place, and is told so while nothing moves.
        calls += [threads.submit(client.reserve, request(each, 1)) for each in "ab"]
        done, _ = wait(calls, _LIMIT_S, FIRST_COMPLETED)
        assert [call.result() for call in done] == [None]
        emulator.open.set()
        answers = [call.result(_LIMIT_S) for call in calls]
    assert answers[0] == _GRANTED
    assert sorted(answers[1:], key=bool) == [None, _GRANTED]


def test_a_client_and_the_real_endpoint_understand_each_other(
    serve: Callable[[object], None], client_of: Callable[..., QuotaClient]
) -> None:
    real = engine()
    serve(EngineEndpoint(real))
    client = client_of(first_snapshot_timeout_s=_LIMIT_S, reservation_timeout_s=_LIMIT_S)
    assert held(client) == real.snapshot()[0]
    assert client.reserve(request("r", 5)) == _GRANTED
    assert client.reserve(request("s", 1000)) == {
        "granted": False,
        "text": real.reserve(request("s", 1000)).text,
    }
    used = real.snapshot()[0].frameworks["container"].used
    assert used == Resources(memory_mb=55)


def test_a_closed_client_leaves_no_thread(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    before = set(threading.enumerate())
    client = client_of()
    names = {"_keep_fresh", "_listen", "_send_decisions", "_ask_reservations"}
    started = [
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.removeprefix("hybrid-sched") in names
    ]
    assert len(started) == len(names)
    assert all(thread.daemon for thread in started)
    client.close()
    for thread in started:
        thread.join(_LIMIT_S)
    assert not any(thread.is_alive() for thread in started)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Give this process a number that a test may change, as a fork does."""
    close_client_for_process()
    emulated = SimpleNamespace(pid=1, getpid=lambda: emulated.pid)
    monkeypatch.setattr(client_module, "os", emulated)
    yield emulated
    close_client_for_process()


def test_a_process_has_one_client_until_it_is_closed(
    process: SimpleNamespace, conf: Callable[..., cfg.ConfigOpts]
) -> None:
    of_service = conf()
    first = client_for_process(of_service)
    assert client_for_process(of_service) is first
    close_client_for_process()
    close_client_for_process()
    second = client_for_process(of_service)
    assert second is not first
    assert client_for_process(of_service) is second


def test_a_forked_process_makes_a_client_of_its_own(
    process: SimpleNamespace, conf: Callable[..., cfg.ConfigOpts]
) -> None:
    of_service = conf()
    parent = client_for_process(of_service)
    parent.accept_snapshot(snapshot_to_wire(snapshot()), age_s=0.0)
    process.pid = 2
    child = client_for_process(of_service)
    assert child is not parent
    assert child.view() == View(None, None)
    assert client_for_process(of_service) is child
    assert held(parent) == snapshot()
    parent.close()
