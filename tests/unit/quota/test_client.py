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
from engines import Site
from oslo_config import cfg
from values import Clock, decision, request, task

from hybrid_sched.conf import client as options
from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.quota import client as client_module
from hybrid_sched.quota.client import (
    QuotaClient,
    View,
    client_for_process,
    close_client_for_process,
)
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.rpc import bus
from hybrid_sched.rpc.messages import BadMessage, decision_to_wire
from hybrid_sched.rpc.snapshots import MissedSnapshot, change_to_wire, snapshot_to_wire

# How long to wait for what must happen; nothing is slept away.
_LIMIT_S = 30
_GRANTED = {"granted": True, "text": "", "pool": ""}


def site() -> Site:
    made = Site()
    made.cycle(task("t", 50))
    return made


def snapshot(version: int = 1, term: int = 1) -> Snapshot:
    return replace(site().snapshot, version=version, term=term)


def reserve(
    client: QuotaClient, uuid: str, timeout_s: float = _LIMIT_S, *, patient: bool = False
) -> dict[str, Any] | None:
    return client.reserve(request(uuid, 1), [""], timeout_s, patient=patient)


class EngineEmulator:
    """An engine on the bus that keeps what it is asked, and answers what and when a test says."""

    target = oslo_messaging.Target(version=bus.VERSION)

    def __init__(self) -> None:
        self.asked: queue.Queue[Any] = queue.Queue()
        self.reserved: queue.Queue[Any] = queue.Queue()
        self.released: queue.Queue[str] = queue.Queue()
        self.recorded: queue.Queue[list[str]] = queue.Queue()
        self.first_answers: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {"age_s": 0.0, "snapshot": None}
        self.reservation: dict[str, Any] = _GRANTED
        self.faults: list[Exception] = []
        self.open = threading.Event()
        self.open.set()
        self.talks: Any = threading.Event()
        self.talks.set()

    def snapshot(self, _context: Any, known: list[int] | None) -> Any:
        self.asked.put(known)
        assert self.talks.wait(_LIMIT_S)
        return self.first_answers.pop(0) if self.first_answers else self.answer

    def reserve(self, _context: Any, request: Any, pools: list[str]) -> Any:
        self.reserved.put((request, pools))
        self._wait()
        return self.reservation

    def release(self, _context: Any, request_uuid: str) -> bool:
        self.released.put(request_uuid)
        return True

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


