# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import oslo_messaging
import pytest
from emulators import GRANTED, LIMIT_S, EngineEmulator, wait_until
from engines import Site
from oslo_config import cfg
from values import Clock, as_made, decision, request, task

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


def site() -> Site:
    made = Site()
    made.cycle(task("t", 50))
    return made


def snapshot(version: int = 1, term: int = 1) -> Snapshot:
    return replace(site().snapshot, version=version, term=term)


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
    client = client_of(first_snapshot_timeout_s=LIMIT_S, refresh_period_s=0.1)
    view = client.view()
    assert view.snapshot == snapshot(version=7)
    assert view.age_s is not None
    assert view.age_s >= 100
    assert emulator.asked.get(timeout=LIMIT_S) is None
    assert emulator.asked.get(timeout=LIMIT_S) == [1, 7]
    # There is nothing newer, so that what is held stays.
    emulator.answer = {"age_s": 0.0, "snapshot": None}
    for _ in range(3):
        assert emulator.asked.get(timeout=LIMIT_S) == [1, 7]
    assert held(client).version == 7


def test_a_malformed_answer_does_not_end_the_asking(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.first_answers = [{"age_s": 0.0, "snapshot": {"version": 1}}]
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot())}
    client = client_of(first_snapshot_timeout_s=LIMIT_S, refresh_period_s=0.1)
    assert held(client) == snapshot()
    asked = [emulator.asked.get(timeout=LIMIT_S) for _ in range(3)]
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
    client = client_of(first_snapshot_timeout_s=LIMIT_S, refresh_period_s=10_000.0)
    assert held(client).version == 7
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot(version=9))}
    fan_out = bus.client(bus.transport(conf(), "fake:/"), bus.SNAPSHOT_TOPIC, fanout=True)
    change = change_to_wire(snapshot(version=9), 8, [])

    def send() -> bool:
        fan_out.cast({}, "snapshot", age_s=0.0, snapshot=change)
        return held(client).version == 9

    wait_until(send)
    assert emulator.asked.get(timeout=LIMIT_S) is None
    assert emulator.asked.get(timeout=LIMIT_S) == [1, 7]


def test_an_answer_that_misses_leads_to_asking_again(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    change = change_to_wire(snapshot(version=9), 8, [])
    emulator.first_answers = [{"age_s": 0.0, "snapshot": change}]
    emulator.answer = {"age_s": 0.0, "snapshot": snapshot_to_wire(snapshot())}
    client = client_of(first_snapshot_timeout_s=LIMIT_S, refresh_period_s=10_000.0)
    assert held(client) == snapshot()


def test_decisions_are_sent_in_order_and_at_most_a_hundred_at_once(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    made = [decision(str(number), decided_at_s=float(number)) for number in range(251)]
    emulator.open.clear()
    client = client_of()
    client.record(as_made(made[0]))
    batches = [emulator.recorded.get(timeout=LIMIT_S)]
    for each in made[1:]:
        client.record(as_made(each))
    emulator.open.set()
    batches += [emulator.recorded.get(timeout=LIMIT_S) for _ in range(3)]
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
    client.record(as_made(decision("0")))
    first = emulator.recorded.get(timeout=LIMIT_S)
    for number in range(1, 8):
        client.record(as_made(decision(str(number))))
    assert client.decisions_dropped == 3
    emulator.open.set()
    second = emulator.recorded.get(timeout=LIMIT_S)
    assert [[wire["request_uuid"] for wire in batch] for batch in (first, second)] == [
        ["0"],
        ["4", "5", "6", "7"],
    ]


def test_decisions_that_the_engine_did_not_take_are_sent_again(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    emulator.faults = [oslo_messaging.MessagingTimeout("not now")]
    client = client_of()
    client.record(as_made(decision("a")))
    batches = [emulator.recorded.get(timeout=LIMIT_S) for _ in range(2)]
    client.record(as_made(decision("b")))
    batches.append(emulator.recorded.get(timeout=LIMIT_S))
    assert batches == [[decision_to_wire(decision(each))] for each in ("a", "a", "b")]


def test_the_next_leader_is_told_again_what_the_last_one_may_not_have_written(
    emulator: EngineEmulator, client_of: Callable[..., QuotaClient]
) -> None:
    client = client_of()
    client.accept_snapshot(snapshot_to_wire(Site(term=1).cycle()), age_s=0.0)
    for name in "ab":
        client.record(as_made(decision(name)))
        emulator.recorded.get(timeout=LIMIT_S)
    client.accept_snapshot(snapshot_to_wire(Site(term=2).cycle()), age_s=0.0)
    again = emulator.recorded.get(timeout=LIMIT_S)
    assert again == [decision_to_wire(decision(name)) for name in "ab"]
    client.record(as_made(decision("c")))
    assert emulator.recorded.get(timeout=LIMIT_S) == [decision_to_wire(decision("c"))]


def test_what_was_told_long_ago_is_not_told_again(
    emulator: EngineEmulator,
    client_of: Callable[..., QuotaClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "_TOLD_AGAIN_FOR_S", -1.0)
    client = client_of()
    client.accept_snapshot(snapshot_to_wire(Site(term=1).cycle()), age_s=0.0)
    for name in "ab":
        client.record(as_made(decision(name)))
        emulator.recorded.get(timeout=LIMIT_S)
    client.accept_snapshot(snapshot_to_wire(Site(term=2).cycle()), age_s=0.0)
    client.record(as_made(decision("c")))
    assert emulator.recorded.get(timeout=LIMIT_S) == [decision_to_wire(decision("c"))]


def test_a_client_and_the_real_endpoint_understand_each_other(
    serve: Callable[[object], None], client_of: Callable[..., QuotaClient]
) -> None:
    real = site()
    serve(EngineEndpoint(real.engine, lambda *_: None))
    client = client_of(first_snapshot_timeout_s=LIMIT_S, refresh_period_s=0.1)
    assert held(client) == real.snapshot
    answer = client.reserve(request("r", 5), ["gone", ""], LIMIT_S, patient=True)
    assert answer == GRANTED
    assert client.reserve(request("s", 1000), [""], LIMIT_S, patient=True) == {
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
        thread.join(LIMIT_S)
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
