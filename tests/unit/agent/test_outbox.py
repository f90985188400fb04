# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from agents import conf

from hybrid_sched.agent.outbox import Outbox
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import Findings
from hybrid_sched.agent.state import Totals
from hybrid_sched.core.resources import Resources
from hybrid_sched.rpc.messages import HostReport, Wire, report_from_wire

NOW_S = 1_000_000.0


class Broker:
    """A broker that can be away, and one that breaks off after it has taken a report."""

    def __init__(self) -> None:
        self.taken: list[Wire] = []
        self.away = False
        self.breaks_off = False

    def send(self, report: Wire) -> None:
        if self.away:
            raise ConnectionError
        self.taken.append(report)
        if self.breaks_off:
            raise ConnectionError

    @property
    def sequences(self) -> list[int]:
        return [report["sequence"] for report in self.taken]


class Post:
    """One agent's outbox on disk that can be restarted."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.broker = Broker()
        self.now_s = NOW_S
        self._directory = directory
        self._options = options
        self.replica: Replica | None = None
        self.restart()

    def restart(self) -> None:
        if self.replica is not None:
            self.replica.close()
        self.replica = Replica(self._directory, "a")
        self.outbox = Outbox(
            conf(**self._options), self.replica, self.broker.send, lambda: self.now_s
        )

    def put(self) -> HostReport:
        return self.outbox.put(findings(self.now_s))

    def waiting(self) -> list[int]:
        return [report["sequence"] for report in self.replica.state.unsent]


def findings(sampled_at_s: float) -> Findings:
    report = HostReport("a", "", 0, sampled_at_s, Resources(vcpu=1, memory_mb=1), 1, 1)
    return Findings(report, Totals(1, 1), {})


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path, unsent_reports_kept=3, unsent_max_age_s=30)


def test_a_report_is_numbered_and_on_disk_before_it_is_sent(post: Post) -> None:
    report = post.put()
    assert (report.boot_id, report.sequence) == (post.replica.state.boot_id, 1)
    assert post.waiting() == [1]
    post.restart()
    assert post.replica.state.sequence == 1
    assert post.outbox.send_waiting()
    assert [report_from_wire(each) for each in post.broker.taken] == [report]
    assert post.waiting() == []


def test_what_was_taken_is_not_sent_again(post: Post) -> None:
    post.put()
    post.outbox.send_waiting()
    post.restart()
    post.put()
    post.outbox.send_waiting()
    assert post.broker.sequences == [1, 2]


def test_reports_wait_in_order_while_the_broker_is_away(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    post.broker.away = True
    for _ in range(3):
        post.put()
        assert not post.outbox.send_waiting()
    post.broker.away = False
    assert post.outbox.send_waiting()
    assert post.broker.sequences == [1, 2, 3]
    # Each change is logged once.
    assert [record.levelname for record in caplog.records if "broker" in record.message] == [
        "WARNING",
        "INFO",
    ]


def test_the_newest_are_kept_and_those_given_up_are_counted(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.broker.away = True
    for _ in range(5):
        post.put()
    assert post.waiting() == [3, 4, 5]
    assert post.outbox.dropped == 2
    assert "given up: newer ones wait; 2 since the start" in caplog.text


def test_those_that_the_engine_would_refuse_as_late_are_given_up(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.broker.away = True
    post.put()
    post.now_s += 20
    post.put()
    post.now_s += 10.5
    post.broker.away = False
    assert post.outbox.send_waiting()
    assert post.broker.sequences == [2]
    assert post.waiting() == []
    assert post.outbox.dropped == 1
    assert "1 report(s) that waited for the broker were given up: the engine" in caplog.text


def test_a_break_after_the_broker_took_it_repeats_the_report_but_gives_its_number_to_no_other(
    post: Post,
) -> None:
    post.put()
    post.broker.breaks_off = True
    assert not post.outbox.send_waiting()
    post.restart()
    post.broker.breaks_off = False
    post.put()
    assert post.outbox.send_waiting()
    first, again, second = post.broker.taken
    assert first == again
    assert second["sequence"] == 2


def test_a_clock_that_was_set_back_gives_no_report_up(post: Post) -> None:
    post.put()
    post.now_s -= 1_000
    assert post.outbox.send_waiting()
    assert post.broker.sequences == [1]


def test_a_send_that_hangs_keeps_nobody_waiting_and_the_end_neither(tmp_path: Path) -> None:
    entered, release = threading.Event(), threading.Event()

    def hang(_: Wire) -> None:
        entered.set()
        release.wait()

    replica = Replica(tmp_path, "a")
    outbox = Outbox(conf(unsent_reports_kept=3), replica, hang)
    outbox.start()
    outbox.put(findings(time.time()))
    assert entered.wait(10)
    for _ in range(5):
        outbox.put(findings(time.time()))
    assert [report["sequence"] for report in replica.state.unsent] == [4, 5, 6]
    assert outbox.stop(timeout_s=0.05) is False
    release.set()
    assert outbox.stop(timeout_s=10) is True


def test_the_thread_sends_what_waited_and_what_comes(post: Post) -> None:
    post.put()
    post.restart()
    sent = threading.Semaphore(0)
    taken = post.broker.send

    def send(report: Wire) -> None:
        taken(report)
        sent.release()

    outbox = Outbox(conf(), post.replica, send, lambda: post.now_s)
    outbox.start()
    assert sent.acquire(timeout=10)
    outbox.put(findings(post.now_s))
    assert sent.acquire(timeout=10)
    assert outbox.stop(timeout_s=10)
    assert post.broker.sequences == [1, 2]
    assert post.waiting() == []
