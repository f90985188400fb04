# SPDX-License-Identifier: Apache-2.0
"""The source against an emulator that speaks as much of Docker's API as is asked."""

from __future__ import annotations

import http.server
import json
import logging
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from kernel_files import write
from source_options import options

from hybrid_sched.core.cluster import CONTAINER, Task
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import SeenTask, SourceError
from hybrid_sched.monitors import cgroup
from hybrid_sched.monitors import docker as docker_module
from hybrid_sched.monitors.docker import DockerSource, declaration_of, task_of
from hybrid_sched.monitors.waits import ThreadWaits

# A number that no process has: the largest of Linux is 2^22.
_NO_PROCESS = 2**22 + 1
_STARTED = "2026-01-02T03:04:05.6Z"


def container(
    name: str,
    cpu_shares: int,
    memory_mb: int,
    status: str,
    labels: dict[str, str] | None = None,
    network: str = "kuryr-net",
) -> dict[str, Any]:
    return {
        "Id": name,
        "Name": f"/{name}",
        "Config": {"Hostname": f"host-of-{name}", "Labels": labels},
        "HostConfig": {
            "CpuShares": cpu_shares,
            "Memory": memory_mb * 2**20,
            "NetworkMode": network,
        },
        "State": {
            "Status": status,
            "Pid": _NO_PROCESS if status == "running" else 0,
            "StartedAt": _STARTED,
        },
    }


class Emulator:
    def __init__(self, *containers: dict[str, Any]) -> None:
        self.containers = {each["Id"]: each for each in containers}
        #: Listed, but gone when asked for.
        self.gone: set[str] = set()
        #: Of which the daemon tells of an error of its own, as of one that it is stuck on.
        self.broken: set[str] = set()
        self.statistics: dict[str, Any] = {}
        self.asked: list[str] = []
        emulator = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                emulator.asked.append(url.query)
                code, answer = emulator.answer(url.path.split("/")[2:] or url.path.split("/")[1:])
                body = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: list[str]) -> tuple[int, object]:
        match path:
            case ["version"]:
                return 200, {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}
            case ["containers", "json"]:
                return 200, [{"Id": name} for name in (*self.containers, *self.gone)]
            case ["containers", name, _] if name in self.broken:
                return 500, {"message": "something is locked"}
            case ["containers", name, "json"] if name in self.containers:
                return 200, self.containers[name]
            case ["containers", name, "stats"] if name in self.statistics:
                return 200, self.statistics[name]
        return 404, {"message": f"not there: {path}"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    made = Emulator(
        container("zun-one", cpu_shares=1536, memory_mb=512, status="running"),
        container("zun-two", cpu_shares=0, memory_mb=0, status="exited"),
    )
    yield made
    made.close()


@pytest.fixture(autouse=True)
def one_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybrid_sched.monitors.docker.physical_disks", lambda: {"sda": "8:0"})


def source(url: str) -> DockerSource:
    return DockerSource(options(docker_url=url))


def tasks(source: DockerSource) -> dict[str, SeenTask]:
    return {each.task.uuid: each for each in source.collect().tasks}


def test_every_container_of_zun_is_listed_with_its_claim(emulator: Emulator) -> None:
    emulator.gone.add("zun-three")
    assert [each.task for each in source(emulator.url).collect().tasks] == [
        Task(
            "one",
            CONTAINER,
            Resources(vcpu=2, memory_mb=512),
            "host-of-zun-one",
            "running",
            promised=Resources(vcpu=Fraction(3, 2), memory_mb=512),
        ),
        # It asked for nothing, and holds the least that can be claimed.
        Task(
            "two",
            CONTAINER,
            Resources(vcpu=1, memory_mb=1),
            "host-of-zun-two",
            "closed",
            promised=Resources(),
        ),
    ]


def test_a_limit_of_memory_that_was_taken_away_is_no_claim(emulator: Emulator) -> None:
    emulator.containers["zun-one"]["HostConfig"]["Memory"] = 2**63 - 4096
    assert tasks(source(emulator.url))["one"].task.demand.memory_mb == 1


def test_only_containers_of_zun_are_asked_for_those_that_stopped_too(emulator: Emulator) -> None:
    source(emulator.url).collect()
    (query,) = [urllib.parse.parse_qs(query) for query in emulator.asked if "filters" in query]
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"name": ["^/?zun-"]}


