# SPDX-License-Identifier: Apache-2.0
"""Limits of containers by a real agent with a real Docker daemon: they hold whatever is restarted or changed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dockerd import Dockerd
from oslo_config import cfg
from programs import Program, manage, run_manage
from waiting import wait_until

from hybrid_sched.agent.replica import from_bytes
from hybrid_sched.agent.state import State
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.control_groups import groups_of
from hybrid_sched.core.limits import Limits
from hybrid_sched.isolators.docker import DockerIsolator

pytestmark = pytest.mark.timeout(180)

#: So long that what happens must be told by Docker to be found.
_NEVER_S = 3600


class Site:
    """One agent, which nobody listens to, and one container."""

    def __init__(self, dockerd: Dockerd, directory: Path) -> None:
        self.dockerd = dockerd
        self.uuid = str(uuid4())
        self._directory = directory
        self.agent = Program(
            "hybrid-sched-agent",
            directory,
            # Nothing listens there.
            "rabbit://127.0.0.1:9/",
            options={
                "agent": {
                    "host": "a",
                    "sources": "host,docker",
                    "isolators": "docker",
                    "watchers": "docker",
                    "docker_url": dockerd.url,
                    "state_path": directory,
                    "period_s": _NEVER_S,
                    "isolation_period_s": _NEVER_S,
                }
            },
        )
        conf = cfg.ConfigOpts()
        conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        conf([], default_config_files=[])
        conf.set_override("docker_url", dockerd.url, group="agent")
        self._isolator = DockerIsolator(conf)

    def start(self) -> None:
        self.agent.start()
        wait_until(lambda: self.state is not None, "the agent has made its first round")

    def run(self) -> str:
        return self.dockerd.run(
            f"zun-{self.uuid}", "sleep", "3600", cpu_shares=512, mem_limit="64m"
        )

    @property
    def state(self) -> State | None:
        file = self._directory / "a.json"
        return from_bytes(file.read_bytes()) if file.exists() else None

    @property
    def limits(self) -> Limits:
        """Give what holds the container now, in the kernel where it can be read."""
        return self._isolator.read()[self.uuid]

    def wait_for(self, **limits: Any) -> None:
        wait_until(
            lambda: all(getattr(self.limits, name) == value for name, value in limits.items()),
            f"the limits are {limits}, not {self.limits}",
        )

    def wait_for_repairs(self, **repaired: int) -> None:
        wait_until(
            lambda: dict(self.state.repaired) == repaired,
            f"{repaired} are counted, not {self.state.repaired}",
        )

    def update(self, **changes: Any) -> None:
        """Do what somebody else does."""
        self.dockerd.client.update_container(f"zun-{self.uuid}", **changes)


@pytest.fixture
def site(dockerd: Dockerd, tmp_path: Path) -> Iterator[Site]:
    site = Site(dockerd, tmp_path)
    try:
        yield site
    finally:
        site.agent.kill()
        dockerd.remove_containers()
    assert "Traceback" not in site.agent.log_text()


HALF = {"cpu_quota": Fraction(1, 2), "cpu_weight": 512, "memory_mb": 64, "memory_low_mb": 64}


def test_limits_outlast_restarts_of_everything_and_what_somebody_changes_is_repaired(
    site: Site,
) -> None:
    site.start()
    container = site.run()
    site.wait_for(**HALF)
    assert dict(site.state.repaired) == {}

    site.update(cpu_quota=90_000, cpu_period=100_000)
    site.wait_for_repairs(cpu_quota=1)
    site.wait_for(**HALF)
    said = f"cpu_quota of container task {site.uuid} was 9/10, which something else had set"
    assert said in site.agent.log_text()

    site.dockerd.restart()
    site.wait_for(**HALF)
    wait_until(lambda: "Watcher docker listens again" in site.agent.log_text(), "it listens again")
    site.wait_for_repairs(cpu_quota=1)
    site.update(cpu_shares=100)
    site.wait_for_repairs(cpu_quota=1, cpu_weight=1)

    site.agent.kill()
    site.wait_for(**HALF)
    site.update(mem_limit="128m", memswap_limit="128m")
    site.agent.start()
    site.wait_for_repairs(cpu_quota=1, cpu_weight=1, memory_mb=1)
    site.wait_for(**HALF)

    site.dockerd.client.restart(container, timeout=0)
    site.wait_for(**HALF)
    site.wait_for_repairs(cpu_quota=1, cpu_weight=1, memory_mb=1)


def test_what_nobody_tells_of_is_found_by_the_sweep_whose_period_can_be_changed_live(
    site: Site,
) -> None:
    container = site.run()
    site.start()
    site.wait_for(**HALF)
    pid = site.dockerd.client.inspect_container(container)["State"]["Pid"]
    groups = groups_of(pid, container)
    if "memory" not in groups:
        pytest.skip("version 2 of control groups: the file has another name")
    limit = groups["memory"] / "memory.soft_limit_in_bytes"
    site.agent.write_options({"agent": {"isolation_period_s": 1}})
    site.agent.reload()
    limit.write_text(str(2**24))
    site.wait_for_repairs(memory_low_mb=1)
    assert limit.read_text().strip() == str(2**26)


def test_a_mode_that_touches_nothing_and_back(site: Site) -> None:
    site.agent.write_options({"agent": {"isolation": "observe"}})
    site.start()
    site.run()
    said = f"cpu_quota of container task {site.uuid} is None and would be set to 1/2"
    wait_until(lambda: said in site.agent.log_text(), said)
    assert site.limits.cpu_quota is None
    site.agent.write_options({"agent": {"isolation": "enforce"}})
    site.agent.reload()
    site.wait_for(**HALF)


def test_a_host_is_released_with_its_agent_stopped(site: Site) -> None:
    site.run()
    before = site.limits
    site.start()
    site.wait_for(**HALF)
    refused = run_manage(site.agent.config_file, "release-host")
    assert refused.returncode == 1
    assert "hybrid-sched-agent runs for host 'a'" in refused.stderr
    assert site.agent.stop() == 0

    would = manage(site.agent.config_file, "release-host", "--dry-run")
    site.wait_for(**HALF)
    rows = manage(site.agent.config_file, "release-host")
    assert rows == would
    assert {
        "Task": site.uuid,
        "Isolator": "docker",
        "Limit": "cpu_quota",
        "Now": "1/2",
        "Before": None,
    } in rows
    assert site.limits == before
    assert manage(site.agent.config_file, "release-host") == []


def test_a_process_that_the_kernel_ends_for_want_of_memory_is_an_event(site: Site) -> None:
    site.start()
    container = site.run()
    site.wait_for(**HALF)
    made = site.dockerd.client.exec_create(
        container, ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"]
    )
    site.dockerd.client.exec_start(made["Id"])
    events = wait_until(lambda: site.state.events, "the event is kept")
    assert [(event.uuid, event.kind) for event in events] == [(site.uuid, "oom_kill")]
    assert f"ended a process of task {site.uuid}" in site.agent.log_text()
    assert site.dockerd.client.inspect_container(container)["State"]["Running"]
