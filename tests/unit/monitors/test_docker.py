# SPDX-License-Identifier: Apache-2.0
"""The source against an emulator that speaks as much of Docker's API as is asked."""

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
from hybrid_sched.core.cluster import CONTAINER, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import SourceError
from hybrid_sched.monitors.docker import DockerSource


def container(name: str, cpu_shares: int, memory_mb: int, status: str) -> dict[str, Any]:
    return {
        "Id": name,
        "Name": f"/{name}",
        "Config": {"Hostname": f"host-of-{name}"},
        "HostConfig": {"CpuShares": cpu_shares, "Memory": memory_mb * 2**20},
        "State": {"Status": status},
    }


class Emulator:
    def __init__(self, *containers: dict[str, Any]) -> None:
        self.containers = {each["Id"]: each for each in containers}
        #: Listed, but gone when asked for.
        self.gone: set[str] = set()
        self.asked: list[str] = []
        emulator = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                emulator.asked.append(url.query)
                code, answer = emulator.answer(url.path.split("/")[2:] or url.path.split("/")[1:])
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

    def answer(self, path: list[str]) -> tuple[int, object]:
        match path:
            case ["version"]:
                return 200, {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}
            case ["containers", "json"]:
                return 200, [{"Id": name} for name in (*self.containers, *self.gone)]
            case ["containers", name, "json"] if name in self.containers:
                return 200, self.containers[name]
        return 404, {"message": f"not there: {path}"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    made = Emulator(
        container("zun-one", cpu_shares=1536, memory_mb=512, status="running"),
        container("zun-two", cpu_shares=0, memory_mb=0, status="exited"),
    )
    yield made
    made.close()


def source(url: str) -> DockerSource:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("docker_url", url, group="agent")
    return DockerSource(conf)


def test_every_container_of_zun_is_listed_with_its_claim(emulator: Emulator) -> None:
    emulator.gone.add("zun-three")
    assert source(emulator.url).collect().tasks == (
        Task("one", CONTAINER, Resources(vcpu=2, memory_mb=512), "host-of-zun-one", "running"),
        Task("two", CONTAINER, Resources(vcpu=1, memory_mb=1), "host-of-zun-two", "exited"),
    )


def test_only_containers_of_zun_are_asked_for_those_that_stopped_too(emulator: Emulator) -> None:
    source(emulator.url).collect()
    (query,) = [urllib.parse.parse_qs(query) for query in emulator.asked if "filters" in query]
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"name": ["^/?zun-"]}


def test_docker_that_does_not_answer_is_an_error_and_is_asked_again(emulator: Emulator) -> None:
    made = source(emulator.url)
    made.collect()
    emulator.close()
    with pytest.raises(SourceError, match=f"^Docker at {emulator.url} does not answer: "):
        made.collect()
