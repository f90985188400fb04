# SPDX-License-Identifier: Apache-2.0
"""The isolator against an emulator of as much of Docker's API as it uses; the real daemon is in the integration tests."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators.docker import DockerIsolator

_MIB = 2**20
_ALL = (Aspect.CPU_QUOTA, Aspect.CPU_WEIGHT, Aspect.CPUS, Aspect.MEMORY, Aspect.MEMORY_LOW)


class Emulator:
    """Stopped containers by name, with what Docker stores of each: 0 and "" where nothing was asked for."""

    def __init__(self, **records: dict[str, Any]) -> None:
        self.records = {f"zun-{name}": record for name, record in records.items()}
        self.info = dict.fromkeys(
            ("CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "MemoryLimit"), True
        )
        self.states = dict.fromkeys(self.records, "exited")
        #: Listed, but gone when asked for.
        self.gone: set[str] = set()
        self.stuck: set[str] = set()
        #: Fields that it does not take.
        self.refused: set[str] = set()
        self.listed_with: list[dict[str, list[str]]] = []
        self.updates = 0
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
            case [*_, "info"]:
                return 200, self.info
            case ["containers", "json"]:
                return 200, [{"Id": name} for name in (*self.records, *self.gone)]
            case [name, "json"] if name in self.stuck:
                return 500, {"message": "stuck"}
            case [name, "json"] if name in self.records:
                state = {"Status": self.states[name], "Pid": 0}
                record = self.records[name]
                return 200, {"Id": name, "Name": f"/{name}", "HostConfig": record, "State": state}
        return 404, {"message": f"not there: {path}"}

    def post(self, path: list[str], body: dict[str, Any]) -> tuple[int, object]:
        self.updates += 1
        if self.refused & body.keys():
            return 409, {"message": f"no {', '.join(sorted(self.refused & body.keys()))}"}
        match path:
            case [name, "update"] if name in self.records:
                self.records[name].update({key: value for key, value in body.items() if value})
                return 200, {"Warnings": None}
        return 404, {"message": f"not there: {path}"}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    made = Emulator(one={"CpuShares": 1536, "CpusetCpus": "0-1"}, two={"CpuShares": 0})
    yield made
    made.close()


@pytest.fixture
def isolator(emulator: Emulator) -> DockerIsolator:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("docker_url", emulator.url, group="agent")
    return DockerIsolator(conf)


def test_what_is_stored_of_stopped_containers_is_told_by_uuid(
    emulator: Emulator, isolator: DockerIsolator
) -> None:
    emulator.gone.add("zun-three")
    assert isolator.read() == {
        "one": Limits(cpu_weight=1536, cpus=frozenset({0, 1})),
        "two": Limits(),
    }
    (query,) = emulator.listed_with
    # Stopped ones too: they would start with what they have.
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"name": ["^/?zun-"]}


def test_what_is_held_is_read_back_and_only_what_is_named_is_set(
    emulator: Emulator, isolator: DockerIsolator
) -> None:
    limits = Limits(
        cpu_quota=Fraction(1, 3),
        cpu_weight=512,
        cpus=frozenset({1}),
        memory_mb=64,
        memory_low_mb=32,
    )
    isolator.hold("one", limits, {Aspect.CPU_WEIGHT})
    assert emulator.records["zun-one"] == {"CpuShares": 512, "CpusetCpus": "0-1"}
    isolator.hold("one", limits, _ALL)
    assert isolator.read()["one"] == limits
    # Swap is not on top.
    assert emulator.records["zun-one"]["MemorySwap"] == 64 * _MIB
    assert emulator.records["zun-two"] == {"CpuShares": 0}
    isolator.hold("one", Limits(), set(_ALL) - {Aspect.CPUS, Aspect.CPU_WEIGHT})
    assert isolator.read()["one"] == Limits(cpu_weight=512, cpus=frozenset({1}))


def test_a_container_made_with_a_number_of_cpus_gets_its_quota_as_one(
    emulator: Emulator, isolator: DockerIsolator
) -> None:
    emulator.records["zun-one"] = {"NanoCpus": 500_000_000}
    # Docker refuses these for such a container.
    emulator.refused = {"CpuQuota", "CpuPeriod"}
    assert isolator.read()["one"].cpu_quota == Fraction(1, 2)
    isolator.hold("one", Limits(cpu_quota=Fraction(1, 4)), {Aspect.CPU_QUOTA})
    assert isolator.read()["one"].cpu_quota == Fraction(1, 4)
    # Docker refuses a number above that of the host's CPUs.
    isolator.hold("one", Limits(cpu_quota=100_000), {Aspect.CPU_QUOTA})
    of_all = emulator.records["zun-one"]["NanoCpus"]
    assert of_all < 100_000 * 10**9
    isolator.hold("one", Limits(cpu_quota=Fraction(1, 4)), {Aspect.CPU_QUOTA})
    isolator.hold("one", Limits(), {Aspect.CPU_QUOTA})
    assert emulator.records["zun-one"]["NanoCpus"] == of_all


def test_a_container_that_is_gone_or_going_is_no_error(
    emulator: Emulator, isolator: DockerIsolator
) -> None:
    isolator.hold("gone", Limits(cpu_weight=512), {Aspect.CPU_WEIGHT})
    emulator.states["zun-two"] = "removing"
    assert isolator.read().keys() == {"one"}


def test_a_container_that_docker_is_stuck_on_does_not_keep_the_others_from_being_held(
    emulator: Emulator, isolator: DockerIsolator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.stuck.add("zun-one")
    for _ in range(2):
        assert isolator.read().keys() == {"two"}
    assert caplog.text.count("The limits of container zun-one are left alone") == 1


def test_of_several_limits_those_that_docker_takes_are_set_and_the_others_named(
    emulator: Emulator, isolator: DockerIsolator
) -> None:
    emulator.refused = {"CpusetCpus"}
    limits = Limits(cpu_weight=256, cpus=frozenset({5}), memory_mb=100)
    with pytest.raises(IsolationError, match="zun-one: cpus: no CpusetCpus"):
        isolator.hold("one", limits, {Aspect.CPU_WEIGHT, Aspect.CPUS, Aspect.MEMORY})
    assert isolator.read()["one"] == Limits(cpu_weight=256, cpus=frozenset({0, 1}), memory_mb=100)


def test_what_the_kernel_lacks_is_said_and_not_told(
    emulator: Emulator, isolator: DockerIsolator
) -> None:
    assert isolator.ability().aspects == set(_ALL)
    assert isolator.ability().missing == {}
    emulator.info["CPUSet"] = emulator.info["CpuCfsQuota"] = False
    ability = isolator.ability()
    assert ability.aspects == {Aspect.CPU_WEIGHT, Aspect.MEMORY, Aspect.MEMORY_LOW}
    assert ability.missing.keys() == {Aspect.CPUS, Aspect.CPU_QUOTA}
    assert (
        "cannot hold cpus of containers: it says that this kernel has no cpuset"
        in (ability.missing[Aspect.CPUS])
    )
    assert isolator.read()["one"] == Limits(cpu_weight=1536)


def test_docker_that_refuses_or_does_not_answer_is_an_error_with_its_address(
    emulator: Emulator, isolator: DockerIsolator
) -> None:
    emulator.refused = {"CpuShares"}
    with pytest.raises(IsolationError, match=f"^Docker at {emulator.url} refuses .*no CpuShares"):
        isolator.hold("one", Limits(cpu_weight=512), {Aspect.CPU_WEIGHT})
    assert emulator.updates == 1
    emulator.refused = set()
    isolator.hold("one", Limits(cpu_weight=512), {Aspect.CPU_WEIGHT})
    emulator.close()
    said = f"^Docker at {emulator.url} does not give or take limits: "
    for call in (isolator.read, isolator.ability):
        with pytest.raises(IsolationError, match=said):
            call()
    with pytest.raises(IsolationError, match=said):
        isolator.hold("one", Limits(cpu_weight=512), {Aspect.CPU_WEIGHT})
