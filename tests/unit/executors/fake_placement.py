# SPDX-License-Identifier: Apache-2.0
"""The part of Placement's API by which claims are given back, over HTTP."""

from __future__ import annotations

import re
from typing import Any

import requests_mock
from keystoneauth1 import adapter, session, token_endpoint

from hybrid_sched.clients.placement import PlacementClient


class FakePlacement:
    """Keeps claims.

    :ivar claims: consumer to host.
    :ivar refuses: statuses with which the next requests to give back are refused.
    """

    def __init__(self, wire: requests_mock.Mocker) -> None:
        self.claims: dict[str, str] = {}
        self.refuses: list[int] = []
        one = re.compile(r"^http://placement/allocations/")
        wire.get(one, json=self._show)
        wire.put(one, json=self._release)

    def client(self) -> PlacementClient:
        auth = token_endpoint.Token("http://placement", "token")
        return PlacementClient(
            adapter.Adapter(session.Session(auth=auth), service_type="placement")
        )

    def _show(self, request: Any, _context: Any) -> Any:
        held = self.claims.get(request.path.rsplit("/", 1)[1])
        if held is None:
            return {"allocations": {}}
        return {
            "allocations": {held: {"resources": {"MEMORY_MB": 256}}},
            **{"consumer_generation": 1, "project_id": "project", "user_id": "user"},
        }

    def _release(self, request: Any, context: Any) -> Any:
        if self.refuses:
            context.status_code = self.refuses.pop(0)
            return {"errors": [{"status": context.status_code, "detail": "refused"}]}
        assert request.json()["allocations"] == {}
        del self.claims[request.path.rsplit("/", 1)[1]]
        context.status_code = 204
        return None
