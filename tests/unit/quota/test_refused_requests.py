# SPDX-License-Identifier: Apache-2.0
"""Requests that Nova or Zun refused, whoever refused them, count as wanted for a while."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from values import Clock, decision, quota_conf, request, task

from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Framework, Rung
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.db import Database
from hybrid_sched.quota import live_inputs
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.inputs import CycleInputs
from hybrid_sched.quota.live_inputs import REFUSED_PERIOD_S, LiveInputs
from hybrid_sched.rpc.messages import HostReport

TTL_S = 60.0
#: What Nova found no host for.
WANTED = request("g", 30, HYPERVISOR)


class Site:
    """An engine with a host of 100 MiB, of which containers borrowed 80."""

    def __init__(self) -> None:
        self.clock = Clock()
        conf = quota_conf(pending_ttl_s=TTL_S, report_max_age_s=1000.0)
        self.engine = Engine(conf, now_s=self.clock, clock_s=self.clock)
        self._sequence = 0
        self.report()

    def report(self, *more: Any) -> None:
        self._sequence += 1
        self.engine.take_report(
            HostReport(
                host="a",
                boot_id="boot",
                sequence=self._sequence,
                sampled_at_s=self.clock.now_s,
                capacity=Resources(memory_mb=100),
                cpus=1,
                memory_mb=100,
                tasks=(task("c", 80), *more),
            )
        )

    def cycle(self, *refused: Request) -> dict[str, Framework]:
        snapshot = self.engine.run_cycle(CycleInputs(refused=refused)).snapshot
        return dict(snapshot.pools[""].frameworks)

    def wanted_mb(self, *refused: Request) -> Any:
        guests = self.cycle(*refused)[HYPERVISOR]
        return Resources(*guests.wanted).memory_mb - Resources(*guests.used).memory_mb


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_borrower_gives_back_because_of_it(site: Site) -> None:
    before = site.cycle()
    assert (before[CONTAINER].borrowed, before[CONTAINER].rung) == (0, Rung.NONE)
    after = site.cycle(WANTED)
    assert after[HYPERVISOR].owed > 0
    assert after[CONTAINER].borrowed > 0
    assert after[CONTAINER].rung is Rung.NO_GRANTS
    assert site.cycle()[CONTAINER].rung is Rung.NONE


def test_one_that_our_gate_refused_too_counts_once(site: Site) -> None:
    refused = decision("g", framework=HYPERVISOR, demand=WANTED.demand, refused_by_share=True)
    site.engine.take_decision(refused)
    assert site.wanted_mb(WANTED) == 30
    site.engine.take_decision(refused)
    assert site.wanted_mb(WANTED) == 30


def test_its_time_ends_though_it_is_told_again(site: Site) -> None:
    assert site.wanted_mb(WANTED) == 30
    site.clock.now_s += TTL_S - 1
    assert site.wanted_mb(WANTED) == 30
    site.clock.now_s += 1
    assert site.wanted_mb(WANTED) == 0
    assert site.wanted_mb(WANTED) == 0


def test_time_that_our_gate_began_ends_too(site: Site) -> None:
    refused = decision("g", framework=HYPERVISOR, demand=WANTED.demand, refused_by_share=True)
    site.engine.take_decision(refused)
    site.clock.now_s += TTL_S - 1
    assert site.wanted_mb(WANTED) == 30
    site.clock.now_s += 1
    assert site.wanted_mb(WANTED) == 0


def test_it_ends_when_it_is_placed(site: Site) -> None:
    assert site.wanted_mb(WANTED) == 30
    site.report(task("g", 30, HYPERVISOR))
    assert site.wanted_mb(WANTED) == 0


def test_it_ends_when_it_is_told_no_longer(site: Site) -> None:
    another = request("h", 5, HYPERVISOR)
    assert site.wanted_mb(WANTED, another) == 35
    assert site.wanted_mb(another) == 5


class Source:
    """Stands for Nova's or Zun's client."""

    def __init__(self, *refused: Request) -> None:
        self.answer: tuple[Request, ...] | Exception = refused
        self.asked_s: list[float] = []
        self.hangs: Event | None = None

    def read(self, since_s: float) -> tuple[Request, ...]:
        self.asked_s.append(since_s)
        if self.hangs is not None:
            self.hangs.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    refused_guests = refused_containers = read


class Reading:
    """Inputs of an engine, with emulated clients."""

    def __init__(self, database: Database, patch: pytest.MonkeyPatch) -> None:
        self.nova, self.zun = Source(WANTED), Source(request("c", 10))
        self.clock = Clock()
        self.conf = quota_conf(pending_ttl_s=TTL_S)
        patch.setattr(live_inputs, "placement_client", lambda _conf: None)
        patch.setattr(live_inputs, "nova_client", lambda _conf: self.nova)
        patch.setattr(live_inputs, "zun_client", lambda _conf: self.zun)
        engine = Engine(self.conf)
        self.inputs = LiveInputs(self.conf, database, engine, self.clock, lambda: 5000.5)

    def uuids(self) -> list[str]:
        return [each.uuid for each in self.inputs.read().refused]


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    database.sync()
    yield Reading(database, monkeypatch)
    database.close()


def test_both_are_read_once_in_a_while(reading: Reading) -> None:
    assert reading.uuids() == ["g", "c"]
    reading.nova.answer = ()
    reading.clock.now_s += REFUSED_PERIOD_S - 0.1
    assert reading.uuids() == ["g", "c"]
    assert reading.nova.asked_s == reading.zun.asked_s == [5000.5 - TTL_S]
    reading.clock.now_s += 0.1
    assert reading.uuids() == ["c"]


def test_a_failure_keeps_what_was_read_of_that_service(
    reading: Reading, caplog: pytest.LogCaptureFixture
) -> None:
    assert reading.uuids() == ["g", "c"]
    reading.nova.answer, reading.zun.answer = ServiceFault("Nova is away"), ()
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            reading.clock.now_s += REFUSED_PERIOD_S
            assert reading.uuids() == ["g"]
        reading.nova.answer = ()
        reading.clock.now_s += REFUSED_PERIOD_S
        assert reading.uuids() == []
    assert [each.getMessage() for each in caplog.records if "guests" in each.getMessage()] == [
        "Refused guests: what was known before is used: Nova is away",
        "Refused guests can be read again.",
    ]


def test_one_that_does_not_answer_does_not_stop_the_shares(
    reading: Reading, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_inputs, "_REFUSED_LIMIT_S", 0.1)
    reading.nova.hangs = Event()
    assert reading.uuids() == ["c"]
    reading.nova.hangs.set()
    assert "no answer within 0.1 s" in caplog.text


def test_where_nothing_counts_nothing_is_asked(reading: Reading) -> None:
    reading.conf.set_override("pending_ttl_s", 0.0, group="quota")
    assert reading.uuids() == []
    assert reading.nova.asked_s == []


def test_without_clients_there_are_none(
    tmp_path: Path, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nova_client", "zun_client"):
        monkeypatch.setattr(live_inputs, name, lambda _conf: None)
    database = Database(f"sqlite:///{tmp_path / 'test.sqlite'}")
    assert LiveInputs(reading.conf, database, Engine(reading.conf)).read().refused == ()
    database.close()