def test_rates_are_labels_and_a_bad_one_is_left_out_and_named_once(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hybrid_sched")
    labels = {
        "hybrid:disk_read_bps": "10485760",
        "hybrid:disk_write_bps": "10M",
        "hybrid:net_in_bps": "0",
        "hybrid:net_out_bps": "-5",
        "hybrid:relocatable": "yes",
        "hybrid:task": "7",
        "app": "web",
    }
    emulator.containers = {"zun-one": container("zun-one", 1024, 64, "created", labels)}
    made = source(emulator.url)
    for _ in range(2):
        assert tasks(made)["one"].task.demand == Resources(1, 64, disk_read_bps=10485760)
    assert [
        sentence.partition(": give")[0].partition(": use")[0] for sentence in caplog.messages
    ] == [
        "Container zun-one: 'hybrid:relocatable' is not known",
        "Container zun-one: hybrid:disk_write_bps is '10M'",
        "Container zun-one: hybrid:net_out_bps is '-5'",
    ]
    assert all(each.endswith(". What cannot be read is left out.") for each in caplog.messages)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("created", "closed"),
        ("running", "running"),
        ("paused", "paused"),
        ("exited", "closed"),
        # Of what its life cycle does not have, Docker's own word.
        ("restarting", "restarting"),
        ("dead", "dead"),
    ],
)
def test_a_container_is_where_its_life_cycle_has_it(status: str, state: str) -> None:
    inspected = container("zun-one", 1024, 64, status)
    assert task_of(inspected, declaration_of(inspected, set())).state == state


_V1_STATISTICS = {
    "cpu_stats": {
        "cpu_usage": {"total_usage": 2_500_000_000},
        "throttling_data": {"periods": 9, "throttled_periods": 2, "throttled_time": 750_000_000},
    },
    "memory_stats": {"usage": 100 * 2**20, "stats": {"total_inactive_file": 30 * 2**20}},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "Read", "value": 4096},
            {"major": 8, "minor": 0, "op": "Write", "value": 8192},
            {"major": 8, "minor": 0, "op": "Total", "value": 12288},
            {"major": 253, "minor": 0, "op": "Write", "value": 8192},
        ]
    },
    "networks": {
        "eth0": {"rx_bytes": 1000, "tx_bytes": 300},
        "eth1": {"rx_bytes": 10, "tx_bytes": 3},
    },
}
_V2_STATISTICS = {
    **_V1_STATISTICS,
    "memory_stats": {"usage": 100 * 2**20, "stats": {"inactive_file": 30 * 2**20}},
    "blkio_stats": {
        "io_service_bytes_recursive": [
            {"major": 8, "minor": 0, "op": "read", "value": 4096},
            {"major": 8, "minor": 0, "op": "write", "value": 8192},
        ]
    },
}
_COUNTERS = {
    "cpu_s": 2.5,
    "cpu_throttled_s": 0.75,
    "disk_read_bytes": 4096,
    "disk_write_bytes": 8192,
    "net_in_bytes": 1010,
    "net_out_bytes": 303,
}


@pytest.mark.parametrize("statistics", [_V1_STATISTICS, _V2_STATISTICS])
def test_where_control_groups_are_out_of_reach_docker_tells_the_use_at_once(
    statistics: dict[str, Any], emulator: Emulator
) -> None:
    emulator.statistics["zun-one"] = statistics
    seen = tasks(source(emulator.url))
    assert seen["one"].gauges == {"memory_used_mb": 70}
    assert seen["one"].counters == _COUNTERS
    assert seen["two"].counters == seen["two"].gauges == {}
    assert any("one-shot=True" in query or "one-shot=1" in query for query in emulator.asked)


def test_what_docker_does_not_count_is_left_out(emulator: Emulator) -> None:
    emulator.statistics["zun-one"] = {
        **_V2_STATISTICS,
        "cpu_stats": {"cpu_usage": {"total_usage": 2_500_000_000}},
        "blkio_stats": {"io_service_bytes_recursive": None},
        "networks": None,
    }
    assert tasks(source(emulator.url))["one"].counters == {"cpu_s": 2.5}


def test_statistics_of_a_container_that_has_just_ended_tell_nothing(emulator: Emulator) -> None:
    emulator.statistics["zun-one"] = {
        "cpu_stats": {"cpu_usage": {"total_usage": 0}},
        "memory_stats": {},
    }
    one = tasks(source(emulator.url))["one"]
    assert one.counters == one.gauges == {}


@pytest.mark.parametrize("network", ["host", "container:c0ffee"])
def test_traffic_in_a_network_namespace_of_others_is_not_the_containers(
    network: str, emulator: Emulator
) -> None:
    emulator.containers["zun-one"] = container("zun-one", 1024, 64, "running", network=network)
    emulator.statistics["zun-one"] = _V1_STATISTICS
    assert tasks(source(emulator.url))["one"].counters.keys() == {
        "cpu_s",
        "cpu_throttled_s",
        "disk_read_bytes",
        "disk_write_bytes",
    }


