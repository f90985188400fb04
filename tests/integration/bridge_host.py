# SPDX-License-Identifier: Apache-2.0
"""A host with a bridge, and the isolator of rates on it; tasks and a far machine are network namespaces."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from typing import Any

import namespaces
import pytest
from namespaces import Namespace
from oslo_config import cfg
from pyroute2 import IPRoute, netns
from throughput import Stream, measure

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.limits import Limits
from hybrid_sched.isolators import places
from hybrid_sched.isolators.places import Place
from hybrid_sched.isolators.traffic import TrafficIsolator


def rates(bps: int) -> Limits:
    """Give the same limit of both directions."""
    return Limits(net_in_bps=bps, net_out_bps=bps)


def carried(rate_bps: int, *streams: Stream) -> float:
    """Measure streams together, again when it is too little: a busy machine takes away, and never adds."""
    for _ in range(3):
        total_bps = sum(measure(*streams))
        if total_bps > 0.9 * rate_bps:
            break
    return total_bps


class Host:
    """A host with a bridge, in a namespace that this thread is in; tasks and a far machine are namespaces on its bridge."""

    def __init__(self, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stack = stack
        self.namespace = stack.enter_context(Namespace("host"))
        netns.pushns(self.namespace.name)
        stack.callback(netns.popns)
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("link", "set", "br0", "up")
        self.far = self.attach("far", "up0", "10.9.0.9/24")
        self.tasks: dict[str, tuple[str, ...]] = {}
        self.conf = cfg.ConfigOpts()
        self.conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        self.conf([], default_config_files=[])
        self.conf.set_override("sources", ["libvirt"], group="agent")
        monkeypatch.setitem(places.FINDERS, "libvirt", self._guests)
        self.isolator = self.restarted()

    def restarted(self) -> TrafficIsolator:
        """Give an isolator that knows nothing yet."""
        return TrafficIsolator(self.conf)

    def attach(self, label: str, link: str, address: str) -> Namespace:
        """Make a namespace with an ``eth0`` whose other end is a link of the bridge."""
        made = self._stack.enter_context(Namespace(label))
        self.plug(made.name, link, "eth0", address)
        return made

    def plug(self, where: str, link: str, inner: str, address: str) -> None:
        """Make an interface in a namespace, or of a process, with a link of the bridge as its other end."""
        self.ip(
            *("link", "add", link, "type", "veth", "peer", "name", inner),
            *("netns", where),
        )
        self.ip("link", "set", "dev", link, "master", "br0", "up")
        if not where.isdigit():
            namespaces.ip("-n", where, "address", "add", address, "dev", inner)
            namespaces.ip("-n", where, "link", "set", inner, "up")

    def plug_process(self, pid: int, link: str, address: str) -> list[str]:
        """Make the ``eth0`` of a process that has a network namespace of its own.

        :returns: words before a command that is to run there.
        """
        self.plug(str(pid), link, "eth0", "")
        inside = ["nsenter", f"--net=/proc/{pid}/ns/net"]
        with IPRoute(netns=f"/proc/{pid}/ns/net") as ipr:
            index = ipr.link_lookup(ifname="eth0")[0]
            ipr.addr("add", index=index, address=address, prefixlen=24)
            ipr.link("set", index=index, state="up")
        return inside

    def ip(self, *arguments: str) -> Any:
        said = namespaces.ip("-n", self.namespace.name, "-json", *arguments)
        return json.loads(said) if said.strip() else None

    def links(self) -> set[str]:
        return {each["ifname"] for each in self.ip("link", "show")}

    def qdiscs(self) -> dict[str, set[tuple[str, int]]]:
        """Give kind and number of each qdisc of each link."""
        with IPRoute() as ipr:
            names = {each["index"]: each.get_attr("IFLA_IFNAME") for each in ipr.get_links()}
            found: dict[str, set[tuple[str, int]]] = {name: set() for name in names.values()}
            for each in ipr.get_qdiscs():
                found[names[each["index"]]].add((each.get_attr("TCA_KIND"), each["handle"] >> 16))
        return found

    def tc(self, *arguments: Any, **options: Any) -> None:
        """Do with a link, the second argument, what somebody else might."""
        command, kind, link = arguments
        with IPRoute() as ipr:
            ipr.tc(command, kind, ipr.link_lookup(ifname=link)[0], **options)

    def filter_priorities(self, link: str) -> set[int]:
        """Give the priorities of the filters on what comes in at a link."""
        with IPRoute() as ipr:
            index = ipr.link_lookup(ifname=link)[0]
            filters = ipr.get_filters(index=index, parent=0xFFFF_0000)
            return {each["info"] >> 16 for each in filters}

    def into(self, task: Namespace, address: str = "10.9.0.1") -> Stream:
        return Stream(self.far.prefix, task.prefix, address)

    def out_of(self, task: Namespace) -> Stream:
        return Stream(task.prefix, self.far.prefix, "10.9.0.9")

    def _guests(self, _conf: cfg.ConfigOpts) -> list[Place]:
        return [
            Place(uuid, HYPERVISOR, os.getpid(), "", links) for uuid, links in self.tasks.items()
        ]
