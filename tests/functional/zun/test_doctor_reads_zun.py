# SPDX-License-Identifier: Apache-2.0
"""What the doctor reads of Zun's real API and database."""

from __future__ import annotations

from typing import Any

import pecan.testing
import requests_mock
from cloud import CloudTest
from keystoneauth1 import adapter, session, token_endpoint
from oslo_utils import uuidutils
from zun.api import hooks
from zun.common import consts
from zun.common import context as zun_context
from zun.tests.unit.db import utils as db_utils

from hybrid_sched.clients.zun import MICROVERSION, ZunClient
from hybrid_sched.core.doctor.facts import KnownContainer

_ENDPOINT = "http://container/v1"


class DoctorReadsZunTest(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        # Zun's own tests make nobody an administrator.
        self.mock_make_context.side_effect = zun_context.RequestContext
        self.api = pecan.testing.load_test_app(
            {
                "app": {
                    "root": "zun.api.controllers.root.RootController",
                    "modules": ["zun.api"],
                    "hooks": [hooks.ContextHook(), hooks.NoExceptionTracebackHook()],
                }
            }
        )
        self.addCleanup(pecan.set_config, {}, overwrite=True)
        # Placement, inside this process too, is asked as ever.
        wire = requests_mock.Mocker(real_http=True)
        wire.start()
        self.addCleanup(wire.stop)
        wire.get(requests_mock.ANY, content=self.answer)
        self.client = ZunClient(
            adapter.Adapter(
                session.Session(auth=token_endpoint.Token(_ENDPOINT, "token")),
                service_type="container",
                default_microversion=MICROVERSION,
                additional_headers={
                    "X-Roles": "admin",
                    "X-Project-Id": "another",
                    "X-User-Id": "u",
                },
            )
        )

    def answer(self, request: Any, context: Any) -> bytes:
        # As a web server would pass it on.
        headers = {name: str(value) for name, value in request.headers.items()}
        said = self.api.get(
            request.url.removeprefix("http://container"), headers=headers, expect_errors=True
        )
        context.status_code = said.status_int
        context.headers.update(said.headers)
        return bytes(said.body)

    def row(self, kind: int, status: str, host: str | None, **more: Any) -> Any:
        made = uuidutils.generate_uuid()
        values = {"uuid": made, "name": made, "status": status, "host": host, **more}
        return db_utils.create_test_container(context=self.context, container_type=kind, **values)

    def test_containers_of_all_projects_are_known_page_by_page(self) -> None:
        self.set("max_limit", 2, "api")
        made = [self.row(consts.TYPE_CONTAINER, "Error", None).uuid for _ in range(5)]
        running = self.row(consts.TYPE_CONTAINER, "Running", "one").uuid
        known = self.client.containers()
        assert known.keys() == {*made, running}
        assert known[made[0]] == KnownContainer(made[0], "Error", None)
        assert known[running] == KnownContainer(running, "Running", "one")

    def test_capsules_are_known_with_what_is_inside(self) -> None:
        capsule = self.row(consts.TYPE_CAPSULE, "Running", "one")
        inside = [
            self.row(kind, "Running", "one", capsule_id=capsule.id).uuid
            for kind in (consts.TYPE_CAPSULE_CONTAINER, consts.TYPE_CAPSULE_INIT_CONTAINER)
        ]
        known, members = self.client.capsules()
        assert known == {capsule.uuid: KnownContainer(capsule.uuid, "Running", "one")}
        assert members == set(inside)
        assert self.client.containers() == {}

    def test_hosts_are_named(self) -> None:
        self.set("max_limit", 1, "api")
        for name in ("one", "two"):
            self.start_host(name)
        assert sorted(self.client.hosts()) == ["one", "two"]
