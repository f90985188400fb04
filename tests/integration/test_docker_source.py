# SPDX-License-Identifier: Apache-2.0
"""The docker source on a real daemon, against load whose size is known."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator

import namespaces
import pytest
from dockerd import Dockerd
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.control_groups import NotReachable
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import SeenTask
from hybrid_sched.monitors import cgroup
from hybrid_sched.monitors.devices import physical_disks
from hybrid_sched.monitors.docker import DockerSource

pytestmark = pytest.mark.timeout(120)

_MB = 2**20
_WORK = "i=0; while [ $i -lt 400000 ]; do i=$((i + 1)); done; times"
_SEND = (
    "import socket; link = socket.socket(type=socket.SOCK_DGRAM)\n"
    "link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
    "for _ in range(1000): link.sendto(bytes(1000), ('192.0.2.255', 9))"
)


@pytest.fixture
def name(dockerd: Dockerd) -> Iterator[str]:
    yield f"zun-{uuid.uuid4()}"
    dockerd.remove_containers()


@pytest.fixture
def source(dockerd: Dockerd) -> DockerSource:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("docker_url", dockerd.url, group="agent")
    return DockerSource(conf)


def look(source: DockerSource) -> SeenTask:
    (seen,) = source.collect().tasks
    return seen


def grown(before: SeenTask, after: SeenTask) -> dict[str, float]:
    assert before.life == after.life
    return {name: after.counters[name] - before.counters[name] for name in after.counters}


def test_cpu_time_is_what_a_container_worked(
    dockerd: Dockerd, name: str, source: DockerSource
) -> None:
    container = dockerd.run(name, "sleep", "1000")
    before = look(source)
    own_times = dockerd.shell(container, _WORK).splitlines()[0]
    worked_s = sum(
        60 * int(minutes) + float(seconds)
        for minutes, seconds in re.findall(r"(\d+)m([\d.]+)s", own_times)
    )
    assert worked_s > 0.1
    # The daemon's own helper starts the shell inside the container's groups, which takes some 50 ms.
    assert worked_s * 0.95 <= grown(before, look(source))["cpu_s"] <= worked_s * 1.05 + 0.2


def test_memory_is_what_a_container_holds_without_its_cache(
    dockerd: Dockerd, name: str, source: DockerSource
) -> None:
    container = dockerd.run(name, "sleep", "1000", mem_limit="256m")
    before = look(source)
    assert before.task.demand.memory_mb == 256
    dockerd.shell(container, "dd if=/dev/zero of=/cached bs=1M count=64 conv=fsync 2>&1")
    cached = look(source)
    assert cached.gauges["memory_used_mb"] == pytest.approx(before.gauges["memory_used_mb"], abs=8)
    dockerd.shell(container, "dd if=/dev/zero of=/dev/shm/held bs=1M count=40 2>&1")
    held_mb = look(source).gauges["memory_used_mb"] - cached.gauges["memory_used_mb"]
    assert held_mb == pytest.approx(40, abs=8)


def test_disk_bytes_are_what_a_container_transferred(
    dockerd: Dockerd, name: str, source: DockerSource
) -> None:
    disks = [f"/dev/{disk}" for disk in physical_disks()]
    if not disks or dockerd.on_tmpfs:
        pytest.skip("there is no disk of hardware under the temporary directory")
    # With version 1 of control groups Linux counts only on disks with a limit; this one never bites.
    limits = [{"Path": disk, "Rate": 2**40} for disk in disks]
    container = dockerd.run(name, "sleep", "1000", device_write_bps=limits)
    dockerd.shell(container, "dd if=/dev/zero of=/file bs=1M count=1 conv=fsync 2>&1")
    before = look(source)
    dockerd.shell(container, "dd if=/dev/zero of=/file bs=1M count=24 conv=fsync 2>&1")
    written = look(source)
    # The file system's journal comes on top.
    assert 24 * _MB <= grown(before, written)["disk_write_bytes"] <= 26 * _MB
    dockerd.shell(container, "dd if=/file of=/dev/null bs=1M iflag=direct 2>&1")
    assert grown(written, look(source))["disk_read_bytes"] == pytest.approx(24 * _MB, rel=0.05)


def test_network_bytes_are_what_came_to_a_container(
    dockerd: Dockerd, name: str, source: DockerSource
) -> None:
    reason = namespaces.why_not()
    if reason is not None:
        pytest.skip(reason)
    container = dockerd.run(name, "sleep", "1000")
    assert dockerd.client is not None
    pid = dockerd.client.inspect_container(container)["State"]["Pid"]
    with namespaces.Namespace("peer") as peer:
        peer.join("link0", "192.0.2.1/24", str(pid), "eth0")
        subprocess.run(
            ["nsenter", "--net", "--target", str(pid), "ip", "link", "set", "eth0", "up"],
            check=True,
        )
        before = look(source)
        subprocess.run([*peer.prefix, sys.executable, "-c", _SEND], check=True)
        received = grown(before, look(source))["net_in_bytes"]
    # UDP, IP and Ethernet headers come on top of the 1000 bytes of each of 1000 packets.
    assert received == pytest.approx(1000 * 1042, rel=0.02)


def test_docker_itself_tells_the_same_where_control_groups_are_out_of_reach(
    dockerd: Dockerd, name: str, source: DockerSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = dockerd.run(name, "sleep", "1000", mem_limit="64m")
    dockerd.shell(container, _WORK)
    read = look(source)

    def refuse(*_: object, **_more: object) -> None:
        raise NotReachable("as asked by the test")

    monkeypatch.setattr(cgroup, "usage", refuse)
    told = look(source)
    assert told.life == read.life
    assert told.counters["cpu_s"] == pytest.approx(read.counters["cpu_s"], abs=0.05)
    assert told.gauges["memory_used_mb"] == pytest.approx(read.gauges["memory_used_mb"], abs=1)


def test_a_restart_is_another_life_whose_counters_begin_anew(
    dockerd: Dockerd, name: str, source: DockerSource
) -> None:
    container = dockerd.run(name, "sleep", "1000")
    dockerd.shell(container, _WORK)
    first = look(source)
    assert dockerd.client is not None
    dockerd.client.restart(container, timeout=0)
    second = look(source)
    assert second.life != first.life
    assert second.counters["cpu_s"] < first.counters["cpu_s"]
    dockerd.client.stop(container, timeout=0)
    stopped = look(source)
    assert (stopped.task.state, stopped.counters, stopped.gauges) == ("closed", {}, {})


def test_labels_of_a_container_are_its_rates(
    dockerd: Dockerd, name: str, source: DockerSource
) -> None:
    labels = {"hybrid:net_in_bps": "125000", "hybrid:disk_read_bps": "a lot"}
    dockerd.run(name, "sleep", "1000", labels=labels, cpu_shares=1536, mem_limit="64m")
    seen = look(source)
    assert seen.task.uuid == name.removeprefix("zun-")
    assert seen.task.demand == Resources(vcpu=2, memory_mb=64, net_in_bps=125000)
