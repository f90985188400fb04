# SPDX-License-Identifier: Apache-2.0
"""The kernel's traffic control on the host's ends of the interfaces of tasks: what is there, and what of it is ours."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.rtnl import TC_H_INGRESS, TC_H_ROOT
from pyroute2.netlink.rtnl.tcmsg import plugins, sched_pfifo

from hybrid_sched.isolators.shaping import (
    LARGEST_PACKET_BYTES,
    Direction,
    burst_bytes,
    is_meter_name,
    queue_bytes,
)

#: By these are those that we made told from others'. The kernel itself gives 0, or from 0x8001 on.
ROOT = 0x5C4E_0000
CLASS = ROOT | 1
LEAF = 0x5C4F_0000
PRIORITY = 0x5C4E
#: The kernel's own number of every ingress qdisc.
INGRESS = 0xFFFF_0000
#: What the kernel has to have.
SHAPER, QUEUE, REDIRECTING, METER_KIND = "htb", "bfifo", "u32", "ifb"
_ETH_P_ALL = 3
_EVERYTHING = "0x0/0x0+0"

# Missing in pyroute2: it has the options of its sibling, which counts packets.
plugins.setdefault(QUEUE, sched_pfifo)


@dataclass(frozen=True, slots=True)
class Link:
    """A network device.

    :param kind: its driver's name, such as ``veth``, ``tun`` (a tap) or ``ifb``; empty for others.
    """

    index: int
    name: str
    kind: str
    is_up: bool


@dataclass(frozen=True, slots=True)
class Control:
    """What controls one direction of a link.

    :param meter: name of the device where the rate is; links with the same have the rate together.
    :param rate_bps: bytes/s; None when it is not known, or what we made is not whole.
    :param foreign: what somebody else made, in words; empty when it is ours.
    """

    meter: str
    rate_bps: int | None
    foreign: str = ""


class TrafficControl:
    """What there was in this network namespace when it was made, and ways to change it.

    A rate is held by an ``htb`` qdisc with one class: at the root of the host's end for what the task receives, if that is its
    only interface, else at the root of a *meter*, an ``ifb`` device to which the host's ends redirect.

    :param ipr: an open connection to the kernel.
    """

    def __init__(self, ipr: Any) -> None:
        self._ipr = ipr
        links = [_link(message) for message in ipr.get_links()]
        self.links = {each.name: each for each in links}
        self._names = {each.index: each.name for each in links}
        self._qdiscs = {(each["index"], each["parent"]): each for each in ipr.get_qdiscs()}

    def look(self, link: Link, direction: Direction) -> Control | None:
        """See what controls one direction of a link; None when nothing does but the kernel's default."""
        return self._received(link) if direction is Direction.IN else self._sent(link)

    @property
    def meters(self) -> dict[str, Link]:
        """Give those of the meters that there are, by name."""
        return {
            name: link
            for name, link in self.links.items()
            if link.kind == METER_KIND and is_meter_name(name)
        }

    def shape(self, link: Link, rate_bps: int) -> None:
        """Hold what goes out of a link to a rate, in place of the kernel's default or of what we made before.

        :param rate_bps: bytes/s, :data:`.shaping.LEAST_RATE_BPS` at least.
        """
        if self._has_our_root(link):
            # With a filter that redirects, nothing would come to the class.
            self._remove_filter(link, ROOT)
        else:
            self._add_root(link)
        burst = burst_bytes(rate_bps)
        self._ipr.tc(
            "replace-class",
            SHAPER,
            link.index,
            handle=CLASS,
            parent=ROOT,
            rate=rate_bps,
            burst=burst,
            cburst=burst,
            # Of use between classes only; without it the kernel warns of what it works out.
            quantum=LARGEST_PACKET_BYTES,
        )
        self._ipr.tc(
            "replace", QUEUE, link.index, handle=LEAF, parent=CLASS, limit=queue_bytes(rate_bps)
        )

    def make_meter(self, name: str, alias: str) -> Link:
        """Make a meter, or take the one that there is.

        :param alias: what ``ip link`` shows beside the name.
        """
        if name not in self.links:
            self._ipr.link("add", ifname=name, kind=METER_KIND)
            index = self._ipr.link_lookup(ifname=name)[0]
            self.links[name] = Link(index, name, METER_KIND, is_up=False)
            self._names[index] = name
        meter = self.links[name]
        if not meter.is_up:
            self._ipr.link("set", index=meter.index, state="up", ifalias=alias)
        return meter

    def redirect(self, link: Link, direction: Direction, meter: Link) -> None:
        """Send one direction of a link through a meter, from which it comes back to where it was going."""
        control = self.look(link, direction)
        if control is not None and control.meter == meter.name:
            return
        if direction is Direction.OUT:
            parent = INGRESS
            if (link.index, TC_H_INGRESS) not in self._qdiscs:
                self._ipr.tc("add", "ingress", link.index)
        else:
            parent = ROOT
            if not self._has_our_root(link):
                self._add_root(link)
            elif self._class_rate(link, CLASS) is not None:
                # What comes back from the meter would be held again.
                self._ipr.tc("del-class", index=link.index, handle=CLASS, parent=ROOT)
        self._remove_filter(link, parent)
        self._ipr.tc(
            "add-filter",
            REDIRECTING,
            link.index,
            parent=parent,
            prio=PRIORITY,
            protocol=_ETH_P_ALL,
            target=0,
            keys=[_EVERYTHING],
            action={
                "kind": "mirred",
                "direction": "egress",
                "action": "redirect",
                "ifindex": meter.index,
            },
        )

    def release(self, link: Link, direction: Direction) -> None:
        """Remove what is ours from one direction of a link; the kernel puts its default back."""
        if direction is Direction.IN:
            if self._has_our_root(link):
                self._ipr.tc("del", index=link.index, handle=ROOT, parent=TC_H_ROOT)
            return
        if self._qdisc_kind(link, TC_H_INGRESS) != "ingress":
            return
        filters = self._filters(link, INGRESS)
        ours = [each for each in filters if _priority(each) == PRIORITY]
        if ours and len(ours) == len(filters):
            self._ipr.tc("del", index=link.index, handle=INGRESS, parent=TC_H_INGRESS)
        elif ours:
            # Somebody put others beside it.
            self._remove_filter(link, INGRESS)

    def remove_meter(self, name: str) -> None:
        """Remove a meter, if there is one, to which nothing redirects any more."""
        if name in self.meters:
            self._ipr.link("del", index=self.links.pop(name).index)

    def _received(self, link: Link) -> Control | None:
        root = self._qdiscs.get((link.index, TC_H_ROOT))
        if root is None or not root["handle"] or self._has_no_queue(link):
            return None
        if not self._has_our_root(link):
            kind = root.get_attr("TCA_KIND")
            said = f"the qdisc {kind} {root['handle'] >> 16:x}: at its root"
            return Control(link.name, self._foreign_rate(link, root), said)
        rate_bps = self._class_rate(link, CLASS)
        if rate_bps is not None:
            return Control(link.name, rate_bps)
        return self._metered(self._filters(link, ROOT)) or Control(link.name, None)

    def _sent(self, link: Link) -> Control | None:
        kind = self._qdisc_kind(link, TC_H_INGRESS)
        if kind is None:
            return None
        filters = self._filters(link, INGRESS)
        if kind == "ingress":
            # One without filters does nothing, so it is as good as none.
            control = self._metered(filters)
            if control is not None or not filters:
                return control
        return Control(link.name, _policed_rate(filters), f"the qdisc {kind} with its filters")

    def _metered(self, filters: Iterable[Any]) -> Control | None:
        """Follow a filter of ours to its meter; None when there is none of ours."""
        ours = [each for each in filters if _priority(each) == PRIORITY]
        if not ours:
            return None
        targets = [target for each in ours if (target := _redirected_to(each)) is not None]
        meter = self.meters.get(self._names.get(targets[0], "")) if targets else None
        if meter is None:
            return Control("", None)
        return Control(meter.name, self._class_rate(meter, CLASS) if meter.is_up else None)

    def _has_our_root(self, link: Link) -> bool:
        root = self._qdiscs.get((link.index, TC_H_ROOT))
        return root is not None and root["handle"] == ROOT

    def _has_no_queue(self, link: Link) -> bool:
        """Tell whether somebody took the queue away, as libvirt does with its taps: what is not there need not be kept."""
        return self._qdisc_kind(link, TC_H_ROOT) == "noqueue"

    def _add_root(self, link: Link) -> None:
        # What somebody else has made meanwhile is no more replaced than what was there before.
        command = "replace" if self._has_no_queue(link) else "add"
        self._ipr.tc(command, SHAPER, link.index, handle=ROOT, default=CLASS & 0xFFFF)

    def _qdisc_kind(self, link: Link, parent: int) -> str | None:
        qdisc = self._qdiscs.get((link.index, parent))
        return None if qdisc is None else str(qdisc.get_attr("TCA_KIND"))

    def _filters(self, link: Link, parent: int) -> list[Any]:
        return list(self._ipr.get_filters(index=link.index, parent=parent))

    def _remove_filter(self, link: Link, parent: int) -> None:
        if any(_priority(each) == PRIORITY for each in self._filters(link, parent)):
            self._ipr.tc(
                "del-filter",
                REDIRECTING,
                link.index,
                parent=parent,
                prio=PRIORITY,
                protocol=_ETH_P_ALL,
                target=0,
            )

    def _class_rate(self, link: Link, handle: int) -> int | None:
        """Read the rate of a class that borrows from no other; None when there is no such."""
        for each in self._ipr.get_classes(index=link.index):
            if each["handle"] == handle and each["parent"] == TC_H_ROOT:
                options = each.get_attr("TCA_OPTIONS")
                wide = options.get_attr("TCA_HTB_RATE64")
                return int(wide or options.get_attr("TCA_HTB_PARMS")["rate"])
        return None

    def _foreign_rate(self, link: Link, root: Any) -> int | None:
        """Read what others' root qdisc lets through, if it is of a kind that has one rate."""
        match root.get_attr("TCA_KIND"):
            case "htb":
                default = root.get_attr("TCA_OPTIONS").get_attr("TCA_HTB_INIT")["defcls"]
                return self._class_rate(link, root["handle"] | default)
            case "tbf":
                return int(root.get_attr("TCA_OPTIONS").get_attr("TCA_TBF_PARMS")["rate"])
        return None


