# SPDX-License-Identifier: Apache-2.0
"""Queued containers through Zun's real API and scheduler, with the real Placement."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from unittest import mock

import pecan.testing
import requests_mock
from cloud import CAPACITY, CloudTest
from keystoneauth1 import adapter, session, token_endpoint
from zun import objects
from zun.api import hooks
from zun.common import context as zun_context
from zun.common import utils as zun_utils
from zun.compute import rpcapi
from zun.scheduler.client.query import SchedulerClient
from zun.volume import cinder_api

from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.launcher import Phase
from hybrid_sched.queue.launchers.zun import MICROVERSION, ZunLauncher

_ENDPOINT = "http://container/v1"


class ZunLauncherTest(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.set("enabled_filters", ["ComputeFilter"], "scheduler")
        self.provider = self.start_host("one")
        # Zun's own tests make nobody an administrator.
        self.mock_make_context.side_effect = zun_context.RequestContext
        self.hints: list[Any] = []
        select = SchedulerClient.select_destinations

        def watch(client: Any, context: Any, containers: Any, extra_spec: Any) -> Any:
            self.hints.append(extra_spec["hints"])
            return select(client, context, containers, extra_spec)

        # Networks are Neutron's, volumes Cinder's, hosts zun-compute's; none of them is here.
        for patch in (
            mock.patch.object(zun_utils, "build_requested_networks", return_value=[]),
            mock.patch.object(cinder_api, "CinderAPI"),
            mock.patch.object(rpcapi, "API"),
            mock.patch.object(SchedulerClient, "select_destinations", watch),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        self.api = pecan.testing.load_test_app(
            {
                "app": {
                    "root": "zun.api.controllers.root.RootController",
                    "modules": ["zun.api"],
                    "hooks": [
                        hooks.ContextHook(),
                        hooks.RPCHook(),
                        hooks.NoExceptionTracebackHook(),
                    ],
                }
            }
        )
        self.addCleanup(pecan.set_config, {}, overwrite=True)
        # The real Placement, inside this process too, is asked as ever.
        wire = requests_mock.Mocker(real_http=True)
        wire.start()
        self.addCleanup(wire.stop)
        wire.register_uri(requests_mock.ANY, re.compile(rf"^{_ENDPOINT}/"), content=self.pass_on)
        auth = token_endpoint.Token(_ENDPOINT, "token")
        self.launcher = ZunLauncher(
            adapter.Adapter(
                session.Session(auth=auth),
                service_type="container",
                default_microversion=MICROVERSION,
                additional_headers={
                    "X-Roles": "admin",
                    "X-Project-Id": self.context.project_id,
                    "X-User-Id": self.context.user_id,
                },
            )
        )

    def pass_on(self, request: Any, context: Any) -> bytes:
        """Answer as a web server in front of Zun would."""
        headers = {name: str(value) for name, value in request.headers.items()}
        said = self.api.request(
            request.url.removeprefix("http://container"),
            method=request.method,
            headers=headers,
            body=(request.body or b"")
            if isinstance(request.body, bytes)
            else (request.body or "").encode(),
            expect_errors=True,
        )
        context.status_code = said.status_int
        context.headers.update(said.headers)
        return bytes(said.body)

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