def wait_until(is_so: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _LIMIT_S
    while not is_so():
        assert time.monotonic() < until_s, "it did not come"
        threading.Event().wait(0.02)


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
    # The same one once more makes it no younger.
    client.accept_snapshot(snapshot_to_wire(snapshot()), age_s=0.5)
    assert client.view() == View(snapshot(), 6.5)


def test_an_older_version_and_an_older_term_change_nothing(
    client_of: Callable[..., QuotaClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(client_module, "time", SimpleNamespace(monotonic=clock))
    client = client_of()
    seen = []
    # (version, term): the last ones are of a leader that was deposed and still speaks.
    stamps = [(3, 1), (2, 1), (3, 1), (4, 1), (1, 2), (5, 1), (9, 1), (2, 2)]
    for age_s, (version, term) in enumerate(stamps):
        client.accept_snapshot(snapshot_to_wire(snapshot(version, term)), age_s=float(age_s))
        view = client.view()
        assert view.snapshot is not None
        seen.append((view.snapshot.version, view.snapshot.term, view.age_s))
    assert seen == [
        (3, 1, 0),
        (3, 1, 0),
        (3, 1, 0),
        (4, 1, 3),
        (1, 2, 4),
        (1, 2, 4),
        (1, 2, 4),
        (2, 2, 7),
    ]


def test_a_change_is_taken_in_over_what_is_held_alone(
    client_of: Callable[..., QuotaClient],
) -> None:
    client, cluster = client_of(), site()
    first = cluster.snapshot
    cluster.report("b", task("u", 10))
    second = cluster.run()
    change = change_to_wire(second, first.version, ["b"])
    with pytest.raises(MissedSnapshot):
        client.accept_snapshot(change, age_s=0.0)
    assert client.view() == View(None, None)
    client.accept_snapshot(snapshot_to_wire(first), age_s=0.0)
    client.accept_snapshot(change, age_s=0.0)
    assert held(client) == second
    with pytest.raises(MissedSnapshot):
        client.accept_snapshot(change_to_wire(cluster.run(), first.version, ["b"]), age_s=0.0)
    assert held(client) == second


def _without(name: str) -> dict[str, Any]:
    wire = snapshot_to_wire(snapshot(version=2))
    del wire[name]
    return wire


@pytest.mark.parametrize(
    "wire",
    [
        _without("pools"),
        _without("term"),
        _without("version"),
        {**_without("version"), "version": "3"},
        {"version": 2},
        [],
    ],
)
def test_a_malformed_snapshot_leaves_the_one_that_is_held(
    client_of: Callable[..., QuotaClient], wire: Any
) -> None:
    client = client_of()
    client.accept_snapshot(snapshot_to_wire(snapshot()), age_s=0.0)
    with pytest.raises(BadMessage):
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
    assert emulator.asked.get(timeout=_LIMIT_S) is None
    assert emulator.asked.get(timeout=_LIMIT_S) == [1, 7]
    # There is nothing newer, so that what is held stays.
    emulator.answer = {"age_s": 0.0, "snapshot": None}
    for _ in range(3):
        assert emulator.asked.get(timeout=_LIMIT_S) == [1, 7]
    assert held(client).version == 7


def test_a_malformed_answer_does_not_end_the_asking(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.first_answers = [{"age_s": 0.0, "snapshot": {"version": 1}}]
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot())}
    client = client_of(first_snapshot_timeout_s=_LIMIT_S, refresh_period_s=0.1)
    assert held(client) == snapshot()
    asked = [emulator.asked.get(timeout=_LIMIT_S) for _ in range(3)]
    assert asked == [None, None, [1, 1]]


def test_a_snapshot_comes_without_being_asked_for_and_a_malformed_one_is_left_aside(
    client_of: Callable[..., QuotaClient], conf: Callable[..., cfg.ConfigOpts]
) -> None:
    client = client_of()
    fan_out = bus.client(bus.transport(conf(), "fake:/"), bus.SNAPSHOT_TOPIC, fanout=True)

    # What is fanned out before the client listens is lost, so it is sent until it arrives.
    def send(version: int) -> bool:
        fan_out.cast({}, "snapshot", age_s=0.0, snapshot={"version": 9})
        fan_out.cast({}, "snapshot", age_s=0.0, snapshot=snapshot_to_wire(snapshot(version)))
        view = client.view().snapshot
        return view is not None and view.version == version

    wait_until(lambda: send(1))
    wait_until(lambda: send(2))


def test_a_change_to_a_snapshot_that_was_missed_leads_to_asking_at_once(
    emulator: EngineEmulator,
    client_of: Callable[..., QuotaClient],
    conf: Callable[..., cfg.ConfigOpts],
) -> None:
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot(version=7))}
    client = client_of(first_snapshot_timeout_s=_LIMIT_S, refresh_period_s=10_000.0)
    assert held(client).version == 7
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot(version=9))}
    fan_out = bus.client(bus.transport(conf(), "fake:/"), bus.SNAPSHOT_TOPIC, fanout=True)
    change = change_to_wire(snapshot(version=9), 8, [])

    def send() -> bool:
        fan_out.cast({}, "snapshot", age_s=0.0, snapshot=change)
        return held(client).version == 9

    wait_until(send)
    assert emulator.asked.get(timeout=_LIMIT_S) is None
    assert emulator.asked.get(timeout=_LIMIT_S) == [1, 7]


def test_an_answer_that_misses_leads_to_asking_again(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    change = change_to_wire(snapshot(version=9), 8, [])
    emulator.first_answers = [{"age_s": 0.0, "snapshot": change}]
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot())}
    client = client_of(first_snapshot_timeout_s=_LIMIT_S, refresh_period_s=10_000.0)
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
    emulator.reservation = {"granted": False, "text": "no share is left", "pool": ""}
    answer = client_of().reserve(request("r", 5, count=3), ["b", ""], _LIMIT_S, patient=False)
    assert answer == emulator.reservation
    asked, pools = emulator.reserved.get(timeout=_LIMIT_S)
    assert asked == {
        "uuid": "r",
        "framework": "container",
        "demand": {"memory_mb": 5},
        "count": 3,
        "is_move": False,
    }
    assert pools == ["b", ""]
    assert emulator.released.empty()


def test_reservations_of_several_requests_do_not_wait_for_each_other(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    client = client_of()
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(reserve, client, uuid) for uuid in "abcd"]
        asked = {emulator.reserved.get(timeout=_LIMIT_S)[0]["uuid"] for _ in calls}
        emulator.open.set()
        assert [call.result(_LIMIT_S) for call in calls] == [_GRANTED] * 4
    assert asked == set("abcd")


