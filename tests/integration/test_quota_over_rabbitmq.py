# SPDX-License-Identifier: Apache-2.0
"""The engine, agents and clients as real processes over a real RabbitMQ."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from conftest import PERIOD_S, Site
from programs import run_manage
from waiting import wait_until

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.quota.client import QuotaClient

# What a look at the snapshot or a note of a decision may take at most; on an idle machine it takes microseconds.
_AT_ONCE_S = 0.1


def decision(number: int = 0, **changes: object) -> Decision:
    values = {
        "request_uuid": f"11111111-0000-0000-0000-{number:012}",
        "framework": HYPERVISOR,
        "demand": Resources(vcpu=1, memory_mb=64),
        "stage": Stage.SHARE_GATE,
        "decided_at_s": 1_700_000_000.0 + number,
        "snapshot_version": 3,
        "snapshot_age_s": 0.25,
        "hosts": ("one",),
        "refused": {"two": "host_room: host two is full"},
    }
    return Decision(**{**values, **changes})


def request(uuid: str, framework: str = HYPERVISOR, memory_mb: int = 1, count: int = 1) -> Request:
    return Request(uuid, framework, Resources(memory_mb=memory_mb), count)


def reserve(client: QuotaClient, asked: Request, timeout_s: float = 5) -> dict | None:
    return client.reserve(asked, [DEFAULT_POOL], timeout_s, patient=False)


def hosts_of(client) -> set[str]:
    snapshot = client.view().snapshot
    return set(snapshot.hosts) if snapshot else set()


@pytest.fixture
def engine(site: Site):
    site.engine.start()
    # Before it serves for the first time nothing keeps what it is asked.
    wait_until(lambda: "Serving." in site.engine.log_text(), "the engine serves")
    return site.engine


def test_reports_become_a_snapshot_and_decisions_can_be_read(site: Site, engine):
    site.agent("one")
    site.agent("two")
    client = site.client()
    wait_until(lambda: hosts_of(client) == {"one", "two"}, "both hosts are in the snapshot")
    snapshot = client.view().snapshot
    assert (
        snapshot.pools[DEFAULT_POOL].capacity[0]
        == sum(host.capacity.vcpu for host in snapshot.hosts.values())
        > 0
    )
    assert client.view().age_s < 10 * PERIOD_S

    client.record(decision)
    client.record(
        lambda: decision(stage=Stage.ORDER, refused={}, text="head: most vcpu free first")
    )
    uuid = decision().request_uuid
    steps = wait_until(
        lambda: (
            len(rows := site.ask("decision", "list")) == 1
            and site.ask("decision", "show", rows[0]["Request"])
        ),
        "the decision has arrived",
    )
    assert [step["Step"] for step in steps] == ["share_gate", "order"]
    assert steps[0]["Refused"] == {"two": "host_room: host two is full"}
    assert site.ask("decision", "list")[0]["Request"] == uuid

    shares = {row["Framework"]: row for row in site.ask("shares", "list")}
    assert shares[CONTAINER]["Fair"] == {"exact": "1/2", "value": 0.5}


def test_a_snapshot_comes_without_being_asked_for(site: Site, engine):
    site.agent("one")
    site.wait_for_hosts("one")
    client = site.client(refresh_period_s=3600)
    first = wait_until(lambda: client.view().snapshot, "the first snapshot")
    wait_until(lambda: client.view().snapshot.version >= first.version + 3, "three fanned-out ones")


def test_nothing_waits_while_the_broker_is_away_and_nothing_is_lost(site: Site, engine):
    agent = site.agent("one")
    client = site.client()
    wait_until(lambda: hosts_of(client) == {"one"}, "the host is in the snapshot")
    site.broker.kill()
    longest_s, sent = 0.0, 0
    until_s = time.monotonic() + 4
    while time.monotonic() < until_s:
        start_s = time.monotonic()
        assert client.view().snapshot is not None
        client.record(partial(decision, sent))
        longest_s = max(longest_s, time.monotonic() - start_s)
        sent += 1
        time.sleep(0.05)
    assert longest_s < _AT_ONCE_S
    assert client.view().age_s > 3

    start_s = time.monotonic()
    answer = reserve(client, request("22222222-0000-0000-0000-000000000000"), timeout_s=1)
    assert answer is None
    assert time.monotonic() - start_s < 1.0 + _AT_ONCE_S

    old = client.view().snapshot.version
    site.broker.start()
    wait_until(lambda: client.view().snapshot.version > old, "a newer snapshot", 60)
    wait_until(lambda: client.view().age_s < 2, "a young snapshot", 30)
    wait_until(
        lambda: len(site.ask_if_served("decision", "list", "--limit", "1000") or ()) == sent,
        f"all {sent} decisions have arrived",
        60,
    )
    site.wait_for_hosts("one", timeout_s=30)
    assert agent.process.poll() is None


def test_reservations_are_charged_once_and_bounded_by_the_share(site: Site, engine):
    site.agent("one")
    client = site.client()
    wait_until(lambda: hosts_of(client) == {"one"}, "the host is in the snapshot")
    memory_mb = client.view().snapshot.pools[DEFAULT_POOL].capacity[1]

    assert reserve(client, request("a", memory_mb=memory_mb // 2))["granted"]
    assert reserve(client, request("a", memory_mb=memory_mb // 2))["granted"]
    used = {row["Framework"]: row["Used"]["value"] for row in site.ask("shares", "list")}
    assert used[HYPERVISOR] == pytest.approx(0.5, abs=0.01)
    refused = reserve(client, request("b", memory_mb=memory_mb // 2 + 10))
    assert not refused["granted"]
    assert "share" in refused["text"]


def test_an_engine_that_was_restarted_is_complete_within_a_period_and_never_shows_less(site: Site):
    site.engine.write_options({"quota": {"period_s": 3}})
    site.engine.start()
    # Their own next reports come long after the test: it is the engine that asks for them.
    for host in ("one", "two"):
        site.agent(host, period_s=300)
    client = site.client(refresh_period_s=0.1)
    wait_until(lambda: hosts_of(client) == {"one", "two"}, "both hosts are in the snapshot")
    term = client.view().snapshot.term
    assert site.engine.stop() == 0
    site.engine.start()
    seen = [hosts_of(client)]
    wait_until(
        lambda: seen.append(hosts_of(client)) or client.view().snapshot.term > term,
        "a snapshot of the new life",
    )
    until_s = time.monotonic() + 6
    while time.monotonic() < until_s:
        seen.append(hosts_of(client))
        time.sleep(0.02)
    assert seen[-1] == {"one", "two"}
    assert all(hosts == {"one", "two"} for hosts in seen)


def test_weights_change_on_sighup_and_bad_ones_leave_the_old(site: Site, engine):
    site.agent("one")
    site.wait_for_hosts("one")

    def fair(framework: str) -> str:
        return {r["Framework"]: r for r in site.ask("shares", "list")}[framework]["Fair"]["exact"]

    engine.write_options({"quota": {"period_s": PERIOD_S, "weights": "hypervisor:3,container:1"}})
    engine.reload()
    wait_until(lambda: fair(HYPERVISOR) == "3/4", "the new weights are used")
    engine.write_options({"quota": {"period_s": PERIOD_S, "weights": "hypervisor:-1,container:1"}})
    engine.reload()
    wait_until(lambda: "[quota] weights: hypervisor:-1" in engine.log_text(), "a line in the log")
    assert fair(HYPERVISOR) == "3/4"
    assert "Traceback" not in engine.log_text()


def test_a_client_that_crosses_a_fork_works_on_both_sides(site: Site, engine, tmp_path: Path):
    site.agent("one")
    site.wait_for_hosts("one")
    script = tmp_path / "fork.py"
    script.write_text(
        """
