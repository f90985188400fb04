# SPDX-License-Identifier: Apache-2.0
"""As much of Docker's API as Zun's driver uses to make, update and remove containers of an image that is there."""

from __future__ import annotations

import http.server
import json
import re
import threading
import urllib.parse
import uuid
from typing import Any

_VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"}
_INFO = {
    "Architecture": "x86_64",
    "Containers": 0,
    "ContainersPaused": 0,
    "ContainersRunning": 0,
    "ContainersStopped": 0,
    "DefaultRuntime": "runc",
    "DockerRootDir": "/tmp",  # noqa: S108
    "Driver": "overlay2",
    "DriverStatus": [],
    "KernelVersion": "6.1.0",
    "Labels": [],
    "MemTotal": 2**33,
    "NCPU": 16,
    "OSType": "linux",
    "OperatingSystem": "Debian GNU/Linux 12",
    "Plugins": {"Volume": ["local"], "Network": ["bridge", "kuryr"]},
    "Runtimes": {"runc": {"path": "runc"}},
}
_IMAGE = {
    "Id": "sha256:0",
    "RepoTags": ["hybrid-test:latest"],
    "Config": {"Cmd": None, "Entrypoint": None},
}
_NOT_FOUND = 404, {"message": "No such container"}


class _Handler(http.server.BaseHTTPRequestHandler):
    name: str
    containers: dict[str, dict[str, Any]]
    protocol_version = "HTTP/1.1"
    #: One packet an answer: in two, the second waits for the first's acknowledgement.
    wbufsize = -1

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _answer(self, find: Any) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length) or "null")
        url = urllib.parse.urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+", "", url.path)
        status, answer = find(path, dict(urllib.parse.parse_qsl(url.query)), sent)
        body = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _get(self, path: str, _query: dict[str, str], _sent: Any) -> tuple[int, Any]:
        if path == "/containers/json":
            listed = [
                {"Id": each["Id"], "Names": [each["Name"]], "State": "running"}
                for each in self.containers.values()
            ]
            return 200, listed
        if path.startswith("/images/"):
            return 200, _IMAGE
        answers = {"/version": _VERSION, "/info": {**_INFO, "Name": self.name}}
        if path in answers:
            return 200, answers[path]
        container = self.containers.get(path.split("/")[2])
        return _NOT_FOUND if container is None else (200, container)

    def _post(self, path: str, query: dict[str, str], sent: Any) -> tuple[int, Any]:
        if path == "/containers/create":
            made = uuid.uuid4().hex
            self.containers[made] = {
                "Id": made,
                "Name": f"/{query['name']}",
                "Config": {**sent, "Hostname": made[:12]},
                "HostConfig": sent["HostConfig"],
                "State": _state("created"),
            }
            return 201, {"Id": made, "Warnings": []}
        _, _, which, what = path.split("/")
        if which not in self.containers:
            return _NOT_FOUND
        if what == "update":
            self.containers[which]["HostConfig"] |= sent
            return 200, {"Warnings": []}
        self.containers[which]["State"] = _state("running" if what == "start" else "exited")
        return 204, None

    def _delete(self, path: str, _query: dict[str, str], _sent: Any) -> tuple[int, Any]:
        gone = self.containers.pop(path.split("/")[2], None)
        return _NOT_FOUND if gone is None else (204, None)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _state(status: str) -> dict[str, Any]:
    never, then = "0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z"
    return {
        **{"Status": status, "Running": status == "running", "Paused": False, "Error": ""},
        **{"ExitCode": 0, "StartedAt": never if status == "created" else then},
        **{"FinishedAt": then if status == "exited" else never},
    }


class DockerEmulator:
    """A server on loopback.

    :param name: of the host.
    :ivar containers: what ``docker inspect`` would tell of each, by identifier.
    """

    def __init__(self, name: str) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        handler = type("Handler", (_Handler,), {"name": name, "containers": self.containers})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