def test_control_groups_are_read_before_docker_is_asked(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def usage(*arguments: Any, **_more: Any) -> tuple[dict[str, float], dict[str, float]]:
        asked.append((arguments[0], arguments[1], set(arguments[2])))
        return {"memory_used_mb": 1.0}, {"cpu_s": 2.0}

    monkeypatch.setattr(cgroup, "usage", usage)
    one = tasks(source(emulator.url))["one"]
    assert (one.gauges, one.counters) == ({"memory_used_mb": 1.0}, {"cpu_s": 2.0})
    assert asked == [(_NO_PROCESS, "zun-one", {"8:0"})]


def test_waiting_of_threads_is_counted_for_as_long_as_a_container_is_there(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path / "group" / "tasks", "12\n")

    def usage(
        _pid: int, container_id: str, *_: Any, waits: ThreadWaits
    ) -> tuple[dict[str, float], dict[str, float]]:
        return {}, {"cpu_wait_s": waits.wait_s(container_id, tmp_path / "group")}

    monkeypatch.setattr(docker_module, "ThreadWaits", lambda: ThreadWaits(tmp_path))
    monkeypatch.setattr(cgroup, "usage", usage)
    made = source(emulator.url)

    def wait_s(of_thread_s: int) -> float:
        write(tmp_path / "12" / "schedstat", f"0 {of_thread_s}000000000 1\n")
        return tasks(made)["one"].counters["cpu_wait_s"]

    assert [wait_s(5), wait_s(6), wait_s(1)] == [5, 6, 7]
    one = emulator.containers.pop("zun-one")
    assert "one" not in tasks(made)
    emulator.containers["zun-one"] = one
    assert wait_s(2) == 2


def test_a_restart_is_another_life(emulator: Emulator) -> None:
    made = source(emulator.url)
    first = tasks(made)["one"].life
    assert tasks(made)["one"].life == first
    emulator.containers["zun-one"]["State"]["StartedAt"] = "2026-01-02T03:09:00Z"
    assert tasks(made)["one"].life != first


def test_one_container_that_cannot_be_read_keeps_its_claim_and_hides_no_other(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hybrid_sched")
    emulator.statistics["zun-one"] = _V1_STATISTICS
    made = source(emulator.url)
    before = tasks(made)
    emulator.broken.add("zun-one")
    for _ in range(2):
        now = tasks(made)
        assert now["one"] == replace(before["one"], gauges={}, counters={})
        assert now["two"] == before["two"]
    assert caplog.messages == [
        "Docker cannot tell of container zun-one: see 'docker inspect' there. Its use is left out."
    ]
    # An agent that has just started knows no claim of it.
    assert tasks(source(emulator.url)).keys() == {"two"}
    emulator.broken.clear()
    assert tasks(made) == before


def test_use_that_nobody_can_tell_is_named(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "hybrid_sched")
    emulator.containers["zun-one"]["State"]["Pid"] = _NO_PROCESS
    answer = emulator.answer

    def refuse(path: list[str]) -> tuple[int, object]:
        return (500, {"message": "no"}) if path[-1] == "stats" else answer(path)

    emulator.answer = refuse  # type: ignore[method-assign]
    assert tasks(source(emulator.url))["one"].counters == {}
    (sentence,) = caplog.messages
    assert sentence.startswith("The use of container zun-one is left out: process ")


def test_docker_that_does_not_answer_is_an_error_and_is_asked_again(emulator: Emulator) -> None:
    made = source(emulator.url)
    made.collect()
    emulator.close()
    with pytest.raises(SourceError, match=f"^Docker at {emulator.url} does not answer: "):
        made.collect()
    again = Emulator(*emulator.containers.values())
    try:
        made._conf.set_override("docker_url", again.url, group="agent")
        assert tasks(made).keys() == {"one", "two"}
    finally:
        again.close()


@pytest.mark.parametrize(
    ("labels", "movable"),
    [
        ({"hybrid:relocate": "allow"}, True),
        ({"hybrid:relocate": "yes"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_container_may_move_only_where_its_owner_allows_it(
    labels: dict[str, str] | None, movable: bool
) -> None:
    inspected = container("zun-one", 1024, 64, "running", labels)
    inspected["Created"] = "2026-11-26T01:22:13.5Z"
    task = task_of(inspected, declaration_of(inspected, set()))
    assert (task.movable, task.created_at_s) == (movable, 1795656133.5)


def test_all_that_a_container_declared_is_told_with_its_identifier(emulator: Emulator) -> None:
    labels = {"hybrid:cpu_percent": "50", "hybrid:net_in_bps": "7"}
    emulator.containers = {"zun-one": container("zun-one", 1536, 64, "running", labels)}
    seen = tasks(source(emulator.url))["one"]
    assert seen.declaration == Declaration(Fraction(3, 2), 64, cpu_percent=50, net_in_bps=7)
    assert seen.backend_id == "zun-one"
