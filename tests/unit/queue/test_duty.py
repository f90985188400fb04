# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

import pytest
from fake_cloud import FakeCloud
from oslo_config import cfg

from hybrid_sched.conf import clients
from hybrid_sched.conf import queue as queue_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Snapshot
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import NOTHING, Resources
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.terms import Deposed, Terms
from hybrid_sched.interfaces.launcher import CloudUnavailable, LaunchFault
from hybrid_sched.queue.duty import QueueDuty, resolver
from hybrid_sched.queue.tasks import BadTask

_LIMIT_S = 30
_TASK = QueuedTask("uuid", "one", HYPERVISOR, NOTHING, {"flavor": "small"})


class NoCluster:
    def snapshot(self) -> tuple[Snapshot, float]:
        return Snapshot(1, 1, 0.0, {}, {}), 0.0

    def placed(self, uuids: Iterable[str]) -> set[str]:
        return set()


def conf() -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_group(cfg.OptGroup("queue"))
    made.register_opts(queue_options.OPTIONS, group="queue")
    clients.register(made)
    made([], default_config_files=[])
    made.set_override("period_s", 0.05, group="queue")
    return made


class Duty:
    """A duty whose rounds come to what a test says; once all have come it stops."""

    def __init__(self, database: Database, *outcomes: Exception | None) -> None:
        self.term = Terms(database).begin("test", 0.0)
        self.over = threading.Event()
        self.rounds = 0
        self.done = threading.Event()
        self.duty = QueueDuty(conf(), self.term, database, NoCluster(), self.over.set)
        self._outcomes = list(outcomes)
        self.duty.runner.run_round = self._round  # type: ignore[method-assign]

    def _round(self) -> None:
        self.rounds += 1
        outcome = self._outcomes.pop(0) if self._outcomes else None
        if not self._outcomes:
            self.done.set()
        if outcome is not None:
            raise outcome

    def run(self) -> None:
        self.duty.start()
        assert self.done.wait(_LIMIT_S)
        self.duty.stop()


def test_rounds_go_on_whatever_one_of_them_comes_to(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    away = DatabaseError("The database is away.")
    duty = Duty(database, away, away, RuntimeError("broken"), None)
    duty.run()
    assert duty.rounds >= 4
    assert not duty.over.is_set()
    assert caplog.text.count("The queue waits for the database: The database is away.") == 1
    assert "A round of the queue failed" in caplog.text


def test_a_deposed_runner_ends_and_says_so(database: Database) -> None:
    duty = Duty(database, Deposed("Term 1 is over."))
    duty.duty.start()
    assert duty.over.wait(_LIMIT_S)
    duty.duty.stop()
    assert duty.rounds == 1


def test_a_duty_that_was_never_begun_can_be_ended(database: Database) -> None:
    Duty(database).duty.stop()


def test_a_task_that_cannot_be_launched_is_refused_with_the_remedy() -> None:
    for framework, group in ((HYPERVISOR, "nova"), (CONTAINER, "zun")):
        task = QueuedTask("uuid", "one", framework, NOTHING)
        with pytest.raises(BadTask, match=rf"an operator must set \[{group}\] auth_type"):
            resolver({})(task)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (LaunchFault("flavor: there is none.", again=False), "flavor: there is none."),
        (CloudUnavailable("Nova is down."), "send it again later: Nova is down."),
    ],
)
def test_a_demand_that_cannot_be_told_is_a_fault_of_the_submission(
    fault: Exception, said: str
) -> None:
    class Refusing(FakeCloud):
        def resolve(self, spec: Mapping[str, object]) -> Resources:
            raise fault

    with pytest.raises(BadTask) as refused:
        resolver({HYPERVISOR: Refusing(lambda: 0.0)})(_TASK)
    assert said in str(refused.value)


def test_the_demand_is_that_of_the_launcher() -> None:
    cloud = FakeCloud(lambda: 0.0)
    assert resolver({HYPERVISOR: cloud})(_TASK).demand == Resources(vcpu=1)
