# SPDX-License-Identifier: Apache-2.0
"""What is read of Zun's real API after its real scheduler found no host in the real Placement."""

from __future__ import annotations

import time
from typing import Any
from unittest import mock

import pecan.testing
import pytest
import requests_mock
from cloud import CAPACITY, CloudTest
from keystoneauth1 import adapter, session, token_endpoint
from oslo_utils import uuidutils
from zun import objects
from zun.api import hooks
from zun.common import context as zun_context
from zun.compute import api as compute_api
from zun.tests.unit.db import utils as db_utils

from hybrid_sched.clients import zun as zun_clients
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request

_ENDPOINT = "http://container/v1"


class RefusedContainersTest(CloudTest):
    def setUp(self) -> None:
        super().setUp()
        self.set("enabled_filters", ["ComputeFilter"], "scheduler")
        self.start_host("one")
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

    def client_as(self, role: str) -> zun_clients.ZunClient:
        """Sign in as Zun's own tests do, in place of Keystone."""
        auth = token_endpoint.Token(_ENDPOINT, "token")
        return zun_clients.ZunClient(
            adapter.Adapter(
                session.Session(auth=auth),
                service_type="container",
                default_microversion=zun_clients.MICROVERSION,
                additional_headers={"X-Roles": role, "X-Project-Id": "another", "X-User-Id": "u"},
            )
        )

    def refused(self, since_s: float, role: str = "admin") -> tuple[Request, ...]:
        def answer(request: Any, context: Any) -> bytes:
            # As a web server would pass it on.
            headers = {name: str(value) for name, value in request.headers.items()}
            path = request.url.removeprefix("http://container")
            said = self.api.get(path, headers=headers, expect_errors=True)
            context.status_code = said.status_int
            context.headers.update(said.headers)
            return bytes(said.body)

        with requests_mock.Mocker() as wire:
            wire.get(requests_mock.ANY, content=answer)
            return self.client_as(role).refused_containers(since_s)

    def ask_for(self, memory_mb: int, cpu: float) -> objects.Container:
        """Let Zun's API place a container that is made already."""
        row = db_utils.create_test_container(
            context=self.context,
            uuid=uuidutils.generate_uuid(),
            name=uuidutils.generate_uuid(),
            cpu=cpu,
            memory=str(memory_mb),
            disk=0,
            host=None,
            status="Creating",
        )
        container = objects.Container.get_by_uuid(self.context, row.uuid)
        api = compute_api.API(self.context)
        with mock.patch.object(api, "rpcapi"):
            api.container_create(self.context, container, {}, {}, {}, False)
        return objects.Container.get_by_uuid(self.context, row.uuid)

    def test_a_container_that_found_no_host_is_read_until_it_is_deleted(self) -> None:
        began_s = time.time()
        assert self.ask_for(100, 1).status == "Creating"
        refused = self.ask_for(CAPACITY.memory_mb + 1, 1.5)
        assert (refused.status, refused.host) == ("Error", None)
        assert self.refused(began_s) == (
            Request(refused.uuid, CONTAINER, Resources(vcpu=2, memory_mb=CAPACITY.memory_mb + 1)),
        )
        assert self.refused(time.time() + 2) == ()
        refused.destroy(self.context)
        assert self.refused(began_s) == ()

    def test_a_role_without_the_right_is_told_which_it_needs(self) -> None:
        with pytest.raises(ServiceFault, match=r"was refused \(403\): it needs the role admin"):
            self.refused(0.0, role="member")
