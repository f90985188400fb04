# SPDX-License-Identifier: Apache-2.0
"""Decisions outlive the engine that took them in, however it ends, and a database that is away for a while."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from conftest import Site
from programs import run_manage
from waiting import wait_until

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Resources

REQUESTS = 150


def steps(number: int) -> list[Decision]:
    gate = Decision(
        request_uuid=f"33333333-0000-0000-0000-{number:012}",
        framework=(HYPERVISOR, CONTAINER)[number % 2],
        demand=Resources(vcpu=1, memory_mb=64),
        stage=Stage.SHARE_GATE,
        decided_at_s=1_800_000_000.0 + number,
        snapshot_version=3,
        snapshot_age_s=0.25,
        hosts=("one",),
        refused={"two": "host_room: host two is full"},
        text="the share allows it",
    )
    order = Decision(
        request_uuid=gate.request_uuid,
        framework=gate.framework,
        demand=gate.demand,
        stage=Stage.ORDER,
        decided_at_s=gate.decided_at_s + 0.5,
        snapshot_version=3,
        snapshot_age_s=0.25,
        hosts=("one",),
        weights=(7,),
        text="head: most vcpu free first",
    )
    return [gate, order]


def rows(site: Site) -> int:
    path = site.database_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT count(*) FROM decisions").fetchone()[0])


@pytest.fixture
def engine(site: Site):
    site.engine.start()
    wait_until(lambda: "Serving." in site.engine.log_text(), "the engine serves")
    return site.engine


def test_what_was_decided_is_known_after_the_engine_was_killed(site: Site, engine) -> None:
    client = site.client()
    for number in range(REQUESTS):
        for step in steps(number):
            client.record(partial(replace, step))
    wait_until(lambda: rows(site) == 2 * REQUESTS, "all decisions are in the database")
    engine.kill()
    engine.start()
    wait_until(lambda: engine.log_text().count("Serving.") == 2, "the engine serves again")
    listed = site.ask("decision", "list", "--limit", "1000")
    assert {row["Request"] for row in listed} == {
        steps(number)[0].request_uuid for number in range(REQUESTS)
    }
    for number in (0, REQUESTS - 1):
        gate, order = steps(number)
        said = site.ask("why", gate.request_uuid)
        assert said["kind"] == ("guest", "container")[number % 2]
        assert said["refused"] == gate.refused
        assert said["weights"] == [{"host": "one", "weight": 7}]
        assert (said["chosen"], said["when"]) == ("one", gate.decided_at_s)
        shown = site.ask("decision", "show", gate.request_uuid)
        assert [row["Rule"] for row in shown] == [gate.text, order.text]


def test_a_scheduler_that_loses_the_engine_tells_the_next_one_what_it_told_last(
    site: Site, engine
) -> None:
    """What the engine has taken in and not written yet is not lost with it."""
    client = site.client()
    path = Path(site.database_url.removeprefix("sqlite:///"))
    locked = sqlite3.connect(path, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    try:
        client.record(lambda: steps(0)[0])
        wait_until(lambda: site.ask("decision", "list"), "the engine has it in memory")
        engine.kill()
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    assert rows(site) == 0
    engine.start()
    wait_until(lambda: rows(site) == 1, "the next engine has written it", 30)


def test_an_engine_that_is_stopped_writes_what_waits(site: Site, engine) -> None:
    client = site.client()
    for number in range(20):
        client.record(partial(replace, steps(number)[0]))
    wait_until(lambda: len(site.ask("decision", "list")) == 20, "the engine has them in memory")
    assert engine.stop() == 0
    assert rows(site) == 20


def test_a_database_that_is_locked_holds_up_no_call(site: Site, engine) -> None:
    client = site.client()
    site.agent("one")
    first = wait_until(lambda: client.view().snapshot, "the first snapshot")
    path = site.database_url.removeprefix("sqlite:///")
    locked = sqlite3.connect(path, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    try:
        for number in range(20):
            client.record(partial(replace, steps(number)[0]))
        # Calls are answered and cycles go on, although nothing can be written.
        wait_until(lambda: len(site.ask("decision", "list")) == 20, "the decisions are known")
        wait_until(lambda: client.view().snapshot.version > first.version + 3, "cycles go on")
        assert rows(site) == 0
    finally:
        locked.execute("ROLLBACK")
        locked.close()
    wait_until(lambda: rows(site) == 20, "they are written now", 60)


def test_a_database_that_cannot_be_read_is_one_sentence(site: Site, engine) -> None:
    with sqlite3.connect(site.database_url.removeprefix("sqlite:///")) as connection:
        connection.execute("ALTER TABLE decisions RENAME TO gone")
    done = run_manage(engine.config_file, "why", "unknown")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("The quota service cannot answer: The database ")
    assert done.stderr.count("\n") == 1


def test_what_would_let_a_request_in_is_asked_over_the_bus(site: Site, engine) -> None:
    site.agent("one")
    site.wait_for_hosts("one")
    for framework in (HYPERVISOR, CONTAINER):
        asked = ("--framework", framework, "--vcpu", "1", "--memory-mb", "1000000000")
        said = site.ask("why-not", *asked)
        assert (said["fits"], said["framework"]) == (False, framework)
        assert [row["rule"] for row in said["hosts"]] == ["host_room"]
        (change,) = said["changes"]
        largest = str(change["demand"]["memory_mb"])
        fits = site.ask("why-not", *asked[:-1], largest)
        assert (fits["fits"], fits["host"]) == (True, "one")