import os, sys, time
from oslo_config import cfg
from hybrid_sched.conf import client as options
from hybrid_sched.quota.client import client_for_process

cfg.CONF([], default_config_files=[])
options.register(cfg.CONF)
cfg.CONF.set_override("transport_url", sys.argv[1], group="hybrid_sched")
cfg.CONF.set_override("refresh_period_s", 0.2, group="hybrid_sched")
cfg.CONF.set_override("first_snapshot_timeout_s", 10, group="hybrid_sched")

def newer():
    client = client_for_process(cfg.CONF)
    first = client.view().snapshot
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if client.view().snapshot.version > first.version:
            return True
        time.sleep(0.05)
    return False

assert newer()
children = []
for _ in range(2):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if newer() else 7)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
assert codes == [0, 0], codes
assert newer()
print("both sides")
"""
    )
    done = subprocess.run(
        [sys.executable, str(script), site.broker.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "both sides" in done.stdout


def test_a_source_that_fails_marks_the_host_and_stops_nothing(site: Site, engine):
    site.agent("one", sources="docker,host", docker_url="unix:///nowhere/docker.sock")
    row = wait_until(lambda: site.ask("hosts", "list"), "the host is listed")[0]
    assert row["Fresh"] is False
    assert "docker" in row["Faults"][0]
    assert row["Memory MiB"] > 0


def test_everything_may_start_before_the_broker(site: Site):
    site.broker.kill()
    site.engine.start()
    agent = site.agent("one")
    client = site.client(first_snapshot_timeout_s=0.5)
    start_s = time.monotonic()
    assert client.view().snapshot is None
    assert time.monotonic() - start_s < 0.5 + _AT_ONCE_S
    waits_s = []
    for _ in range(20):
        start_s = time.monotonic()
        client.view()
        waits_s.append(time.monotonic() - start_s)
    assert max(waits_s) < _AT_ONCE_S, statistics.mean(waits_s)
    site.broker.start()
    wait_until(lambda: hosts_of(client) == {"one"}, "the host is in the snapshot", 60)
    assert agent.process.poll() is None
    assert site.engine.process.poll() is None


def test_manage_gives_up_in_time_with_one_sentence(site: Site):
    no_engine = run_manage(site.engine.config_file, "--timeout", "1", "shares", "list")
    site.broker.kill()
    start_s = time.monotonic()
    no_broker = run_manage(site.engine.config_file, "--timeout", "1", "shares", "list")
    assert time.monotonic() - start_s < 1 + 4
    for done in (no_engine, no_broker):
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "hybrid-sched-engine" in done.stderr


@pytest.mark.parametrize("broker_is_away", [False, True])
def test_programs_end_when_asked_to(site: Site, engine, broker_is_away: bool):
    agent = site.agent("one")
    site.wait_for_hosts("one")
    if broker_is_away:
        site.broker.kill()
    for program in (agent, engine):
        start_s = time.monotonic()
        assert program.stop() == 0
        assert time.monotonic() - start_s < 10
        assert "Traceback" not in program.log_text()


@pytest.mark.parametrize(
    ("program", "options", "names"),
    [
        ("hybrid-sched-engine", {"quota": {"weights": "hypervisor:0"}}, "[quota] weights"),
        ("hybrid-sched-engine", {"quota": {"lending": "container:2"}}, "[quota] lending"),
        ("hybrid-sched-engine", {"quota": {"host_scores": "a:nan"}}, "[quota] host_scores"),
        ("hybrid-sched-engine", {"quota": {"period_s": "soon"}}, "period_s"),
        ("hybrid-sched-agent", {"agent": {"sources": "host,crystal_ball"}}, "crystal_ball"),
    ],
)
def test_options_that_cannot_be_used_end_a_start_with_one_sentence(
    site: Site, program: str, options: dict, names: str
):
    started = site.program(program, "-bad", **options)
    started.start()
    wait_until(lambda: started.process.poll() is not None, "it has ended", 60)
    assert started.process.returncode == 1
    assert names in started.log_text()
    assert started.log_text().count("\n") == 1
