# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from agents import seen

from hybrid_sched.agent.clock import Instant
from hybrid_sched.agent.events import Events
from hybrid_sched.agent.rates import Counters, Look
from hybrid_sched.agent.replica import Replica
from hybrid_sched.interfaces.monitor import SeenTask
from hybrid_sched.rpc.isolation import MOST_EVENTS, OOM_KILL, HostEvent


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path, "a")


class Now:
    at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def now() -> Now:
    return Now()


def killed(times: int, uuid: str = "one", life: str = "1") -> SeenTask:
    return seen(uuid, life=life, counters={"oom_kills": times})


def noted(replica: Replica) -> list[str]:
    return [event.uuid for event in replica.state.events]


def test_a_counter_that_grows_is_an_event_with_its_time(
    replica: Replica, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    events = Events(replica, now)
    # What was before the first look is not known to be new.
    events.look([killed(3)], complete=True)
    events.look([killed(3)], complete=True)
    assert noted(replica) == []
    now.at_s = 200.0
    events.look([killed(5)], complete=True)
    assert replica.state.events == (HostEvent("one", OOM_KILL, 200.0),)
    assert "ended a process of task one" in caplog.text
    events.look([killed(5), killed(1, "new")], complete=True)
    events.look([killed(1, life="2"), killed(1, "new")], complete=True)
    assert noted(replica) == ["one", "new", "one"]


def test_what_a_back_end_tells_and_the_kernel_counts_is_one_event(
    replica: Replica, now: Now
) -> None:
    events = Events(replica, now)
    events.look([killed(0)], complete=True)
    events.oom_kill("one")
    events.look([killed(1)], complete=True)
    assert noted(replica) == ["one"]
    # The other way round.
    events.look([killed(2)], complete=True)
    events.oom_kill("one")
    assert noted(replica) == ["one", "one"]
    now.at_s += 60
    events.oom_kill("one")
    assert noted(replica) == ["one", "one", "one"]


def test_a_task_that_is_killed_over_and_over_is_noted_now_and_then(
    replica: Replica, now: Now
) -> None:
    events = Events(replica, now)
    events.look([killed(0), killed(0, "two")], complete=True)
    for number in range(1, 61):
        now.at_s += 0.5
        events.oom_kill("one")
        if number % 10 == 0:
            events.look([killed(number), killed(0, "two")], complete=True)
    assert noted(replica) == ["one"] * 3
    # The others are not kept waiting by it.
    events.oom_kill("two")
    assert noted(replica) == ["one"] * 3 + ["two"]


def test_while_a_source_fails_its_counters_are_kept(replica: Replica, now: Now) -> None:
    events = Events(replica, now)
    events.look([killed(1)], complete=True)
    events.look([], complete=False)
    events.look([killed(1)], complete=True)
    assert noted(replica) == []


def test_after_a_restart_what_happened_meanwhile_is_noted(replica: Replica, now: Now) -> None:
    look = Look(Instant("k", 1), tasks={"one": Counters({"oom_kills": 1}, "1")})
    replica.update(lambda state: replace(state, looks={"docker": look}))
    Events(replica, now).look([killed(2), killed(1, "new")], complete=True)
    assert noted(replica) == ["one", "new"]


def test_only_the_newest_are_kept(replica: Replica, now: Now) -> None:
    events = Events(replica, now)
    for number in range(MOST_EVENTS + 5):
        events.oom_kill(str(number))
    assert noted(replica) == [str(number) for number in range(5, MOST_EVENTS + 5)]
