# SPDX-License-Identifier: Apache-2.0
"""Zun's real API in a test's process, and hosts that carry out at once what they are asked for."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

import pecan.testing
import requests_mock
from cloud import CloudTest
from keystoneauth1 import adapter, session, token_endpoint
from zun import objects
from zun.api import hooks
from zun.common import consts
from zun.common import context as zun_context
from zun.common import utils as zun_utils
from zun.compute import rpcapi
from zun.volume import cinder_api

ENDPOINT = "http://container/v1"


class ContainerHosts:
    """In place of the messages to zun-compute: does to the record of a container what a host would."""

    def __init__(self, context: Any) -> None:
        """Keep nothing."""

    def container_create(
        self, _context: Any, host: str, container: objects.Container, *_: Any
    ) -> None:
        self._become(container, consts.CREATED, host=host, addresses={})

    def container_show(self, _context: Any, container: objects.Container) -> objects.Container:
        return container

    def container_start(self, _context: Any, container: objects.Container) -> None:
        self._become(container, consts.RUNNING, status_detail="Up 1 second")

    def container_stop(self, _context: Any, container: objects.Container, timeout: Any) -> None:
        assert int(timeout) >= 0
        self._become(container, consts.STOPPED)

    def container_delete(self, context: Any, container: objects.Container, force: Any) -> None:
        container.destroy(context)

    def image_search(self, *_: Any) -> list[str]:
        return ["the image"]

    @staticmethod
    def _become(container: objects.Container, status: str, **fields: Any) -> None:
        for name, value in {"status": status, **fields}.items():
            setattr(container, name, value)
        container.save()


class ZunApiTest(CloudTest):
    """A test that asks Zun's API over HTTP, as an administrator of the containers' project."""

    #: What zun-api has in place of the messages to zun-compute.
    compute: Any = ContainerHosts

    def setUp(self) -> None:
        super().setUp()
        self.set("enabled_filters", ["ComputeFilter"], "scheduler")
        # Zun's own tests make nobody an administrator.
        self.mock_make_context.side_effect = zun_context.RequestContext
        # Networks are Neutron's, volumes Cinder's, hosts zun-compute's; none of them is here.
        for patch in (
            mock.patch.object(zun_utils, "build_requested_networks", return_value=[]),
            mock.patch.object(cinder_api, "CinderAPI"),
            mock.patch.object(rpcapi, "API", self.compute),
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
        wire.register_uri(requests_mock.ANY, re.compile(rf"^{ENDPOINT}/"), content=self.pass_on)

    def service(self, microversion: str) -> adapter.Adapter:
        return adapter.Adapter(
            session.Session(auth=token_endpoint.Token(ENDPOINT, "token")),
            service_type="container",
            default_microversion=microversion,
            additional_headers={
                "X-Roles": "admin",
                "X-Project-Id": self.context.project_id,
                "X-User-Id": self.context.user_id,
            },
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