@contextlib.contextmanager
def opened() -> Iterator[TrafficControl]:
    """Look at this network namespace.

    :raises OSError: pyroute2's ``NetlinkError`` is not one, and comes as it is.
    """
    with IPRoute() as ipr:
        yield TrafficControl(ipr)


def is_gone(error: NetlinkError) -> bool:
    """Tell whether a device went away while it was worked at."""
    return error.code in {errno.ENODEV, errno.ENXIO}


def _link(message: Any) -> Link:
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") or "",
        is_up=bool(message["flags"] & 1),
    )


def _priority(message: Any) -> int:
    return int(message["info"] >> 16)


def _redirected_to(message: Any) -> int | None:
    """Give the number of the device to which a filter redirects."""
    parms = message.get_nested(
        "TCA_OPTIONS", "TCA_U32_ACT", "TCA_ACT_PRIO_1", "TCA_ACT_OPTIONS", "TCA_MIRRED_PARMS"
    )
    return None if parms is None else int(parms["ifindex"])


def _policed_rate(filters: Iterable[Any]) -> int | None:
    """Read what others' filters let through, if it is one policer of everything, as libvirt makes it."""
    rates = []
    for each in filters:
        selector = each.get_nested("TCA_OPTIONS", "TCA_U32_SEL")
        if selector is None:
            # The head of the filters of one priority, or of a hash table.
            continue
        police = each.get_nested("TCA_OPTIONS", "TCA_U32_POLICE", "TCA_POLICE_TBF")
        if police is None or any(key["key_mask"] for key in selector["keys"]):
            return None
        rates.append(int(police["rate"]))
    return rates[0] if len(rates) == 1 else None
