# SPDX-License-Identifier: Apache-2.0
"""Where the lab keeps things, and its addresses."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
STATE = CHECKOUT / ".lab"

#: Named network namespace of the control plane; those of the hosts are called NETNS-nodeN.
NETNS = "hybrid-lab"
CONTROL_IP = "10.77.0.1"
DATA_GATEWAY_IP = "10.78.0.1"
DATA_SUBNET = "10.78.0.0/24"
REGION = "RegionOne"
#: Names, in the environment of Neutron, the folder in which dnsmasq keeps its files.
DHCP_FOLDER = "HYBRID_LAB_DHCP"


@dataclass(frozen=True)
class Host:
    """One compute host of the lab.

    :param number: from 1.
    :param memory_mb: what Nova, Zun and the agent see as its memory.
    """

    number: int
    memory_mb: int

    @property
    def name(self) -> str:
        """Name under which Nova and Zun know it."""
        return f"node{self.number}"

    @property
    def netns(self) -> str:
        """Name of its network namespace."""
        return f"{NETNS}-{self.name}"

    @property
    def ip(self) -> str:
        """Address on the management bridge."""
        return f"10.77.0.{10 + self.number}"


@dataclass(frozen=True)
class Lab:
    """The lab: where its files are and which hosts it has.

    :param hosts: compute hosts.
    :param stock: leave the plug-ins and services of hybrid_sched out, to compare with.
    """

    hosts: tuple[Host, ...]
    stock: bool = False
    state: Path = field(default=STATE)

    @property
    def bin(self) -> Path:
        """Programs of the virtual environment that runs this."""
        return Path(sys.prefix) / "bin"

    def folder(self, *parts: str) -> Path:
        """Give a folder of the lab, made on first use."""
        path = self.state.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def config(self, *parts: str) -> Path:
        """Give the path of a configuration file, its folder made."""
        return self.folder("etc", *parts[:-1]) / parts[-1]

    def log(self, name: str) -> Path:
        """Give the path of a log."""
        return self.folder("log") / f"{name}.log"

    def host(self, name: str) -> Host:
        """Find a host by name.

        :raises LookupError: when there is none.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        known = ", ".join(host.name for host in self.hosts)
        raise LookupError(f"There is no host {name}; the hosts are {known}.")

    @cached_property
    def password(self) -> str:
        """The password of this lab's accounts, made once and kept readable by root alone."""
        path = self.folder() / "secrets.json"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump({"password": secrets.token_hex(16)}, file)
        return str(json.loads(path.read_text())["password"])

    @property
    def transport_url(self) -> str:
        """The message broker."""
        return f"rabbit://lab:{self.password}@{CONTROL_IP}:5672/"

    def database_url(self, name: str) -> str:
        """Give the address of a database."""
        return f"mysql+pymysql://lab:{self.password}@{CONTROL_IP}/{name}?charset=utf8mb4"

    def client_environment(self) -> dict[str, str]:
        """Environment of the clients, as the cloud's administrator."""
        return {
            "OS_AUTH_URL": f"http://{CONTROL_IP}:5000/v3",
            "OS_USERNAME": "admin",
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": "admin",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": REGION,
            "PATH": f"{self.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def save(self) -> None:
        """Remember the shape of the lab for the commands that come later."""
        shape = {"memory_mb": [host.memory_mb for host in self.hosts], "stock": self.stock}
        (self.folder() / "lab.json").write_text(json.dumps(shape))


def saved_lab(state: Path = STATE) -> Lab | None:
    """Give the lab that was started last; None when there is none."""
    path = state / "lab.json"
    if not path.exists():
        return None
    shape = json.loads(path.read_text())
    hosts = (Host(i, memory_mb) for i, memory_mb in enumerate(shape["memory_mb"], 1))
    return Lab(tuple(hosts), shape["stock"], state)
