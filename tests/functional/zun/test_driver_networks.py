# SPDX-License-Identifier: Apache-2.0
"""First containers on a network, created at once by zun-compute."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from cloud import CloudTest
from docker_emulator import DockerEmulator
from zun.scheduler.client import report

from hybrid_sched.zun_driver.docker import HybridDockerDriver

_NETWORK = {"network": "8a2bf4a4-60d3-4f39-9fc5-2b6e7b7b1f2e"}
_MEETING_S = 0.5


class OneNetwork:
    """Stands for Zun's network driver of Kuryr: what two first containers at once would both make."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._meeting = threading.Barrier(2)

    def get_or_create_network(self, context: Any, network: str) -> None:
        """Look, let whoever else looks do so too, and make what was missing."""
        is_missing = network not in self.made
        try:
            self._meeting.wait(_MEETING_S)
        except threading.BrokenBarrierError:
            # Nobody else looked meanwhile.
            self._meeting.reset()
        if is_missing:
            self.made.append(network)


class NetworkTest(CloudTest):
    def test_two_first_containers_make_their_network_once(self) -> None:
        # What a driver of ours puts in its place ends with the test.
        client = mock.patch.object(report, "SchedulerReportClient", report.SchedulerReportClient)
        client.start()
        self.addCleanup(client.stop)
        emulator = DockerEmulator("one")
        self.addCleanup(emulator.close)
        self.set("api_url", emulator.url, "docker")
        driver, networks = HybridDockerDriver(), OneNetwork()
        with ThreadPoolExecutor(2) as pool:
            calls = [
                pool.submit(driver._provision_network, self.context, networks, [_NETWORK])
                for _ in range(2)
            ]
            for call in calls:
                call.result()
        assert networks.made == [_NETWORK["network"]]
