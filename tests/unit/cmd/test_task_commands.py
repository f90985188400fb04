# SPDX-License-Identifier: Apache-2.0
"""The commands of the queue against a real endpoint and database; the bus is in memory."""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from oslo_config import cfg

from hybrid_sched.cli import task_progress
from hybrid_sched.cli.columns import Duration
from hybrid_sched.cli.errors import UserError
from hybrid_sched.cmd.manage.task_calls import TaskCalls
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.db.terms import Terms
from hybrid_sched.queue.endpoint import QueueEndpoint
from hybrid_sched.queue.tasks import TaskQueue
from hybrid_sched.rpc import bus

FILE = """
tasks:
  - name: seed
    priority: 5
    duration: 90s
    server: {flavor: m1.small, image: cirros}
  - name: worker
    count: 2
    after: [seed]
    container: {image: busybox, command: [sleep, "60"]}
"""


class FakeOutlook:
    """What a plan says, as values."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def waits(self) -> dict[str, str]:
        return self.said

    def estimate(self, task: QueuedTask) -> str:
        return f"about 40 s, from 7 tasks of kind {task.kind}"


class Site:
    """The queue, its database and the command."""

    def __init__(self, manage: Any, directory: Path) -> None:
        manage.use(manage.url, "[DEFAULT]", "transport_url = fake:/")
        assert manage("db", "sync").code == 0
        self._manage = manage
        self._file = directory / "tasks.yaml"
        database = Database(manage.url)
        self.term = Terms(database).begin("test", 1.0)
        self.store = TaskStore(database)
        self.queue = TaskQueue(
            self.store, self.term, lambda task: replace(task, demand=Resources(vcpu=1))
        )

        self.outlook = FakeOutlook()

    def __call__(self, *arguments: str) -> Any:
        return self._manage("task", *arguments)

    def create(self, text: str = FILE, *options: str) -> Any:
        self._file.write_text(text)
        return self("create", str(self._file), *options, "-f", "json")

    def tasks(self) -> dict[str, QueuedTask]:
        return {task.name: task for task in self.store.list()}

    def set(self, name: str, **changes: Any) -> None:
        task = self.tasks()[name]
        assert self.store.update(replace(task, **changes), task.state, self.term)


@pytest.fixture
def site(manage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(bus, "EXCHANGE", str(uuid.uuid4()))
    made = Site(manage, tmp_path)
    transport = bus.transport(cfg.CONF, "fake:/")
    # Beside another endpoint, as in the engine.
    server = bus.server(
        transport, bus.ENGINE_TOPIC, "test", object(), QueueEndpoint(made.queue, made.outlook)
    )
    server.start()
    yield made
    server.stop()


def test_tasks_are_created_and_listed(site: Site) -> None:
    created = site.create().rows
    tasks = site.tasks()
    assert [row["Name"] for row in created] == ["seed", "worker-1", "worker-2"]
    assert created[0] == {
        "Name": "seed",
        "UUID": tasks["seed"].uuid,
        "Framework": "hypervisor",
        "State": "waiting",
        "Priority": 5,
        "Host": "",
        "Waits/Reason": "It has arrived and waits to be planned.",
        "Duration": 90.0,
    }
    assert tasks["worker-2"].after == (tasks["seed"].uuid,)
    site.set("seed", state=TaskState.DONE)
    site.set("worker-1", state=TaskState.RUNNING, host="one", text="It runs.")

    def names(*options: str) -> list[str]:
        return [row["Name"] for row in site("list", *options, "-f", "json").rows]

    assert names() == ["worker-1", "worker-2"]
    assert names("--all") == ["seed", "worker-1", "worker-2"]
    assert names("--state", "done", "--state", "running") == ["seed", "worker-1"]
    assert "| running | " in site("list").out
    assert yaml.safe_load(site("list", "-f", "yaml").out)[0]["Host"] == "one"
    assert "worker-1" in site("list", "-f", "csv").out


def test_a_file_with_faults_creates_nothing_and_names_each(site: Site) -> None:
    answer = site.create("tasks: [{name: a, server: {flavor: f}}, 5]")
    assert answer.code == 1
    assert answer.err.splitlines()[0].endswith("tasks.yaml cannot be used:")
    assert answer.err.splitlines()[1] == "  tasks[0].server.image: it is missing: add it"
    assert answer.err.endswith("Nothing was put into the queue.\n")
    refused = site.create(FILE.replace("[seed]", f"[{uuid.uuid4()}]"))
    assert refused.code == 1
    assert "tasks.yaml was not taken:\n  worker-1.after: there is no task " in refused.err
    many = site.create(f"tasks: [{', '.join('5' * 30)}]").err.splitlines()
    assert (len(many), many[-2]) == (23, "  and 10 more")
    assert site.tasks() == {}


def test_a_submission_that_is_repeated_doubles_nothing(site: Site) -> None:
    first = site.create(FILE, "--submission", str(uuid.UUID(int=5))).rows
    assert site.create(FILE, "--submission", str(uuid.UUID(int=5))).rows == first
    assert len(site.create().rows) == 3
    assert len(site.store.list()) == 6


def test_without_an_answer_the_way_to_repeat_it_is_told(manage: Any, tmp_path: Path) -> None:
    manage.use(manage.url, "[DEFAULT]", "transport_url = fake:/")
    file = tmp_path / "tasks.yaml"
    file.write_text(FILE)
    same = str(uuid.UUID(int=5))
    answer = manage("--timeout", "0.1", "task", "create", str(file), "--submission", same)
    assert answer.code == 1
    assert "did not answer within 0.1 s" in answer.err
    assert f"repeat the command with --submission {same}, which doubles nothing." in answer.err


def test_a_task_is_shown_by_uuid_and_by_name(site: Site) -> None:
    site.create()
    seed = site.tasks()["seed"]
    shown = site("show", "worker-1", "-f", "json").rows
    assert shown["Specification"] == {"image": "busybox", "command": ["sleep", "60"]}
    assert (shown["After"], shown["Demand"]) == ([seed.uuid], {"vcpu": 1})
    assert (shown["Started"], shown["Server"], shown["Kind"]) == (None, "", "busybox sleep 60")
    assert site("show", seed.uuid.upper(), "-f", "json").rows["Name"] == "seed"
    assert "flavor: m1.small" in site("show", "seed").out


def test_of_several_with_a_name_the_one_that_has_not_ended_is_meant(site: Site) -> None:
    old = site.create().rows[0]["UUID"]
    site("cancel", "seed")
    new = site.create().rows[0]["UUID"]
    assert site("show", "seed", "-f", "json").rows["UUID"] == new
    site("cancel", "seed")
    answer = site("show", "seed")
    assert answer.code == 1
    assert f"2 tasks are named 'seed': give a UUID: {old} (cancelled), {new}" in answer.err


def test_tasks_are_cancelled_all_or_none(site: Site) -> None:
    site.create()
    missing = str(uuid.uuid4())
    for wanted, said in (
        ("none", "There is no task that has not ended named 'none': give a name or UUID of"),
        (missing, f"There is no task {missing}: give a name or UUID of"),
    ):
        answer = site("cancel", "seed", wanted)
        assert answer.code == 1
        assert answer.err.startswith(said)
    assert site.tasks()["seed"].state is TaskState.WAITING
    site.set("worker-1", state=TaskState.RUNNING)
    seed = site.tasks()["seed"].uuid
    rows = site("cancel", "seed", "worker-1", seed, "-f", "json").rows
    assert [(row["Name"], row["State"]) for row in rows] == [
        ("seed", "cancelled"),
        ("worker-1", "running"),
    ]
    assert site.tasks()["worker-1"].cancelling is True


@pytest.mark.parametrize(("last", "code"), [(TaskState.DONE, 0), (TaskState.FAILED, 1)])
def test_with_wait_the_exit_code_says_whether_all_are_done(
    site: Site, monkeypatch: pytest.MonkeyPatch, last: TaskState, code: int
) -> None:
    submit = site.queue.submit

    def submit_and_end(tasks: list[QueuedTask]) -> list[str]:
        faults = submit(tasks)
        for name, state in (("seed", TaskState.DONE), ("worker-1", TaskState.DONE)):
            site.set(name, state=state, host="one", text="It has ended.")
        site.set("worker-2", state=last)
        return faults

    monkeypatch.setattr(site.queue, "submit", submit_and_end)
    answer = site.create(FILE, "--wait")
    assert answer.code == code
    assert '"State": "done"' in answer.out
    assert f"seed {site.tasks()['seed'].uuid} done on one: It has ended.\n" in answer.err


class Story:
    """Answers as the quota service would, one after another."""

    def __init__(self, *answers: list[QueuedTask] | Exception) -> None:
        self._answers = iter(answers)
        self.pauses: list[float] = []

    def of(self, uuids: list[str]) -> list[QueuedTask]:
        answer = next(self._answers)
        if isinstance(answer, BaseException):
            raise answer
        return [task for task in answer if task.uuid in uuids]

    def wait(self, out: io.StringIO, *uuids: str) -> list[QueuedTask]:
        return task_progress.wait_for(self, uuids, out, "hybrid-sched-manage", self.pauses.append)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ONE = QueuedTask("1", "one", "container", Resources(), position=1, text="Room is short.")
TWO = replace(ONE, uuid="2", name="two", position=2, text="")


def states(*pairs: tuple[QueuedTask, TaskState]) -> list[QueuedTask]:
    return [replace(task, state=state) for task, state in pairs]


def story() -> Story:
    return Story(
        [ONE, TWO],
        UserError("The quota service did not answer."),
        UserError("The quota service did not answer."),
        states((ONE, TaskState.RUNNING), (TWO, TaskState.DONE)),
        states((ONE, TaskState.FAILED)),
    )


def test_each_change_is_a_line_and_an_absence_is_told_once() -> None:
    out = io.StringIO()
    told = story()
    ended = told.wait(out, "1", "2")
    assert [(task.name, task.state) for task in ended] == [
        ("one", TaskState.FAILED),
        ("two", TaskState.DONE),
    ]
    assert out.getvalue().splitlines() == [
        "one 1 waiting: Room is short.",
        "two 2 waiting",
        "The quota service did not answer. Still waiting.",
        "one 1 running: Room is short.",
        "two 2 done",
        "one 1 failed: Room is short.",
    ]
    assert told.pauses == [2, 4, 8, 2]


def test_on_a_terminal_a_bar_is_shown() -> None:
    out = Terminal()
    story().wait(out, "1", "2")
    assert "2/2" in out.getvalue()
    assert "1 done, 1 failed" in out.getvalue()


def test_one_that_is_forgotten_is_not_waited_for() -> None:
    assert Story([ONE], []).wait(io.StringIO(), "1") == [ONE]


def test_a_wait_that_is_broken_off_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"^The wait was broken off; the tasks go on"):
        Story([ONE], KeyboardInterrupt()).wait(io.StringIO(), "1")


def test_all_pages_are_asked_for() -> None:
    class Pages:
        def ask(self, method: str, marker: int | None, **_: Any) -> Any:
            at = marker or 0
            wire: Callable[[int], Any] = lambda n: {  # noqa: E731
                "uuid": str(uuid.UUID(int=n)),
                "name": str(n),
                "framework": "container",
                "position": n,
            }
            return {"tasks": [wire(n) for n in range(at + 1, min(at + 3, 6))]}

    assert [task.name for task in TaskCalls(Pages()).all(None)] == list("12345")


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (0.2, "0s"), (90, "1m30s"), (90_061, "1d1h1m1s")]
)
def test_a_length_of_time_is_shown_in_short(seconds: float | None, shown: str) -> None:
    assert Duration(seconds).human_readable() == shown
