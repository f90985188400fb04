# SPDX-License-Identifier: Apache-2.0
"""Receipts of real containers: their load, the kernel's counters, the agent, RabbitMQ, the engine and the command."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import PERIOD_S, Site
from dockerd import Dockerd
from waiting import wait_until

pytestmark = pytest.mark.timeout(120)

_BURN = "while :; do :; done"
_SAMPLES = 6


@pytest.fixture
def containers(dockerd: Dockerd) -> Iterator[Dockerd]:
    yield dockerd
    dockerd.remove_containers()


class Receipts:
    """What the command says of the containers of one host."""

    def __init__(self, site: Site, dockerd: Dockerd) -> None:
        self._site = site
        self.dockerd = dockerd
        site.engine.start()
        self.agent = site.agent("one", sources="host,docker", isolators="", docker_url=dockerd.url)

    def run(self, *command: str, **limits: Any) -> str:
        made = str(uuid.uuid4())
        self.dockerd.run(f"zun-{made}", *command, **limits)
        return made

    def show(self, task: str) -> Any:
        return self._site.ask("receipt", "show", task)

    def measured(self, task: str, samples: int = _SAMPLES) -> Any:
        """Wait until a receipt is made of some samples."""

        def look() -> Any:
            listed = self._site.ask_if_served("receipt", "list", "--host", "one") or ()
            if task not in {row["UUID"] for row in listed}:
                return None
            receipt = self.show(task)
            return receipt if receipt["Samples"] >= samples else None

        return wait_until(look, f"{samples} samples of {task} are counted", 40)


@pytest.fixture
def receipts(site: Site, containers: Dockerd) -> Receipts:
    return Receipts(site, containers)


def test_a_container_is_judged_by_what_the_kernel_counts(receipts: Receipts) -> None:
    # Three that want all of one CPU; each was promised all of it.
    starved, *_ = [
        receipts.run("sh", "-c", _BURN, cpu_shares=1024, cpuset_cpus="0") for _ in range(3)
    ]
    # So little that it gets it on a machine with much else to do.
    limited = receipts.run(
        *("sh", "-c", _BURN),
        **{"cpu_shares": 1024, "cpu_quota": 2_000, "cpu_period": 100_000},
        labels={"hybrid:cpu_percent": "2"},
    )
    idle = receipts.run("sleep", "1000", cpu_shares=512, mem_limit="64m")

    seen = receipts.measured(starved)
    cpu = seen["CPU cores"]
    assert cpu["verdict"] == "starved", seen
    assert 0 < cpu["mean"] < 0.7
    assert 0 < cpu["broken_s"] <= cpu["covered_s"]
    assert seen["Broken"] is True
    assert seen["Verdict"].startswith("CPU starved for ")

    seen = receipts.measured(limited)
    cpu = seen["CPU cores"]
    assert (cpu["verdict"], cpu["promised"]) == ("limited", "1/50"), seen
    assert 0 < cpu["mean"] < 0.03
    assert (seen["Broken"], cpu["broken_s"]) == (False, 0)
    assert "Its own CPU limit held it back for " in seen["Verdict"]

    seen = receipts.measured(idle)
    assert (seen["CPU cores"]["verdict"], seen["CPU cores"]["promised"]) == ("kept", "1/2"), seen
    assert (seen["Memory MiB"]["verdict"], seen["Memory MiB"]["promised"]) == ("kept", 64)
    assert 0 < seen["Memory MiB"]["most"] < 64
    assert seen["Disk read MB/s"]["verdict"] == "no limit"
    assert seen["Broken"] is False


def test_a_restarted_engine_counts_anew_and_says_since_when(receipts: Receipts, site: Site) -> None:
    task = receipts.run("sleep", "1000", cpu_shares=512)
    before = receipts.measured(task)
    site.engine.kill()
    site.engine.start()
    after = receipts.measured(task, 1)
    assert after["Counted since"] > before["Until"]
    assert after["From"] >= before["Until"] - PERIOD_S


def test_an_agent_that_is_away_leaves_a_gap_that_its_next_report_closes_with_a_mean(
    receipts: Receipts,
) -> None:
    task = receipts.run("sleep", "1000", cpu_shares=512)
    before = receipts.measured(task)
    receipts.agent.kill()
    receipts.agent.start()
    after = receipts.measured(task, before["Samples"] + 2)
    assert after["From"] == before["From"]
    assert after["Measured"] > 0.9


def test_a_container_that_is_removed_keeps_its_receipt(receipts: Receipts) -> None:
    task = receipts.run("sleep", "1000", cpu_shares=512)
    receipts.measured(task)
    receipts.dockerd.remove_containers()
    gone = wait_until(
        lambda: (seen := receipts.show(task)) and not seen["Present"] and seen,
        "the container is gone",
    )
    assert gone["CPU cores"]["verdict"] == "kept"
    assert gone["Measured"] > 0.9
