# SPDX-License-Identifier: Apache-2.0
"""Emulators of what the doctor asks beside Placement: the APIs of Nova and Zun, and Docker's on a socket of its own."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlparse

import requests
import requests_mock

NOVA = "http://nova.test/v2.1"
ZUN = "http://zun.test/v1"


def _nothing() -> None:
    pass


class NovaApi:
    """Servers, migrations and compute nodes, as Nova's API tells them."""

    def __init__(self, wire: requests_mock.Mocker) -> None:
        self.hypervisors: list[dict[str, Any]] = []
        self.services = [{"binary": "nova-scheduler", "host": "control", "status": "enabled"}]
        self.servers: set[str] = set()
        #: Servers that were deleted and can be restored: not in listings.
        self.restorable: set[str] = set()
        self.migrations: dict[str, str] = {}
        self.broken = False
        #: Called when a server is asked for by its uuid.
        self.before_server: Callable[[], None] = _nothing
        wire.get(re.compile(rf"^{re.escape(NOVA)}/"), json=self._answer)

    def add_host(self, name: str, provider: str, vcpus: int, memory_mb: int) -> None:
        self.hypervisors.append(
            {
                "id": provider,
                "hypervisor_hostname": name,
                "hypervisor_version": 7002000,
                "vcpus": vcpus,
                "memory_mb": memory_mb,
                "service": {"host": name},
            }
        )
        self.services.append({"binary": "nova-compute", "host": name, "status": "enabled"})

    def _answer(self, request: requests.PreparedRequest, context: Any) -> Any:
        path = urlparse(str(request.url)).path.removeprefix("/v2.1")
        if self.broken:
            context.status_code = 500
            return {}
        if path.startswith("/servers/"):
            self.before_server()
            found = path.removeprefix("/servers/") in self.servers | self.restorable
            context.status_code = 200 if found else 404
            return {"server": {}}
        if path == "/os-migrations":
            asked = request.qs.get("status")  # type: ignore[attr-defined]
            rows = [
                {"uuid": each, "instance_uuid": str(uuid.uuid4()), "status": status}
                for each, status in self.migrations.items()
                if asked is None or status in asked
            ]
            return {"migrations": rows}
        return {
            "/servers": {"servers": [{"id": each} for each in sorted(self.servers)]},
            "/os-hypervisors/detail": {"hypervisors": self.hypervisors},
            "/os-services": {"services": self.services},
        }[path]


class ZunApi:
    """Hosts, containers and capsules, as Zun's API tells them."""

    def __init__(self, wire: requests_mock.Mocker) -> None:
        self.hosts: list[str] = []
        self.containers: dict[str, dict[str, Any]] = {}
        self.capsules: dict[str, list[str]] = {}
        #: Called after each listing of capsules, which is the last that a look asks for.
        self.after_look: Callable[[], None] = _nothing
        wire.get(re.compile(rf"^{re.escape(ZUN)}/"), json=self._answer)

    def add_container(self, status: str = "Running", host: str | None = "one") -> str:
        made = str(uuid.uuid4())
        self.containers[made] = {"uuid": made, "status": status, "host": host}
        return made

    def _answer(self, request: requests.PreparedRequest, _context: Any) -> Any:
        name = urlparse(str(request.url)).path.removeprefix("/v1").strip("/")
        rows: dict[str, list[Any]] = {
            "hosts": [{"uuid": each, "hostname": each} for each in self.hosts],
            "containers": list(self.containers.values()),
            "capsules": [
                {
                    "uuid": each,
                    "status": "Running",
                    "host": "one",
                    "containers": [{"uuid": member} for member in members],
                }
                for each, members in self.capsules.items()
            ],
        }
        if name == "capsules":
            self.after_look()
        return {name: rows[name], "next": None}


class DockerApi:
    """A daemon with containers that can be removed when they do not run."""

    def __init__(self) -> None:
        self.containers: dict[str, tuple[str, str]] = {}
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                daemon._get(self)

            def do_DELETE(self) -> None:
                found = daemon.containers.get(_identifier(self))
                if found is None or found[1] == "running":
                    _send(self, 404 if found is None else 409, {"message": "it runs"})
                    return
                del daemon.containers[_identifier(self)]
                _send(self, 204, None)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, zun_uuid: str, state: str) -> str:
        made = uuid.uuid4().hex * 2
        self.containers[made] = (f"/zun-{zun_uuid}", state)
        return made

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _get(self, handler: BaseHTTPRequestHandler) -> None:
        path = urlparse(handler.path).path
        if path.endswith("/version"):
            _send(handler, 200, {"Version": "26.1.5", "ApiVersion": "1.45"})
        elif path.endswith("/containers/json"):
            rows = [
                {"Id": each, "Names": [name], "State": state}
                for each, (name, state) in self.containers.items()
            ]
            _send(handler, 200, rows)
        elif (found := self.containers.get(_identifier(handler))) is not None:
            _send(handler, 200, {"State": {"Status": found[1]}})
        else:
            _send(handler, 404, {"message": "no such container"})


def _identifier(handler: BaseHTTPRequestHandler) -> str:
    return urlparse(handler.path).path.partition("/containers/")[2].partition("/")[0]


def _send(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    written = b"" if body is None else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(written)))
    handler.end_headers()
    handler.wfile.write(written)
