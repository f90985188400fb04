# SPDX-License-Identifier: Apache-2.0
"""An engine that was deposed, and one that has just begun: neither gives an answer on reservations that would not hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from oslo_config import cfg
from oslo_messaging.rpc.dispatcher import ExpectedException

from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.db import Database
from hybrid_sched.db.reservations import ReservationStore
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.quota.answers import NotReady
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.stores import FencedReservations
from hybrid_sched.rpc.messages import HostReport, request_to_wire

CAPACITY = Resources(vcpu=4, memory_mb=4096)


class Office:
    """A leader of one term, with a real database that another one may use, too."""

    def __init__(self, directory: Path) -> None:
        self._conf = cfg.ConfigOpts()
        quota_options.register(self._conf)
        self._conf([], default_config_files=[])
        self._database = Database(f"sqlite:///{directory}/hybrid-sched.sqlite")
        self._database.sync()
        self.terms = Terms(self._database)
        self.deposed = 0
        self.engine = self.begin()

    def begin(self) -> Engine:
        """Begin a term, with what was stored in those before."""
        term = self.terms.begin("test", 0.0)
        store = FencedReservations(
            ReservationStore(self._database), self.terms, term, self._note_deposed
        )
        clock_s = 1_000_000.0
        engine = Engine(self._conf, term, store, clock_s=lambda: clock_s)
        engine.take_report(
            HostReport("a", "boot", 1, clock_s, CAPACITY, cpus=4, memory_mb=CAPACITY.memory_mb)
        )
        return engine

    def _note_deposed(self) -> None:
        self.deposed += 1


@pytest.fixture
def office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.engine.run_cycle()
    return office


def request(uuid: str, vcpu: int = 1) -> Request:
    return Request(uuid, CONTAINER, Resources(vcpu=vcpu))


@pytest.mark.parametrize(
    "ask",
    [
        lambda engine: engine.reserve(request("new")),
        lambda engine: engine.reserve(request("held")),
        lambda engine: engine.reserve(request("too large", vcpu=100)),
        lambda engine: engine.release("held"),
        lambda engine: engine.release("reserved by the other one"),
    ],
)
def test_a_deposed_engine_answers_nothing_on_reservations(
    office: Office, ask: Callable[[Engine], object]
) -> None:
    office.engine.reserve(request("held"))
    newer = office.begin()
    newer.run_cycle()
    newer.reserve(request("reserved by the other one"))
    with pytest.raises(Deposed):
        ask(office.engine)
    assert office.deposed == 1
    assert newer.reservations() == {("", CONTAINER): 2}


def test_an_engine_refuses_nobody_before_it_knows_the_hosts(office: Office) -> None:
    office.engine.reserve(request("held"))
    newer = office.begin()
    with pytest.raises(NotReady):
        newer.reserve(request("new"))
    assert newer.reserve(request("held")).granted
    newer.run_cycle()
    assert newer.reserve(request("new")).granted


def test_the_caller_is_told_without_a_traceback_in_the_log(office: Office) -> None:
    endpoint = EngineEndpoint(office.engine, lambda *_: None)
    office.terms.begin("test", 0.0)
    with pytest.raises(ExpectedException) as told:
        endpoint.reserve({}, request_to_wire(request("new")))
    assert told.value.exc_info[0] is Deposed
