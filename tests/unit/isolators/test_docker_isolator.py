# SPDX-License-Identifier: Apache-2.0
"""The isolator against an emulator of as much of Docker's API as it uses; the real daemon is in the integration tests."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators.docker import DockerIsolator


class Emulator:
    """Containers by name, with their CPU shares as Docker keeps them: 0 when none were asked for."""

    def __init__(self, **cpu_shares: int) -> None:
        self.cpu_shares = {f"zun-{name}": shares for name, shares in cpu_shares.items()}
        #: Listed, but gone when asked for.
        self.gone: set[str] = set()
        self.refuses_updates = False
        self.listed_with: list[dict[str, list[str]]] = []
        emulator = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                if url.path.endswith("/containers/json"):
                    emulator.listed_with.append(urllib.parse.parse_qs(url.query))
                self._answer(*emulator.get(url.path.split("/")[-2:]))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(*emulator.post(self.path.split("/")[-2:], body))

            def _answer(self, code: int, answer: object) -> None:
                body = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def get(self, path: list[str]) -> tuple[int, object]:
        match path:
            case [*_, "version"]:
                return 200, {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}
            case ["containers", "json"]:
                return 200, [{"Id": name} for name in (*self.cpu_shares, *self.gone)]
            case [name, "json"] if name in self.cpu_shares:
                limits = {"CpuShares": self.cpu_shares[name]}
                return 200, {"Id": name, "Name": f"/{name}", "HostConfig": limits}
        return 404, {"message": f"not there: {path}"}

    def post(self, path: list[str], body: dict[str, Any]) -> tuple[int, object]:
        if self.refuses_updates:
            return 500, {"message": "cannot update"}
        match path:
            case [name, "update"] if name in self.cpu_shares:
                self.cpu_shares[name] = body["CpuShares"]
                return 200, {"Warnings": None}
        return 404, {"message": f"not there: {path}"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    made = Emulator(one=1536, two=0)
    yield made
    made.close()


def isolator(url: str) -> DockerIsolator:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("docker_url", url, group="agent")
    return DockerIsolator(conf)


def test_weights_are_told_by_uuid_and_none_asked_for_is_the_kernels_default(
    emulator: Emulator,
) -> None:
    emulator.gone.add("zun-three")
    assert isolator(emulator.url).cpu_weights() == {"one": 1536, "two": 1024}
    (query,) = emulator.listed_with
    # Stopped ones too: they would start with what they have.
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"name": ["^/?zun-"]}


def test_a_weight_is_set_on_the_container_of_that_uuid_alone(emulator: Emulator) -> None:
    made = isolator(emulator.url)
    made.set_cpu_weight("two", 512)
    assert made.cpu_weights() == {"one": 1536, "two": 512}


def test_a_container_that_is_gone_is_no_error(emulator: Emulator) -> None:
    isolator(emulator.url).set_cpu_weight("gone", 512)


def test_docker_that_refuses_or_does_not_answer_is_an_error_with_its_address(
    emulator: Emulator,
) -> None:
    made = isolator(emulator.url)
    emulator.refuses_updates = True
    said = f"^Docker at {emulator.url} does not give or take CPU shares: "
    with pytest.raises(IsolationError, match=said):
        made.set_cpu_weight("one", 512)
    emulator.refuses_updates = False
    made.set_cpu_weight("one", 512)
    emulator.close()
    with pytest.raises(IsolationError, match=said):
        made.cpu_weights()
