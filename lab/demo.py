# SPDX-License-Identifier: Apache-2.0
"""The demonstration: guests and containers of the real clients on shared hosts, and why each went where it went."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.cloud import GUEST_IMAGE, NETWORK, Cloud, wait_for
from lab.images import CONTAINER_IMAGE
from lab.layout import Lab
from lab.processes import StepFailed
from lab.services import hybrid

GUEST_BOOTED = "LAB-GUEST booted"
_SERVER = ("openstack", "server", "create", "-f", "json")
_CONTAINER = ("openstack", "appcontainer", "run", "-f", "json")
_WEB_SERVER = "echo I am $(hostname) > /www/index.html; exec httpd -f -p 80 -h /www"
#: Weight of containers with which the refused one is within their share; that of guests is 1.
MORE_FOR_CONTAINERS = 3


@dataclass(frozen=True)
class Wish:
    """One thing to place.

    :param name: its name, which begins with ``demo-``.
    :param flavor: of a guest; empty for a container.
    :param memory_mb: of a container.
    """

    name: str
    flavor: str = ""
    memory_mb: int = 0

    @property
    def command(self) -> list[str]:
        """The user's command."""
        if self.flavor:
            options = ("--flavor", self.flavor, "--image", GUEST_IMAGE, "--network", NETWORK)
            return [*_SERVER, *options, self.name]
        return [
            *(*_CONTAINER, "--name", self.name, "--cpu", "1", "--memory", str(self.memory_mb)),
            *("--image-pull-policy", "never", "--net", f"network={NETWORK}"),
            *(CONTAINER_IMAGE, "sh", "-c", _WEB_SERVER),
        ]


#: The wishes of a round are asked for at once, after the engine has seen what the round before placed.
ROUNDS = (
    (Wish("demo-guest-1", "lab.medium"), Wish("demo-web-1", memory_mb=1536)),
    (
        Wish("demo-guest-2", "lab.medium"),
        Wish("demo-web-2", memory_mb=128),
        Wish("demo-guest-3", "lab.small"),
        Wish("demo-web-3", memory_mb=128),
    ),
)
#: Containers would hold 3776 MiB of the 7168 MiB of two hosts, more than their half; a host has room for it all the same.
TOO_MUCH = Wish("demo-web-4", memory_mb=1984)


@dataclass
class _Record:
    """What ``.lab/demo.json`` tells."""

    servers: list[dict[str, Any]] = field(default_factory=list)
    containers: list[dict[str, Any]] = field(default_factory=list)
    providers: list[dict[str, Any]] = field(default_factory=list)
    shares: dict[str, Any] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)


