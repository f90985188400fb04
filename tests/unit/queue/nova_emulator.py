# SPDX-License-Identifier: Apache-2.0
"""The part of Nova's, Glance's and Neutron's APIs that the launcher uses, over HTTP."""

from __future__ import annotations

import re
from typing import Any

import requests_mock
from keystoneauth1 import adapter, session, token_endpoint
from openstack import connection

from hybrid_sched.queue.launchers.nova import MICROVERSION

CREATED = "2026-11-01T10:00:00Z"
IMAGE = "11111111-1111-4111-8111-111111111111"
NETWORK = "22222222-2222-4222-8222-222222222222"


class NovaEmulator:
    """Keeps servers; ``page`` of them are told at once."""

    url = "http://compute/v2.1"

    def __init__(self, wire: requests_mock.Mocker) -> None:
        self.servers: dict[str, dict[str, Any]] = {}
        self.flavors: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.page = 1000
        self.hidden: set[str] = set()
        self.lookups = 0
        self.refusal: tuple[int, dict[str, Any]] | None = None
        version = {
            "id": "v2.1",
            "status": "CURRENT",
            "version": "2.96",
            "min_version": "2.1",
            "links": [{"rel": "self", "href": self.url + "/"}],
        }
        wire.get(re.compile(rf"^{self.url}/?$"), json={"version": version})
        wire.get(re.compile(rf"^{self.url}/flavors"), json=self._flavors)
        wire.get(re.compile(rf"^{self.url}/servers/detail"), json=self._list)
        wire.get(re.compile(rf"^{self.url}/servers/(?!detail)"), json=self._show)
        wire.post(f"{self.url}/servers", json=self._create)
        wire.delete(re.compile(rf"^{self.url}/servers/"), json=self._delete)
        for service, version_id, plural, uuid in (
            ("image", "v2.16", "images", IMAGE),
            ("network", "v2.0", "networks", NETWORK),
        ):
            root = f"http://{service}"
            links = [{"rel": "self", "href": f"{root}/v2"}]
            told = {"id": version_id, "status": "CURRENT", "links": links}
            wire.get(f"{root}/", json={"versions": [told]})
            wire.get(re.compile(rf"^{root}/v2(\.0)?/?$"), json={"versions": [told]})
            one = {"id": uuid, "name": f"my {service}"}
            wire.get(
                re.compile(rf"^{root}/v2(\.0)?/{plural}/"), status_code=404, json={"message": "no"}
            )
            wire.get(re.compile(rf"^{root}/v2(\.0)?/{plural}(\?|$)"), json=self._named(plural, one))

    def connection(self) -> connection.Connection:
        auth = token_endpoint.Token("http://keystone", "token")
        return connection.Connection(
            session=session.Session(auth=auth),
            compute_endpoint_override=self.url,
            image_endpoint_override="http://image/v2",
            network_endpoint_override="http://network/v2.0",
            compute_default_microversion=MICROVERSION,
        )

    def add(self, uuid: str, **fields: Any) -> None:
        self.servers[uuid] = {
            "id": uuid,
            "name": uuid,
            "status": "ACTIVE",
            "metadata": {},
            "created": CREATED,
            "OS-EXT-SRV-ATTR:host": "h1",
            **fields,
        }

    def _list(self, request: Any, _context: Any) -> dict[str, Any]:
        told = [each for uuid, each in self.servers.items() if uuid not in self.hidden]
        marker = request.qs.get("marker")
        begin = 1 + [each["id"] for each in told].index(marker[0]) if marker else 0
        answer: dict[str, Any] = {"servers": told[begin : begin + self.page]}
        if begin + self.page < len(told):
            last = told[begin + self.page - 1]["id"]
            href = f"{self.url}/servers/detail?marker={last}"
            answer["servers_links"] = [{"rel": "next", "href": href}]
        return answer

    def _show(self, request: Any, context: Any) -> dict[str, Any]:
        uuid = request.path.rsplit("/", 1)[1]
        if uuid not in self.servers:
            context.status_code = 404
            return {"itemNotFound": {"message": "Instance could not be found.", "code": 404}}
        return {"server": self.servers[uuid]}

    def _create(self, request: Any, context: Any) -> dict[str, Any]:
        if self.refusal:
            context.status_code, answer = self.refusal
            context.headers["Content-Type"] = "application/json"
            return answer
        self.created.append(
            {**request.json(), "microversion": request.headers["OpenStack-API-Version"]}
        )
        context.status_code = 202
        return {"server": {"id": f"s{len(self.created)}", "links": []}}

    def _delete(self, request: Any, context: Any) -> Any:
        uuid = request.path.rsplit("/", 1)[1]
        if self.refusal:
            context.status_code, answer = self.refusal
            context.headers["Content-Type"] = "application/json"
            return answer
        self.deleted.append(uuid)
        context.status_code = 204 if uuid in self.servers else 404
        return {}

    def _flavors(self, request: Any, context: Any) -> dict[str, Any]:
        self.lookups += 1
        if request.path.endswith("/os-extra_specs"):
            return {"extra_specs": {}}
        tail = request.path.rsplit("/flavors", 1)[1]
        every = [
            {"id": f"id-of-{name}", "name": name, "disk": 0, **each}
            for name, each in self.flavors.items()
        ]
        if tail in {"", "/detail"}:
            return {"flavors": every}
        for each in every:
            if tail == f"/{each['id']}":
                return {"flavor": each}
        context.status_code = 404
        return {"itemNotFound": {"message": "Flavor could not be found.", "code": 404}}

    @staticmethod
    def _named(plural: str, one: dict[str, Any]) -> Any:
        def answer(request: Any, _context: Any) -> dict[str, Any]:
            asked = request.qs.get("name", [one["name"]])[0]
            return {plural: [one] if asked == one["name"] else []}

        return answer


def zun_service(microversion: str) -> adapter.Adapter:
    auth = token_endpoint.Token("http://container/v1", "token")
    return adapter.Adapter(
        session.Session(auth=auth), service_type="container", default_microversion=microversion
    )
