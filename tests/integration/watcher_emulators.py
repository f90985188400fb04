# SPDX-License-Identifier: Apache-2.0
"""Watcher's own emulators of Nova and Placement on free ports of this machine, unchanged, as a program for one test.

It is run with ``python watcher_emulators.py CHECKOUT TOPOLOGY REQUESTS`` by the Python that has what they need, prints the
ports of both as JSON, and goes on until its standard input ends. REQUESTS is a file that gets a line of JSON for each request.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CHECKOUT, TOPOLOGY, REQUESTS = (Path(argument) for argument in sys.argv[1:])
# Their package asks for the version of its installation, which a checkout has not.
os.environ.setdefault("PBR_VERSION", "0.0.0")
sys.path.insert(0, str(CHECKOUT))

from watcher.tests.local_fixtures import nova_api_emulator, placement_api_emulator  # noqa: E402
from werkzeug import serving  # noqa: E402


class Noted:
    """An application whose requests are written down with the status that each was answered with."""

    def __init__(self, service: str, app: Callable[..., Iterable[bytes]]) -> None:
        self._service = service
        self._app = app

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)

        def started(status: str, *arguments: Any) -> Any:
            noted = {
                "service": self._service,
                "method": environ["REQUEST_METHOD"],
                "path": environ["PATH_INFO"],
                "query": environ["QUERY_STRING"],
                "body": json.loads(body) if body else None,
                "version": environ.get("HTTP_OPENSTACK_API_VERSION", ""),
                "status": int(status.split(maxsplit=1)[0]),
            }
            with REQUESTS.open("a") as file:
                file.write(json.dumps(noted) + "\n")
            return start(status, *arguments)

        return self._app(environ, started)


def main() -> None:
    """Serve until the standard input ends."""
    ports = {}
    for name, module in (("nova", nova_api_emulator), ("placement", placement_api_emulator)):
        emulator = module.create_app(model_path=TOPOLOGY)
        server = serving.make_server("127.0.0.1", 0, Noted(name, emulator.app))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports[name] = server.port
    sys.stdout.write(json.dumps(ports) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