class Demo:
    """One run of the demonstration.

    :param lab: a lab that is up.
    :param started_s: when the whole command began, by the monotonic clock.
    """

    def __init__(self, lab: Lab, started_s: float) -> None:
        self._lab = lab
        self._cloud = Cloud(lab)
        self._console = Console(width=140, soft_wrap=False)
        self._record = _Record()
        self._started_s = started_s

    def run(self) -> None:
        """Place everything, check that it runs, and show it.

        :raises StepFailed: when something is not as it should be.
        """
        with self._timed("tidy up"):
            remove_all(self._lab, self._cloud)
        self._console.print("\n[bold]Guests and containers, side by side[/bold]")
        with self._timed("place"):
            ids = self._place_all()
        self._console.print("\n[bold]One container more than the share of containers[/bold]")
        with self._timed("refuse"):
            refused = self._refuse()
        self._console.print("\n[bold]The same, once containers weigh three times as much[/bold]")
        with self._timed("change the weight"):
            set_weight(self._lab, MORE_FOR_CONTAINERS)
        with self._timed("place what was refused"):
            self._cloud.delete_container(refused)
            wait_for(lambda: self._named(TOO_MUCH.name), lambda found: not found, 30)
            ids[TOO_MUCH.name] = self._place(TOO_MUCH)
        with self._timed("check that they run"):
            self._check(ids)
        with self._timed("collect"):
            self._collect(ids)
        self._record.timings_s["in all"] = round(time.monotonic() - self._started_s, 1)
        path = self._lab.state / "demo.json"
        path.write_text(json.dumps(vars(self._record), indent=2) + "\n")
        self._show(str(path))

    def _place_all(self) -> dict[str, str]:
        """Place the first large ones, then those that fill up behind them."""
        ids: dict[str, str] = {}
        for wishes in ROUNDS:
            with ThreadPoolExecutor(len(wishes)) as pool:
                names = [wish.name for wish in wishes]
                ids |= zip(names, pool.map(self._place, wishes), strict=True)
            self._wait_until_seen(ids)
        return ids

    def _place(self, wish: Wish) -> str:
        """Run the user's command and wait until what it asked for runs; gives its uuid."""
        uuid = self._run(wish.command)
        if wish.flavor:
            good = {"ACTIVE"}
            now = wait_for(
                lambda: self._cloud.server(uuid),
                lambda seen: seen["status"] in good | {"ERROR"},
                90,
            )
        else:
            good = {"Running"}
            now = wait_for(
                lambda: self._cloud.container(uuid),
                lambda seen: seen["status"] in good | {"Error", "Stopped"},
                90,
            )
        if now["status"] not in good:
            why = now.get("fault", {}).get("message") or now.get("status_reason")
            raise StepFailed(f"{wish.name} became {now['status']}: {why}.")
        return uuid

    def _refuse(self) -> str:
        """Ask for too much, and keep the reason of the refusal."""
        uuid = self._run(TOO_MUCH.command)
        now = wait_for(
            lambda: self._cloud.container(uuid),
            lambda seen: seen["status"] in {"Error", "Running"},
            60,
        )
        if now["status"] != "Error":
            raise StepFailed(f"{TOO_MUCH.name} should be over the share, but it is running.")
        decision = wait_for(
            lambda: _decisions(self._lab).get(uuid), lambda row: bool(row and row["Reasons"]), 30
        )
        reasons = decision["Reasons"] if decision else {}
        for host, reason in reasons.items():
            self._console.print(f"  {host}: [yellow]{reason}[/yellow]")
        self._record.refused.append(
            {"name": TOO_MUCH.name, "uuid": uuid, "status": "Error", "reasons": reasons}
        )
        return uuid

    def _check(self, ids: dict[str, str]) -> None:
        """See that guests have booted and that all answer on their network."""
        for name, uuid in ids.items():
            if name.startswith("demo-guest"):
                try:
                    text = wait_for(
                        lambda uuid=uuid: self._cloud.console(uuid),
                        lambda seen: GUEST_BOOTED in seen,
                        60,
                    )
                except TimeoutError as error:
                    raise StepFailed(f"The console of {name} does not show its boot.") from error
                line = next(line for line in text.splitlines() if GUEST_BOOTED in line)
                self._console.print(f"  {name} says on its console: {line.strip()}")
            address = self.address(name, uuid)
            said = wait_for(lambda address=address: http_get(address), bool, 60)
            self._console.print(f"  {name} answers at http://{address}/: {said}")

    def address(self, name: str, uuid: str) -> str:
        """Give an address on the network of guests and containers."""
        thing = (self._cloud.server if name.startswith("demo-guest") else self._cloud.container)(
            uuid
        )
        ports = next(iter(thing["addresses"].values()))
        return str(ports[0]["addr"])

    def _collect(self, ids: dict[str, str]) -> None:
        providers = {
            host.name: provider["uuid"]
            for host in self._lab.hosts
            if (provider := self._cloud.provider(host.name))
        }
        decisions = _decisions(self._lab)
        for name, uuid in sorted(ids.items()):
            guest = name.startswith("demo-guest")
            now = self._cloud.server(uuid) if guest else self._cloud.container(uuid)
            host = now["OS-EXT-SRV-ATTR:host"] if guest else now["host"]
            row = {
                "name": name,
                "uuid": uuid,
                "status": now["status"],
                "host": host,
                "provider": providers[host],
                "reason": decisions[uuid]["Rule"] if uuid in decisions else "",
            }
            (self._record.servers if guest else self._record.containers).append(row)
        for host, uuid in providers.items():
            self._record.providers.append(
                {
                    "uuid": uuid,
                    "host": host,
                    "inventory": self._cloud.inventory(uuid),
                    "usages": self._cloud.usages(uuid),
                }
            )
        self._record.shares = {
            row["Framework"]: {
                key.lower(): value for key, value in row.items() if key != "Framework"
            }
            for row in hybrid.manage(self._lab, "shares", "list")
        }

    def _show(self, path: str) -> None:
        table = Table(title="Who landed where and why")
        for column in ("name", "kind", "status", "host", "why there"):
            table.add_column(column, overflow="fold")
        for kind, rows in (
            ("guest", self._record.servers),
            ("container", self._record.containers),
        ):
            for row in rows:
                table.add_row(row["name"], kind, row["status"], row["host"], row["reason"])
        for row in self._record.refused:
            why = "; ".join(sorted(set(row["reasons"].values())))
            table.add_row(
                row["name"], "container", "refused at first", "", f"[yellow]{why}[/yellow]"
            )
        self._console.print(table)
        hosts = Table(title="One Placement provider a host holds both kinds")
        for column in ("host", "provider", "vCPU held", "memory MiB held", "guests", "containers"):
            hosts.add_column(column)
        for provider in self._record.providers:
            inventory, held = provider["inventory"], provider["usages"]
            memory = inventory["MEMORY_MB"]
            hosts.add_row(
                provider["host"],
                provider["uuid"],
                f"{held.get('VCPU', 0)} of {_capacity(inventory['VCPU'])}",
                f"{held.get('MEMORY_MB', 0)} of {_capacity(memory)}",
                _names_on(provider["host"], self._record.servers),
                _names_on(provider["host"], self._record.containers),
            )
        self._console.print(hosts)
        for name, share in self._record.shares.items():
            used, floor = (share[key]["value"] for key in ("used", "fair"))
            self._console.print(
                f"Share of {name} (weight {share['weight']}): holds {used:.1%}, fair share {floor:.1%}."
            )
        self._console.print(
            f"All of it is in {path}. Look on with 'make lab-status'; stop with 'make demo-down'."
        )

    def _run(self, command: Sequence[str]) -> str:
        """Run a client of the user; gives the uuid of what it made."""
        shown = " ".join(f"'{word}'" if " " in word else word for word in command)
        self._console.print(f"  $ {shown.replace(' -f json', '')}", highlight=False)
        done = subprocess.run(
            command,
            env={**os.environ, **self._lab.client_environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StepFailed(f"'{shown}' failed: {done.stderr.strip()[-500:]}")
        made = json.loads(done.stdout)
        return str(made.get("id") or made.get("uuid"))

    def _wait_until_seen(self, ids: dict[str, str]) -> None:
        """Wait until the agents have told the engine of what was placed."""
        guests = sum(name.startswith("demo-guest") for name in ids)
        wanted = (guests, len(ids) - guests)

        def counted() -> tuple[int, int]:
            rows = hybrid.manage(self._lab, "hosts", "list")
            return sum(row["Guests"] for row in rows), sum(row["Containers"] for row in rows)

        wait_for(counted, lambda seen: seen == wanted, 30)

    def _named(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self._cloud.list_containers() if each["name"] == name]

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self._record.timings_s[name] = round(time.monotonic() - started, 1)


def remove_all(lab: Lab, cloud: Cloud) -> None:
    """Remove what earlier runs placed, and give the frameworks their first weights again."""
    servers = [each for each in cloud.sdk.compute.servers() if each.name.startswith("demo-")]
    containers = [each for each in cloud.list_containers() if each["name"].startswith("demo-")]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(cloud.sdk.compute.delete_server, servers))
        list(pool.map(cloud.delete_container, [each["uuid"] for each in containers]))
    wait_for(
        lambda: [
            *(each.name for each in cloud.sdk.compute.servers() if each.name.startswith("demo-")),
            *(c["name"] for c in cloud.list_containers() if c["name"].startswith("demo-")),
        ],
        lambda names: not names,
        60,
    )
    set_weight(lab, 1)
    wait_for(
        lambda: sum(
            row["Guests"] + row["Containers"] for row in hybrid.manage(lab, "hosts", "list")
        ),
        lambda count: count == 0,
        60,
    )


def set_weight(lab: Lab, weight: int) -> None:
    """Set the weight of containers, and wait until the shares go by it."""

    def now() -> list[str]:
        rows = hybrid.manage(lab, "framework", "show", "container")
        return [str(row["Weight"]) for row in rows]

    if now() != [str(weight)]:
        hybrid.command(lab, "framework", "set-weight", "container", str(weight))
        wait_for(now, lambda seen: seen == [str(weight)], 30)


def http_get(address: str) -> str:
    """Ask a web server for its first page; empty when it does not answer."""
    connection = http.client.HTTPConnection(address, 80, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def _decisions(lab: Lab) -> dict[str, dict[str, Any]]:
    """Give the last step of each request's scheduling, by the request's uuid."""
    return {row["Request"]: row for row in hybrid.manage(lab, "decision", "list", "--long")}


def _capacity(inventory: dict[str, Any]) -> int:
    return int((inventory["total"] - inventory["reserved"]) * inventory["allocation_ratio"])


def _names_on(host: str, rows: list[dict[str, Any]]) -> str:
    return ", ".join(row["name"].removeprefix("demo-") for row in rows if row["host"] == host)


def run(lab: Lab, started_s: float) -> int:
    """Run the demonstration.

    :param started_s: when the command began, by the monotonic clock.
    :returns: the exit code.
    """
    try:
        Demo(lab, started_s).run()
    except TimeoutError as error:
        raise StepFailed(
            f"The demonstration waited in vain {error}; read {lab.folder('log')}."
        ) from error
    return 0