def test_an_engine_that_is_silent_costs_one_wait_until_it_is_heard_again(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.talks.clear()
    client = client_of(refresh_period_s=0.1)
    emulator.open.clear()
    assert reserve(client, "first", 0.05) is None
    assert emulator.reserved.get(timeout=_LIMIT_S)[0]["uuid"] == "first"
    emulator.open.set()
    # It would answer now, and nobody asks: with a patience of half a minute each returns at once.
    before_s = time.monotonic()
    assert [reserve(client, uuid) for uuid in "abc"] == [None] * 3
    assert time.monotonic() - before_s < _LIMIT_S
    assert emulator.reserved.empty()
    emulator.talks.set()
    wait_until(lambda: reserve(client, "heard") == _GRANTED)


def test_a_patient_reservation_is_asked_for_while_the_engine_is_known_to_be_silent(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.talks.clear()
    client = client_of()
    emulator.open.clear()
    assert reserve(client, "first", 0.05) is None
    emulator.open.set()
    assert reserve(client, "impatient") is None
    assert reserve(client, "patient", patient=True) == _GRANTED


def test_an_answer_to_a_question_of_before_the_silence_does_not_end_it(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    turns = threading.Semaphore(0)
    emulator.talks = SimpleNamespace(
        wait=lambda limit_s: turns.acquire(timeout=limit_s), set=lambda: turns.release(99)
    )
    client = client_of(refresh_period_s=10_000.0)
    assert emulator.asked.get(timeout=_LIMIT_S) is None
    emulator.open.clear()
    assert reserve(client, "first", 0.05) is None
    emulator.open.set()
    # It was asked before the silence began; another question is on its way at once.
    turns.release()
    assert emulator.asked.get(timeout=_LIMIT_S) is None
    assert reserve(client, "silent") is None
    emulator.talks.set()
    wait_until(lambda: reserve(client, "heard") == _GRANTED)


def test_a_reservation_that_fails_has_no_answer_and_stops_no_patient_one(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.faults = [RuntimeError("not now")]
    client = client_of()
    assert reserve(client, "failed", patient=True) is None
    assert reserve(client, "next", patient=True) == _GRANTED
    uuids = [emulator.reserved.get_nowait()[0]["uuid"] for _ in range(2)]
    assert uuids == ["failed", "next"]
    # Nobody knows what became of the first one.
    assert emulator.released.get(timeout=_LIMIT_S) == "failed"
    assert emulator.released.empty()


@pytest.mark.parametrize("patient", [True, False])
def test_a_grant_that_comes_too_late_is_given_back_where_nothing_is_placed_without_it(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient], *, patient: bool
) -> None:
    client = client_of()
    emulator.open.clear()
    # It gives up while the engine is at work.
    assert reserve(client, "late", 0.5, patient=patient) is None
    assert emulator.reserved.get(timeout=_LIMIT_S)[0]["uuid"] == "late"
    emulator.open.set()
    if patient:
        assert emulator.released.get(timeout=_LIMIT_S) == "late"
    # The threads that ask for reservations have all come back.
    with ThreadPoolExecutor() as threads:
        uuids = [str(number) for number in range(client_module._RESERVATIONS_AT_ONCE)]
        calls = [threads.submit(reserve, client, uuid, patient=True) for uuid in uuids]
        assert [call.result(_LIMIT_S) for call in calls] == [_GRANTED] * len(calls)
    assert emulator.released.empty()


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_RESERVATIONS_AT_ONCE", 1)


@pytest.mark.usefixtures("one_at_a_time")
def test_a_reservation_that_nobody_waits_for_any_more_is_not_asked_for(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    client = client_of()
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        slow = threads.submit(reserve, client, "slow")
        assert emulator.reserved.get(timeout=_LIMIT_S)[0]["uuid"] == "slow"
        assert reserve(client, "given up", 0.01, patient=True) is None
        emulator.open.set()
        assert slow.result(_LIMIT_S) == _GRANTED
    assert reserve(client, "last", patient=True) == _GRANTED
    assert emulator.reserved.get_nowait()[0]["uuid"] == "last"
    assert emulator.reserved.empty()


@pytest.mark.usefixtures("one_at_a_time")
def test_with_too_many_reservations_waiting_there_is_no_answer(
    emulator: EngineEmulator,
    client_of: Callable[..., QuotaClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "_RESERVATIONS_WAITING", 1)
    client = client_of()
    emulator.open.clear()
    with ThreadPoolExecutor() as threads:
        calls = [threads.submit(reserve, client, "slow")]
        assert emulator.reserved.get(timeout=_LIMIT_S)[0]["uuid"] == "slow"
        # One of the two finds no place, and is told so while nothing moves.
        calls += [threads.submit(reserve, client, each) for each in "ab"]
        done, _ = wait(calls, _LIMIT_S, FIRST_COMPLETED)
        assert [call.result() for call in done] == [None]
        emulator.open.set()
        answers = [call.result(_LIMIT_S) for call in calls]
    assert answers[0] == _GRANTED
    assert sorted(answers[1:], key=bool) == [None, _GRANTED]


def test_a_client_and_the_real_endpoint_understand_each_other(
    serve: Callable[[object], None], client_of: Callable[..., QuotaClient]
) -> None:
    real = site()
    serve(EngineEndpoint(real.engine, lambda *_: None))
    client = client_of(first_snapshot_timeout_s=_LIMIT_S, refresh_period_s=0.1)
    assert held(client) == real.snapshot
    answer = client.reserve(request("r", 5), ["gone", ""], _LIMIT_S, patient=True)
    assert answer == _GRANTED
    assert client.reserve(request("s", 1000), [""], _LIMIT_S, patient=True) == {
        "granted": False,
        "text": real.reserve("s", 1000).text,
        "pool": "",
    }
    assert real.used_mb() == 55
    # A change that is asked for.
    real.report("b", task("u", 7))
    real.run()
    wait_until(lambda: held(client) == real.snapshot)


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
    assert len(started) == len(names) - 1 + client_module._RESERVATIONS_AT_ONCE
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
