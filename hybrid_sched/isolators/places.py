# SPDX-License-Identifier: Apache-2.0
"""Where the running tasks of a host are: their processes and their interfaces, as libvirt and Docker tell."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import docker
import libvirt
import requests
from docker.errors import DockerException, NotFound
from oslo_config import cfg
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hybrid_sched.bounded import Bounded
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.interfaces.isolator import IsolationError

_ZUN_PREFIX = "zun-"
_TIMEOUT_S = 10
_PID_FILES = Path("/run/libvirt/qemu")
_GONE = {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}


#: libvirt takes connections even when it is stuck. All who look share this, so that their calls that hang do not add up.
_bounded = Bounded(_TIMEOUT_S, hanging_at_most=2)


@dataclass(frozen=True, slots=True)
class Place:
    """A task that runs.

    :param uuid: of the task.
    :param framework: that placed it.
    :param pid: of its first process, as seen from here.
    :param group: text that is in the path of its control group, and in no other's.
    :param interfaces: names, in this network namespace, of the host's ends of its interfaces; empty when it has none here.
    """

    uuid: str
    framework: str
    pid: int
    group: str
    interfaces: tuple[str, ...] = ()


def guests(conf: cfg.ConfigOpts) -> list[Place]:
    """Find the running guests, paused ones included.

    :param conf: options of the group ``[agent]``.
    :raises IsolationError: when libvirt does not answer.
    """
    uri = conf.agent.libvirt_uri
    libvirt.registerErrorHandler(lambda _context, _error: None, None)

    def look() -> list[Place]:
        with contextlib.closing(libvirt.openReadOnly(uri)) as connection:
            domains = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
            return [place for domain in domains if (place := _guest(domain)) is not None]

    try:
        return _bounded(look)
    except TimeoutError:
        raise IsolationError(
            f"libvirt at {uri} has not told its guests for {_TIMEOUT_S} s. If that goes on, see whether it is stuck, and "
            "restart it."
        ) from None
    except libvirt.libvirtError as error:
        raise IsolationError(
            f"libvirt at {uri} does not tell its guests: {error}. See that it runs."
        ) from None


def containers(conf: cfg.ConfigOpts) -> list[Place]:
    """Find the running containers of Zun.

    :param conf: options of the group ``[agent]``.
    :raises IsolationError: when Docker does not answer.
    """
    url = conf.agent.docker_url
    try:
        with contextlib.closing(docker.APIClient(base_url=url, timeout=_TIMEOUT_S)) as client:
            return list(_containers(client))
    except (DockerException, requests.RequestException) as error:
        raise IsolationError(
            f"Docker at {url} does not tell its containers: {error}. See that it runs."
        ) from None


def _guest(domain: Any) -> Place | None:
    """Look at one guest; None when it is gone between the list and the question."""
    try:
        pid = int((_PID_FILES / f"{domain.name()}.pid").read_text())
        devices = ElementTree.fromstring(domain.XMLDesc())  # noqa: S314 - libvirt's own
    except (OSError, ValueError):
        return None
    except libvirt.libvirtError as error:
        if error.get_error_code() in _GONE:
            return None
        raise
    targets = devices.iterfind("./devices/interface/target[@dev]")
    return Place(
        uuid=domain.UUIDString(),
        framework=HYPERVISOR,
        pid=pid,
        group=f"qemu-{domain.ID()}-",
        interfaces=tuple(target.attrib["dev"] for target in targets),
    )


def _containers(client: Any) -> Iterator[Place]:
    for listed in client.containers(filters={"name": f"^/?{_ZUN_PREFIX}"}):
        try:
            inspected = client.inspect_container(listed["Id"])
        except NotFound:
            # Gone between the list and the question.
            continue
        pid = inspected["State"]["Pid"]
        if not pid:
            continue
        mode = inspected["HostConfig"].get("NetworkMode") or ""
        # With another's network namespace the interfaces are that one's.
        shared = mode == "host" or mode.startswith("container:")
        yield Place(
            uuid=inspected["Name"].lstrip("/").removeprefix(_ZUN_PREFIX),
            framework=CONTAINER,
            pid=pid,
            group=inspected["Id"],
            interfaces=() if shared else _far_ends(pid),
        )


def _far_ends(pid: int) -> tuple[str, ...]:
    """Find the ends in this network namespace of the veth pairs of a process; none when it has ended meanwhile.

    The other namespace is not entered: pyroute2 does so in a child process, which has the signal handlers of this one.
    """
    with IPRoute() as here:
        try:
            number = here.get_netnsid(pid=pid)["nsid"]
        except NetlinkError:
            return ()
        # Numbered is only what has a link to here.
        return tuple(
            sorted(
                link.get_attr("IFLA_IFNAME")
                for link in here.get_links()
                if link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") == "veth"
                and link.get_attr("IFLA_LINK_NETNSID") == number
            )
        )


#: Who finds tasks, by the monitor source that a host has where it has such tasks.
FINDERS: dict[str, Callable[[cfg.ConfigOpts], list[Place]]] = {
    "libvirt": guests,
    "docker": containers,
}
