# SPDX-License-Identifier: Apache-2.0
"""Relocations whose engine is killed at any boundary, whose requests are lost, and which are cancelled, in any order."""

from __future__ import annotations

from typing import Any

import requests_mock
from fake_zun import ADDRESS, NETWORK, SOURCE, TARGET, FakeZun
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from moved import Ledger, conf, decision

from hybrid_sched.clients import session as sessions
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.executors.zun_relocate import ZunRelocate

_MOUNTS = "vol-1:/data"
_PATIENCE = 2000


class Relocation(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.sleep = sessions._patiently.retry.sleep
        sessions._patiently.retry.sleep = lambda _: None
        self.wire = requests_mock.Mocker(case_sensitive=True)
        self.wire.start()
        self.zun = FakeZun(self.wire)
        self.now_s = 1000.0

    @initialize(
        given_port=st.booleans(),
        fails=st.sampled_from(["", "", "", "create", "start"]),
        steps=st.integers(0, 16),
    )
    def begin(self, given_port: bool, fails: str, steps: int) -> None:
        labels = {"hybrid:relocate": "allow", "hybrid:mounts": _MOUNTS}
        self.task = self.zun.add("web", given_port=given_port, labels=labels)
        self.zun.fails = fails
        self.ledger = Ledger(self.executor, decision(self.task, CONTAINER, SOURCE, TARGET))
        self.go_on(steps)

    def executor(self) -> ZunRelocate:
        return ZunRelocate(conf(), *self.zun.clients(), clock=lambda: self.now_s)

    @rule(count=st.integers(1, 6))
    def go_on(self, count: int) -> None:
        """Do some steps, with hosts that work as they should."""
        for _ in range(count):
            self.step()
            self.zun.carry_out()
            self.now_s += 2

    @rule()
    def step(self) -> None:
        if not self.ledger.is_over:
            self.ledger.step(self.now_s)

    @rule()
    def step_and_be_killed(self) -> None:
        """Do a step; the engine dies before it can write down what it came to."""
        if not self.ledger.is_over:
            self.ledger.attempt()
            self.ledger.kill()

    @rule()
    def be_killed(self) -> None:
        self.ledger.kill()

    @rule(count=st.integers(1, 3), host=st.sampled_from([SOURCE, TARGET]))
    def a_host_works(self, count: int, host: str) -> None:
        self.zun.carry_out(count, host)

    @rule(seconds=st.sampled_from([1, 10, 61, 301]))
    def time_passes(self, seconds: int) -> None:
        # No host leaves a request lying for as long as it takes to settle.
        if seconds > 10:
            self.zun.arrive()
            self.zun.carry_out()
        self.now_s += seconds

    @rule()
    def requests_arrive(self) -> None:
        self.zun.arrive()

    @rule(how=st.sampled_from(["before", "later", "after"]))
    def the_next_request_is_lost(self, how: str) -> None:
        self.zun.lost = how

    @rule(surely=st.integers(0, 3))
    def somebody_cancels(self, surely: int) -> None:
        if surely == 3:
            self.ledger.cancel()

    @invariant()
    def no_two_run(self) -> None:
        assert self.zun.ran <= 1

    @invariant()
    def none_is_lost(self) -> None:
        assert self.zun.containers or not hasattr(self, "task")

    @invariant()
    def what_is_over_is_right(self) -> None:
        if hasattr(self, "ledger") and self.ledger.is_over:
            self.check()

    def teardown(self) -> None:
        try:
            if hasattr(self, "ledger"):
                self.finish()
        finally:
            self.wire.stop()
            sessions._patiently.retry.sleep = self.sleep

    def finish(self) -> None:
        """Let all go well from here on, with a target that is slower than the source."""
        self.zun.lost = None
        for number in range(_PATIENCE):
            if self.ledger.is_over:
                break
            self.ledger.step(self.now_s)
            if number == 10:
                self.zun.arrive()
            self.zun.carry_out(1000, *([SOURCE, TARGET] if number % 3 == 0 else [SOURCE]))
            self.now_s += 2
        self.zun.carry_out()
        assert self.ledger.is_over, self.ledger.record
        self.check()
        self.no_two_run()

    def check(self) -> None:
        [running] = self.zun.running()
        assert list(self.zun.containers) == [running["uuid"]] == list(self.zun.placement.claims)
        if self.ledger.state is MoveState.DONE:
            assert running["host"] == TARGET
            assert running["mounts"] == [{"source": "vol-1", "destination": "/data"}]
        else:
            assert running["uuid"] == self.task
        self.check_address(running)

    def check_address(self, running: dict[str, Any]) -> None:
        [address] = running["addresses"][NETWORK]
        assert address["addr"] == ADDRESS
        [port] = self.zun.ports.values()
        assert (port["id"], port["device_id"]) == (address["port"], running["uuid"])


Relocation.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestRelocation = Relocation.TestCase
