# SPDX-License-Identifier: Apache-2.0
"""Queued containers through Zun's real API and scheduler, with the real Placement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

from cloud import CAPACITY
from container_hosts import ZunApiTest
from zun import objects
from zun.scheduler.client.query import SchedulerClient

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.launcher import Phase
from hybrid_sched.queue.launchers.zun import MICROVERSION, ZunLauncher


class ZunLauncherTest(ZunApiTest):
    # Hosts that do nothing: containers stay as they are asked for.
    compute = mock.Mock()

    def setUp(self) -> None:
        super().setUp()
        self.provider = self.start_host("one")
        self.hints: list[Any] = []
        select = SchedulerClient.select_destinations

        def watch(client: Any, context: Any, containers: Any, extra_spec: Any) -> Any:
            self.hints.append(extra_spec["hints"])
            return select(client, context, containers, extra_spec)

        patch = mock.patch.object(SchedulerClient, "select_destinations", watch)
        patch.start()
        self.addCleanup(patch.stop)
        self.launcher = ZunLauncher(self.service(MICROVERSION))

    def task(self, memory_mb: int) -> QueuedTask:
        spec = {
            "image": "busybox",
            "command": ["sleep", "60"],
            "cpu": 0.5,
            "memory_mb": memory_mb,
            "labels": {"mine": "yes"},
            "environment": {"A": "b"},
        }
        return QueuedTask("task-1", "queued", CONTAINER, Resources(), spec)

    def test_a_container_is_launched_with_its_hint_found_by_its_key_and_deleted(self) -> None:
        task = self.task(256)
        uuid = self.launcher.launch(task, "one")
        assert self.hints == [{"hybrid_host": "one"}]
        claim = self.claimed(self.provider)[uuid]
        assert (claim["VCPU"], claim["MEMORY_MB"]) == self.launcher.resolve(task.spec)[:2]
        made = objects.Container.get_by_uuid(self.context, uuid)
        assert made.labels == {"mine": "yes", "hybrid:task": "task-1"}
        assert (made.command, made.environment) == (["sleep", "60"], {"A": "b"})
        [found] = self.launcher.find("task-1")
        assert (found.uuid, found.phase, found.key) == (uuid, Phase.BUILDING, "task-1")
        assert found.created_at_s > 0
        assert self.launcher.look([uuid]) == {uuid: found}
        # A container that is being made cannot be stopped, so that it is deleted by force.
        self.launcher.delete(uuid)
        assert self.launcher.look([uuid])[uuid].phase is Phase.GONE
        self.launcher.delete(uuid)

    def test_a_container_for_which_no_host_has_room_says_so_and_goes(self) -> None:
        self.launcher.launch(self.task(CAPACITY.memory_mb), "one")
        uuid = self.launcher.launch(replace(self.task(64), name="other"), "one")
        failed = self.launcher.look([uuid])[uuid]
        assert (failed.phase, failed.no_room) == (Phase.FAILED, True)
        self.launcher.delete(uuid)
        assert self.launcher.look([uuid])[uuid].phase is Phase.GONE
