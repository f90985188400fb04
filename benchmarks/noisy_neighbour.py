# SPDX-License-Identifier: Apache-2.0
"""What noisy containers cost a web-serving guest with a CPU of its own on the same host, with our isolation and stock Zun's.

``python -m lab exec -- .venv/bin/python -m benchmarks.noisy_neighbour`` in a lab that is up and empty (``make bench-noisy``
starts one). Response times are those of requests at a fixed pace, each from the moment at which it was due, so that a guest
that stalls is charged for all requests that it kept waiting (Tene, How not to measure latency). Figures go to
``.bench/noisy.json``.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab import hosts
from lab.cloud import Cloud, wait_for
from lab.layout import CHECKOUT, Host, Lab, saved_lab
from lab.services import hybrid, nova, zun

_PATH = Path(".bench") / "noisy.json"
_REQUESTS_A_S = 20
_REQUESTS = 600
_TIMEOUT_S = 10.0
_PREFIX = "noisy-"
_SINK_PORT = 5001

#: What each hog does for ever, and what it declares besides a quarter of a core and 64 MiB.
HOGS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu-1": (":", {}),
    "cpu-2": (":", {}),
    "disk": (
        "dd if=/dev/zero of=/hog bs=1M count=64 oflag=direct 2>/dev/null",
        {"hybrid:disk_write_bps": "1MB/s"},
    ),
    "nic": ("dd if=/dev/zero bs=64k | nc {sink} {port}", {"hybrid:net_out_bps": "1MB/s"}),
    "memory": ("dd if=/dev/zero of=/dev/null bs=256M count=8 2>/dev/null", {}),
}


class Website:
    """The guest that serves.

    :param address: of it.
    """

    def __init__(self, address: str) -> None:
        self._address = address

    def response_times_s(self) -> list[float]:
        """Ask at a fixed pace; one that does not come in time counts as the time that it was waited for."""
        start_s = time.monotonic() + 0.5

        def ask(number: int) -> float:
            due_s = start_s + number / _REQUESTS_A_S
            time.sleep(max(0.0, due_s - time.monotonic()))
            try:
                self.get()
            except OSError:
                return _TIMEOUT_S
            return time.monotonic() - due_s

        with ThreadPoolExecutor(_REQUESTS_A_S) as pool:
            return list(pool.map(ask, range(_REQUESTS)))

    def get(self) -> bytes:
        """Ask once."""
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/index.html")
            return connection.getresponse().read()
        finally:
            connection.close()


def summary(times_s: Sequence[float]) -> dict[str, float]:
    """Give percentiles, in milliseconds."""
    ordered = sorted(times_s)

    def percentile(part: float) -> float:
        return round(1e3 * ordered[math.ceil(part * len(ordered)) - 1], 2)

    return {"p50_ms": percentile(0.5), "p99_ms": percentile(0.99), "worst_ms": percentile(1)}


class Neighbourhood:
    """One host with the website, and another one that takes what the hogs send.

    :param lab: with two hosts at least.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._cloud = Cloud(lab)
        self.host, self._other = lab.hosts[:2]
        self._hogs: list[str] = []

    @contextmanager
    def dedicated_cpus(self) -> Iterator[None]:
        """Have the host's last CPU kept for guests with CPUs of their own for a while, as an operator would."""
        last = (os.cpu_count() or 2) - 1
        shared = "0" if last == 1 else f"0-{last - 1}"
        nova.configure_compute(self._lab, self.host, cpu_dedicated_set=last, cpu_shared_set=shared)
        self._restart("nova-compute")
        try:
            self._wait_for_cpus(dedicated=True)
            yield
        finally:
            nova.configure_compute(self._lab, self.host)
            self._restart("nova-compute")
            self._wait_for_cpus(dedicated=False)

    def _wait_for_cpus(self, *, dedicated: bool) -> None:
        provider = self._cloud.provider(self.host.name)
        if provider is None:
            raise RuntimeError(f"Placement does not know {self.host.name}")
        wait_for(
            lambda: "PCPU" in self._cloud.inventory(provider["uuid"]),
            lambda there: there == dedicated,
            180,
        )

    @contextmanager
    def website(self) -> Iterator[Website]:
        """Start the guest, with a CPU of its own, wait until it answers, and remove it at the end."""
        compute = self._cloud.sdk.compute
        flavor = compute.create_flavor(name=f"{_PREFIX}flavor", vcpus=1, ram=256, disk=0)
        compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "dedicated"})
        uuid = self._cloud.create_server(f"{_PREFIX}web", flavor.name, host=self.host.name)
        try:
            yield self._serving(uuid)
        finally:
            compute.delete_server(uuid)
            wait_for(lambda: compute.find_server(uuid), lambda left: left is None, 180)
            compute.delete_flavor(flavor)

    def _serving(self, uuid: str) -> Website:
        server = wait_for(
            lambda: self._cloud.server(uuid), lambda s: s["status"] in {"ACTIVE", "ERROR"}, 180
        )
        if server["status"] == "ERROR":
            raise RuntimeError(f"The guest did not start: {server['fault']['message']}")
        [[address]] = server["addresses"].values()
        website = Website(address["addr"])

        def answers() -> bool:
            try:
                return bool(website.get())
            except OSError:
                return False

        wait_for(answers, bool, 180)
        return website

    @contextmanager
    def hogs(self) -> Iterator[None]:
        """Run them for a while."""
        try:
            sink = self._start("sink", self._other, f"nc -l -p {_SINK_PORT} >/dev/null", {})
            for name, (work, labels) in HOGS.items():
                self._start(name, self.host, work.format(sink=sink, port=_SINK_PORT), labels)
            wait_for(self._told, lambda told: all(uuid in told for uuid in self._hogs[1:]), 60)
            yield
        finally:
            for uuid in self._hogs:
                self._cloud.delete_container(uuid)
            self._hogs.clear()
            wait_for(
                lambda: [c for c in self._cloud.list_containers() if c["name"].startswith(_PREFIX)],
                lambda left: not left,
                180,
            )

    def _start(self, name: str, host: Host, work: str, labels: dict[str, str]) -> str:
        command = ["sh", "-c", f"while :; do {work}; done"]
        uuid = self._cloud.create_container(
            f"{_PREFIX}{name}", 0.25, 64, command, host=host.name, labels=labels
        )
        self._hogs.append(uuid)
        container = wait_for(
            lambda: self._cloud.container(uuid), lambda c: c["status"] in {"Running", "Error"}, 180
        )
        if container["status"] != "Running":
            raise RuntimeError(f"{name} did not start: {container['status_reason']}")
        [[address], *_] = container["addresses"].values()
        return str(address["addr"])

    @contextmanager
    def stock_isolation(self) -> Iterator[None]:
        """Have stock Zun's limits alone on the host for a while."""
        self._configure(self._lab, driver="docker", isolation="off")
        try:
            yield
        finally:
            self._configure(self._lab, driver="hybrid_docker", isolation="enforce")

    def _configure(self, lab: Lab, driver: str, isolation: str) -> None:
        zun.configure_compute(
            dataclasses.replace(lab, stock=True) if driver == "docker" else lab, self.host
        )
        hybrid.configure_agent(lab, self.host, isolation=isolation)
        before_heard = self._last_heard()
        self._restart("zun-compute", "hybrid-sched-agent")
        # One that was heard of before counts as up until it is missed: the new one is there when it has told something.
        wait_for(self._last_heard, lambda heard: heard not in {None, before_heard}, 120)
        wait_for(
            lambda: hybrid.manage(lab, "hosts", "show", self.host.name),
            lambda shown: shown["Fresh"] and shown["Isolation"] == isolation,
            60,
        )

    def _restart(self, *names: str) -> None:
        """End services of the host, which its first process starts again."""
        before = hosts.services(self._lab, self.host)
        for name in names:
            kill = ["kill", "-9", str(before[name])]
            command = [sys.executable, "-m", "lab", "exec", self.host.name, "--", *kill]
            subprocess.run(command, check=True, cwd=CHECKOUT)
        wait_for(
            lambda: hosts.services(self._lab, self.host),
            lambda now: all(now[name] not in {0, before[name]} for name in names),
            60,
        )

    def _last_heard(self) -> str | None:
        """Tell when Zun's service of the host was heard of last."""
        services = self._cloud.containers.get("/services/").json()["services"]
        return next((s["last_seen_up"] for s in services if s["host"] == self.host.name), None)

    def _told(self) -> str:
        """Give what the host's agent tells of its tasks, once all their limits hold."""
        shown = hybrid.manage(self._lab, "hosts", "show", self.host.name)
        return "" if shown["Limits pending"] else str(shown["Tasks"])


def measure(lab: Lab) -> dict[str, Any]:
    """Measure alone, with the hogs under stock limits, and with them under ours."""
    place = Neighbourhood(lab)
    figures: dict[str, Any] = {}

    def note(name: str, website: Website) -> None:
        figures[name] = summary(website.response_times_s())
        print(f"  {name}: {figures[name]}", file=sys.stderr)

    with place.dedicated_cpus(), place.website() as website:
        note("alone", website)
        with place.stock_isolation(), place.hogs():
            note("stock", website)
        with place.hogs():
            note("isolated", website)
        note("alone_again", website)
    alone = figures["alone"]["p99_ms"]
    for name in ("stock", "isolated"):
        figures[f"{name}_over_alone"] = round(figures[name]["p99_ms"] / alone, 3)
    return figures


def main() -> int:
    """Measure, print and keep the figures."""
    lab = saved_lab()
    if lab is None:
        print("There is no lab: start it with 'make lab-up'.", file=sys.stderr)
        return 1
    figures = measure(lab)
    _PATH.parent.mkdir(exist_ok=True)
    _PATH.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
