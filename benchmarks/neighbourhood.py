# SPDX-License-Identifier: Apache-2.0
"""A host of the lab with a guest that serves a website and containers beside it, with our isolation or without.

For what runs inside the control plane's namespace: ``python -m lab exec -- .venv/bin/python -m benchmarks.…``. All that it
makes is gone, and all that it configures is as before, when its contexts are left.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from lab import hosts
from lab.cloud import Cloud, wait_for
from lab.layout import CHECKOUT, Host, Lab
from lab.processes import ProcessTable
from lab.services import hybrid, nova, zun

TIMEOUT_S = 10.0
#: How the names of the processes begin that are guests, or are above containers.
_TASKS = ("qemu-system", "containerd-shim")


class Website:
    """The guest that serves.

    :param uuid: of the guest.
    :param address: of it.
    """

    def __init__(self, uuid: str, address: str) -> None:
        self.uuid = uuid
        self.address = address

    def get(self, page: str = "/index.html") -> bytes:
        """Ask once.

        :raises OSError: when it does not answer.
        :raises FileNotFoundError: when it has no such page.
        """
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        try:
            connection.request("GET", page)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise FileNotFoundError(f"http://{self.address}{page} answers {answer.status}")
            return answer.read()
        finally:
            connection.close()


@dataclasses.dataclass(frozen=True)
class Container:
    """A container that runs.

    :param uuid: of it.
    :param address: on the network of the guests.
    :param host: where it runs.
    """

    uuid: str
    address: str
    host: Host


def run_on(host: Host, *command: str) -> list[str]:
    """Give the command line that runs a command on a host; its folder must be that of the checkout."""
    return [sys.executable, "-m", "lab", "exec", host.name, "--", *command]


class Neighbourhood:
    """One host with the website, and another one.

    :param lab: with two hosts at least.
    :param prefix: with which the names of all that is made begin.
    """

    def __init__(self, lab: Lab, prefix: str) -> None:
        self._lab = lab
        self._prefix = prefix
        self._cloud = Cloud(lab)
        self.host, self.other = lab.hosts[:2]
        self._cpus = frozenset(range(os.cpu_count() or 2))

    @contextmanager
    def dedicated_cpus(self) -> Iterator[None]:
        """Have the host's last CPU kept for guests with CPUs of their own for a while, as an operator would."""
        last = max(self._cpus)
        shared = "0" if last == 1 else f"0-{last - 1}"
        try:
            nova.configure_compute(
                self._lab, self.host, cpu_dedicated_set=last, cpu_shared_set=shared
            )
            self._restart("nova-compute")
            self._wait_for_cpus(dedicated=True)
            yield
        finally:
            nova.configure_compute(self._lab, self.host)
            self._restart("nova-compute")
            self._wait_for_cpus(dedicated=False)

    @contextmanager
    def services_apart(self) -> Iterator[None]:
        """Keep the lab's services and this process off the dedicated CPU for a while.

        So does an operator with the services of such a host (``CPUAffinity`` of systemd); the control plane, the other hosts
        and the clients are machines of their own. This process comes before all others, too: what it waits for a CPU is not
        the guest's doing.
        """
        self._keep_on(self._cpus - {max(self._cpus)})
        try:
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
            yield
        finally:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            self._keep_on(self._cpus)

    def _keep_on(self, cpus: frozenset[int]) -> None:
        """Have the threads of all services, of all that is on other hosts, and those of this process run on some CPUs."""
        found = {os.getpid()}
        for root in ProcessTable(self._lab).all():
            tasks = _TASKS if root.name == self.host.name else ()
            waiting = [root.pid] if root.alive else []
            while waiting:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process = psutil.Process(waiting.pop())
                    if not process.name().startswith(tasks):
                        found.add(process.pid)
                        waiting += [child.pid for child in process.children()]
        for pid in found:
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    os.sched_setaffinity(int(thread), cpus)

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
        flavor = compute.create_flavor(name=f"{self._prefix}flavor", vcpus=1, ram=256, disk=0)
        try:
            compute.create_flavor_extra_specs(flavor, {"hw:cpu_policy": "dedicated"})
            uuid = self._cloud.create_server(f"{self._prefix}web", flavor.name, host=self.host.name)
            try:
                yield self._serving(uuid)
            finally:
                compute.delete_server(uuid)
                wait_for(lambda: compute.find_server(uuid), lambda left: left is None, 180)
        finally:
            compute.delete_flavor(flavor)

    def _serving(self, uuid: str) -> Website:
        server = wait_for(
            lambda: self._cloud.server(uuid), lambda s: s["status"] in {"ACTIVE", "ERROR"}, 180
        )
        if server["status"] == "ERROR":
            raise RuntimeError(f"The guest did not start: {server['fault']['message']}")
        [[address]] = server["addresses"].values()
        website = Website(uuid, address["addr"])

        def answers() -> bool:
            try:
                return bool(website.get())
            except OSError:
                return False

        wait_for(answers, bool, 180)
        return website

    @contextmanager
    def containers(self) -> Iterator[Callable[..., Container]]:
        """Give what starts containers; all are removed at the end.

        Its parameters are a name, the host, CPUs, MiB, the command and what else Zun's API takes.
        """
        started: list[str] = []

        def start(
            name: str, host: Host, cpu: float, memory_mb: int, command: list[str], **options: object
        ) -> Container:
            uuid = self._cloud.create_container(
                f"{self._prefix}{name}", cpu, memory_mb, command, host=host.name, **options
            )
            started.append(uuid)
            shown = wait_for(
                lambda: self._cloud.container(uuid),
                lambda c: c["status"] in {"Running", "Error", "Stopped"},
                180,
            )
            if shown["status"] != "Running":
                raise RuntimeError(f"{name} did not start: {shown['status_reason']}")
            [[address], *_] = shown["addresses"].values()
            return Container(uuid, str(address["addr"]), host)

        try:
            yield start
        finally:
            for uuid in started:
                self._cloud.delete_container(uuid)
            wait_for(
                lambda: [c for c in self._cloud.list_containers() if c["uuid"] in started],
                lambda left: not left,
                180,
            )

    def wait_for_limits(self, *uuids: str, host: Host | None = None) -> None:
        """Wait until the agent of a host holds some tasks and nothing is left to set."""
        shown_host = host or self.host

        def told() -> str:
            shown = hybrid.manage(self._lab, "hosts", "show", shown_host.name)
            return "" if shown["Limits pending"] else str(shown["Tasks"])

        wait_for(told, lambda tasks: all(uuid in tasks for uuid in uuids), 60)

    @contextmanager
    def stock_driver(self) -> Iterator[None]:
        """Have Zun's own driver on the host for a while, with its limits alone."""
        try:
            self._drive("docker")
            yield
        finally:
            self._drive("hybrid_docker")

    def _drive(self, driver: str) -> None:
        stock = dataclasses.replace(self._lab, stock=driver == "docker")
        zun.configure_compute(stock, self.host)
        before_heard = self._last_heard()
        self._restart("zun-compute")
        # One that was heard of before counts as up until it is missed: the new one is there when it has told something.
        wait_for(self._last_heard, lambda heard: heard not in {None, before_heard}, 120)

    @contextmanager
    def idle_agent(self) -> Iterator[None]:
        """Have the host's agent hold nobody to limits for a while; those that it has set stay."""
        try:
            self._isolate("off")
            yield
        finally:
            self._isolate("enforce")

    def _isolate(self, isolation: str) -> None:
        hybrid.configure_agent(self._lab, self.host, isolation=isolation)
        self._restart("hybrid-sched-agent")
        wait_for(
            lambda: hybrid.manage(self._lab, "hosts", "show", self.host.name),
            lambda shown: shown["Fresh"] and shown["Isolation"] == isolation,
            60,
        )

    def _restart(self, *names: str) -> None:
        """End services of the host, which its first process starts again."""
        before = hosts.services(self._lab, self.host)
        for name in names:
            kill = run_on(self.host, "kill", "-9", str(before[name]))
            subprocess.run(kill, check=True, cwd=CHECKOUT)
        wait_for(
            lambda: hosts.services(self._lab, self.host),
            lambda now: all(now[name] not in {0, before[name]} for name in names),
            60,
        )

    def _last_heard(self) -> str | None:
        """Tell when Zun's service of the host was heard of last."""
        services = self._cloud.containers.get("/services/").json()["services"]
        return next((s["last_seen_up"] for s in services if s["host"] == self.host.name), None)
