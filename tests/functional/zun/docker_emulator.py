# SPDX-License-Identifier: Apache-2.0
"""As much of Docker's API as Zun's driver asks when it is made."""

from __future__ import annotations

import http.server
import json
import threading

_ANSWERS = {
    "/version": {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10.24"},
    "/info": {
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
    },
}


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = "/" + self.path.rpartition("/")[2]
        body = json.dumps(_ANSWERS.get(path, {"message": "not emulated"})).encode()
        self.send_response(200 if path in _ANSWERS else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class DockerEmulator:
    """A server on loopback."""

    def __init__(self) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
