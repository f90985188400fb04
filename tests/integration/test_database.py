# SPDX-License-Identifier: Apache-2.0
"""The database layer on SQLite and on a real MariaDB, used by several processes at once."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from mariadb import PASSWORD, Server, why_not
from programs import run_manage

from hybrid_sched.core.hardware import ScoreRow
from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database, DatabaseError, DatabaseNotReady, migrations
from hybrid_sched.db.decisions import MOST_BYTES, DecisionStore, StoredDecision
from hybrid_sched.db.reservations import ReservationStore, StoredReservation
from hybrid_sched.db.schema import METADATA, QUEUED_TASKS, RESERVATIONS
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.db.share_history import ShareHistory, SharesThen
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.db.terms import Deposed, Terms, fenced
from hybrid_sched.db.weights import WeightStore

PROGRAMS = Path(__file__).with_name("database_programs.py")
TIMEOUT_S = 60
# MariaDB keeps doubles and texts of any script; a time must not lose its milliseconds.
RESERVATION = StoredReservation(
    "a", "hypervisor", "pööl", Resources(vcpu=Fraction(3, 7), memory_mb=512), 2, 1.76e9 + 0.125, 2e9
)
TASK = QueuedTask(
    uuid="11111111-2222-4333-8444-555555555555",
    name="Töpfe 🚀",
    framework="hypervisor",
    demand=Resources(vcpu=Fraction(3, 7), memory_mb=512),
    # As long as Nova takes it, which is longer than the plain TEXT of MySQL.
    spec={"flavor": "m1.small", "user_data": "ü" * 24_000, "environment": {"a": "x" * 70_000}},
    kind="m1.small cirros",
    priority=-5,
    submitted_at_s=1.76e9 + 0.125,
    deadline_s=1.77e9 + 0.125,
    stop_after_s=0.1,
)

_numbers = itertools.count()


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    server = Server(tmp_path_factory.mktemp("mariadb"))
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def server(running_server: Server) -> Server:
    """Give a server that runs, even after a test that killed it."""
    if not running_server.is_running:
        running_server.start()
    return running_server


@pytest.fixture(params=["sqlite", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite'}"
    return request.getfixturevalue("server").make_database(f"test_{next(_numbers)}")


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    database.sync()
    yield database
    database.close()


@contextlib.contextmanager
def program(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(PROGRAMS), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_migrations_lead_from_nothing_to_the_schema(url: str):
    database = Database(url)
    assert database.version() is None
    with pytest.raises(DatabaseNotReady, match="hybrid-sched-manage db sync"):
        database.check()
    database.sync()
    database.check()
    assert database.version() == migrations.newest()
    differences = database.read(
        lambda connection: compare_metadata(MigrationContext.configure(connection), METADATA)
    )
    assert differences == []
    database.close()


def test_a_sync_that_was_interrupted_goes_on(database: Database):
    database.write(lambda connection: connection.execute(sa.text("DELETE FROM alembic_version")))
    database.write(RESERVATIONS.drop)
    database.write(QUEUED_TASKS.drop)
    database.sync()
    database.check()
    assert Terms(database).begin("a", 1.0) == 1


def test_decisions_come_back_exactly_each_once_and_the_old_ones_go(database: Database):
    term = Terms(database).begin("a", 1.0)
    store = DecisionStore(database, steps_kept=3)
    times = [1.76e9 + number / 3 for number in range(4)]
    steps = [StoredDecision("a", at_s, "order", "x" * MOST_BYTES) for at_s in times]
    for _ in range(2):
        store.put_many([*steps, StoredDecision("A", times[0], "order", "{}")], term)
        store.put_many(steps[1:], term)
        assert store.of("a") == tuple(steps[1:])
    assert store.newest(9, ["order"]) == (steps[3], *store.of("A"))
    assert store.forget_before(times[2], term) == 2
    assert (store.of("a"), store.of("A")) == (tuple(steps[2:]), ())
    Terms(database).begin("b", 2.0)
    with pytest.raises(Deposed):
        store.put_many(steps, term)


def test_the_history_of_shares_comes_back_exactly_page_by_page(database: Database):
    term = Terms(database).begin("test", 1.0)
    history = ShareHistory(database)
    moments = [1.76e9 + third / 3 for third in range(4)]
    for at_s in moments:
        # A name in capital letters is another pool.
        rows = [SharesThen(at_s, "container", pool, {"used": "1/3"}) for pool in ("", "é", "É")]
        history.put(at_s, rows, term)
        history.put(at_s, rows, term)
    for descending in (True, False):
        found: list[SharesThen] = []
        while page := history.page(
            5, after=found[-1].key if found else None, descending=descending
        ):
            found += page
        assert [each.key for each in found] == sorted(
            (each.key for each in found), reverse=descending
        )
        assert {each.key for each in found} == {
            (at_s, "container", pool) for at_s in moments for pool in ("", "é", "É")
        }
    assert len(history.page(99, pool="é", since_s=moments[1], until_s=moments[3])) == 2
    assert [history.forget_before(moments[2], term, most=4) for _ in range(2)] == [6, 0]
    assert len(history.page(99)) == 6


def test_no_two_processes_get_the_same_term(database: Database, url: str):
    with contextlib.ExitStack() as stack:
        engines = [stack.enter_context(program("begin", url, 50)) for _ in range(4)]
        for engine in engines:
            assert engine.stdout.readline() == "0\n"
        for engine in engines:
            engine.stdin.write("go\n")
            engine.stdin.flush()
        answers = [engine.communicate(timeout=TIMEOUT_S)[0] for engine in engines]
    terms = [list(map(int, answer.split())) for answer in answers]
    assert all(numbers == sorted(numbers) for numbers in terms)
    assert sorted(itertools.chain(*terms)) == list(range(1, 201))
    assert Terms(database).newest() == 200


def test_an_old_leader_changes_nothing(database: Database):
    terms, store, weights = Terms(database), ReservationStore(database), WeightStore(database)
    old = terms.begin("old", 1.0)
    store.put(RESERVATION, old)
    # The same again changes no value of the row of the term, which MySQL must count all the same.
    store.put(RESERVATION, old)
    new = terms.begin("new", 2.0)
    for write in (
        lambda: store.put(StoredReservation("b", "container", "", Resources(), 1, 1, 2), old),
        lambda: store.remove(["a"], old),
        lambda: weights.set("", "container", 2, old),
        lambda: TaskStore(database).add([TASK], old),
        lambda: TaskStore(database).update(TASK, TaskState.WAITING, old),
        lambda: TaskStore(database).cancel(TASK.uuid, old, 3.0),
        lambda: TaskStore(database).forget(9e9, old),
    ):
        with pytest.raises(Deposed):
            write()
    assert store.all() == (RESERVATION,)
    assert weights.all() == {}
    assert store.remove(["a"], new) == 1


def test_no_term_begins_between_a_fence_and_its_commit(database: Database, url: str):
    term = Terms(database).begin("old", 1.0)

    def work(connection: sa.Connection) -> None:
        fenced(connection, term)
        newer.stdin.write("go\n")
        newer.stdin.flush()
        # The other begins meanwhile and must wait for us.
        with pytest.raises(subprocess.TimeoutExpired):
            newer.wait(0.5)
        connection.execute(RESERVATIONS.delete())

    with program("begin", url, 1) as newer:
        assert newer.stdout.readline() == f"{term}\n"
        database.write(work)
        assert newer.communicate(timeout=TIMEOUT_S)[0] == f"{term + 1}\n"
    with pytest.raises(Deposed):
        ReservationStore(database).put(RESERVATION, term)


def test_a_reservation_outlives_the_writer(database: Database, url: str):
    term = Terms(database).begin("writer", 1.0)
    with program("put", url, term) as writer:
        promised = [writer.stdout.readline().strip() for _ in range(50)]
        writer.kill()
        rest = writer.communicate()[0].split()
    kept = {each.request_uuid: each.demand.vcpu for each in ReservationStore(database).all()}
    assert {*promised, *rest} <= kept.keys()
    # At most the one that was being put when the writer ended is there without being promised.
    assert len(kept) <= len(promised) + len(rest) + 1
    assert all(int(uuid) == vcpu for uuid, vcpu in kept.items())


def test_settings_are_kept_exactly(database: Database):
    weights, scores = WeightStore(database), ScoreStore(database)
    for weight in (Fraction(1, 3), 2, 2):
        weights.set("", "container", weight)
    weights.set("a", "container", 1)
    weights.set("A", "container", 5)
    assert weights.all() == {"": {"container": 2}, "a": {"container": 1}, "A": {"container": 5}}
    rows = [ScoreRow("AMD*", "*", Fraction(2, 3), "schnell 🚀"), ScoreRow("amd*", "*", 1)]
    scores.import_rows(rows)
    scores.import_rows(rows)
    assert set(scores.all()) == set(rows)
    assert scores.remove("amd*", "*")
    assert scores.all() == (rows[0],)


def test_a_task_goes_through_its_states_by_compare_and_set(database: Database):
    term, store = Terms(database).begin("a", 1.0), TaskStore(database)
    lower = replace(TASK, uuid="2", name="töpfe 🚀", after=(TASK.uuid,))
    store.add([TASK, lower], term)
    store.add([TASK, replace(lower, uuid="3", deadline_s=None)], term)
    waiting = replace(TASK, position=1)
    assert store.get(TASK.uuid) == waiting
    assert [task.uuid for task in store.list(name=TASK.name)] == [TASK.uuid]
    launching = replace(
        waiting, state=TaskState.LAUNCHING, attempts=1, host="a", started_at_s=1.76e9, text="¡Ja!"
    )
    for _ in range(2):
        # The second time changes no value, as when it runs again because the connection was lost at the commit.
        assert store.update(launching, TaskState.WAITING, term)
    assert not store.update(replace(launching, host="b"), TaskState.WAITING, term)
    assert store.cancel(TASK.uuid, term, 9.0) == replace(launching, cancelling=True)
    done = replace(launching, state=TaskState.DONE, ended_at_s=1.76e9 + 30.5)
    assert store.update(done, TaskState.LAUNCHING, term)
    assert store.get(TASK.uuid) == replace(done, cancelling=True)
    assert store.cancel("2", term, 9.0).state is TaskState.CANCELLED
    assert [task.uuid for task in store.unfinished()] == ["3"]
    assert store.ended_durations(5) == {("hypervisor", TASK.kind): (30.5,)}
    assert store.forget(2e9, term) == 1
    assert store.states_of([TASK.uuid, "2", "3"]) == {
        TASK.uuid: TaskState.DONE,
        "3": TaskState.WAITING,
    }


def test_many_tasks_are_taken_on_at_once(database: Database):
    term, store = Terms(database).begin("a", 1.0), TaskStore(database)
    many = [replace(TASK, uuid=str(number), spec={}) for number in range(5000)]
    store.add(many, term)
    store.add(many, term)
    assert [task.uuid for task in store.unfinished()] == [task.uuid for task in many]
    assert [task.position for task in store.list(limit=2, marker=4998)] == [4999, 5000]


def test_of_an_update_and_a_cancellation_at_once_one_comes_first(database: Database):
    """A task is either launched and told to end, or cancelled and never launched."""
    term, store = Terms(database).begin("a", 1.0), TaskStore(database)
    tasks = [replace(TASK, uuid=str(number), spec={}) for number in range(40)]
    store.add(tasks, term)

    def launch() -> list[bool]:
        return [
            store.update(replace(task, state=TaskState.LAUNCHING), TaskState.WAITING, term)
            for task in tasks
        ]

    with ThreadPoolExecutor(2) as threads:
        launched = threads.submit(launch)
        cancelled = [store.cancel(task.uuid, term, 9.0) for task in reversed(tasks)]
    for task, is_launched in zip(tasks, launched.result(), strict=True):
        now = store.get(task.uuid)
        assert now.cancelling
        assert now.state is (TaskState.LAUNCHING if is_launched else TaskState.CANCELLED)
    assert [task.state for task in reversed(cancelled)] == [
        store.get(task.uuid).state for task in tasks
    ]


def test_the_commands_use_the_database_that_is_named(url: str, tmp_path: Path):
    config_file = tmp_path / "it.conf"
    config_file.write_text(f"[database]\nconnection = {url}\n")
    assert "Run `hybrid-sched-manage db sync`" in run_manage(config_file, "scores", "list").stderr
    assert run_manage(config_file, "db", "sync").returncode == 0
    assert run_manage(config_file, "scores", "set", "AMD*", "0.5").returncode == 0
    assert ScoreStore(Database(url)).all() == (ScoreRow("AMD*", "*", Fraction(1, 2)),)


class TestServer:
    """What only a server can do to us."""

    @pytest.fixture
    def database(self, server: Server) -> Iterator[Database]:
        database = Database(server.make_database(f"test_{next(_numbers)}"))
        database.sync()
        yield database
        database.close()

    def test_a_connection_that_is_lost_in_use_is_replaced(self, server: Server, database: Database):
        Terms(database).begin("old", 1.0)
        lost = []

        def work(connection: sa.Connection) -> int:
            mine = connection.scalar(sa.text("SELECT CONNECTION_ID()"))
            if not lost:
                lost.append(mine)
                server.execute(f"KILL CONNECTION {mine}")
            connection.execute(sa.text("UPDATE terms SET term = term + 1"))
            return mine

        assert database.write(work) != lost[0]
        assert Terms(database).newest() == 2

    def test_a_server_that_comes_back_has_all_and_is_used_again(
        self, server: Server, database: Database
    ):
        term = Terms(database).begin("old", 1.0)
        store = ReservationStore(database)
        store.put(RESERVATION, term)
        server.kill()
        with pytest.raises(DatabaseError, match="See that it runs") as away:
            store.all()
        assert PASSWORD not in str(away.value)
        server.start()
        assert store.all() == (RESERVATION,)

    @pytest.mark.parametrize("parameters", ["?read_timeout=1", ""])
    def test_a_server_that_does_not_answer_is_given_up(
        self, server: Server, database: Database, parameters: str
    ):
        """What the operator says counts more than our default, in the URL and beside it."""
        beside = "" if parameters else "read_timeout=1"
        hasty = Database(server.url("mysql") + parameters, connection_parameters=beside)
        begun_s = time.monotonic()
        with pytest.raises(DatabaseError, match="timed out"):
            hasty.read(lambda connection: connection.execute(sa.text("SELECT SLEEP(15)")))
        assert time.monotonic() - begun_s < 10
        hasty.close()

    def test_a_wrong_password_is_not_told(self, server: Server, database: Database):
        url = server.url("mysql").replace(PASSWORD, "also-not-for-logs")
        with pytest.raises(DatabaseError, match="Access denied") as refused:
            Database(url).version()
        assert "not-for-logs" not in str(refused.value)


def test_engines_elect_a_leader_through_a_database_server(server: Server):
    url = server.make_database(f"test_{next(_numbers)}")
    database = Database(url)
    database.sync()
    backend = url.replace("mysql+pymysql://", "mysql://")
    with program("lead", backend, url, "one") as one:
        assert one.stdout.readline().split() == ["1", "True"]
        with program("lead", backend, url, "two") as two:
            # It stands by for several attempts, and follows when the leader is dead.
            with pytest.raises(subprocess.TimeoutExpired):
                two.wait(1)
            assert Terms(database).newest() == 1
            one.kill()
            assert two.stdout.readline().split() == ["2", "True"]
    database.close()
