# SPDX-License-Identifier: Apache-2.0
"""The rates at which guests and containers receive and send, held by the kernel at the host's ends of their interfaces."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from oslo_config import cfg
from pyroute2.netlink.exceptions import NetlinkError

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import Ability, IsolationError, Isolator
from hybrid_sched.isolators import places
from hybrid_sched.isolators.shaping import LEAST_RATE_BPS, Direction, meter_name
from hybrid_sched.isolators.traffic_control import (
    Control,
    Link,
    TrafficControl,
    is_gone,
    opened,
)
from hybrid_sched.isolators.traffic_probe import probe

_DIRECTIONS = {Aspect.NET_IN: Direction.IN, Aspect.NET_OUT: Direction.OUT}
# Of others, such as a macvtap, the two directions are not those of a host's end.
_KINDS = frozenset({"veth", "tun"})


class TrafficIsolator(Isolator):
    """Rates of what tasks receive and send, over all interfaces of a task together.

    What it made is known by its numbers and names in the kernel alone, so it is found again after a restart. What somebody else
    made is never changed.
    """

    frameworks = frozenset({HYPERVISOR, CONTAINER})

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        # The host's ends that each task had when they were last asked for, for the limits that are set right after.
        self._ends: dict[str, tuple[str, ...]] = {}

    def ability(self) -> Ability:
        """Try the kernel, away from the host's network."""
        return probe()

    def read(self) -> Mapping[str, Limits]:
        """Read each task's rates from the kernel, and take away what is left of tasks that are gone."""
        self._find()
        with _kernel() as control:
            seen = {
                (link.name, direction): control.look(link, direction)
                for link in control.links.values()
                if link.kind in _KINDS
                for direction in Direction
            }
            self._tidy(control, seen)
            return {
                uuid: Limits(
                    net_in_bps=_together([seen.get((name, Direction.IN)) for name in there]),
                    net_out_bps=_together([seen.get((name, Direction.OUT)) for name in there]),
                )
                for uuid, names in self._ends.items()
                if (there := [name for name in names if name in control.links])
            }

    def hold(self, uuid: str, limits: Limits, aspects: Collection[Aspect]) -> None:
        """Set the rates at each of the task's interfaces that nobody else shapes."""
        if uuid not in self._ends:
            self._find()
        faults: list[str] = []
        with _kernel() as control:
            links = [
                control.links[name] for name in self._ends.get(uuid, ()) if name in control.links
            ]
            for aspect in sorted(_DIRECTIONS.keys() & set(aspects)):
                if links:
                    task = _Task(uuid, links, _DIRECTIONS[aspect])
                    faults += _hold(control, task, getattr(limits, aspect))
        if faults:
            raise IsolationError(" ".join(faults))

    def _find(self) -> None:
        """Ask where the tasks are, of all that can have some: what is of no task is taken away."""
        sources = self._conf.agent.sources
        found = [
            place
            for name, find in places.FINDERS.items()
            if name in sources
            for place in find(self._conf)
        ]
        self._ends = {each.uuid: each.interfaces for each in found}

    def _tidy(
        self, control: TrafficControl, seen: Mapping[tuple[str, Direction], Control | None]
    ) -> None:
        """Take away what is ours at interfaces of no task, then the meters to which no interface redirects."""
        owned = {name for names in self._ends.values() for name in names}
        used = set()
        for (name, direction), found in seen.items():
            if found is None or found.foreign:
                continue
            if name in owned:
                used.add(found.meter)
            else:
                control.release(control.links[name], direction)
        for name in control.meters.keys() - used:
            control.remove_meter(name)


class _Task:
    """One direction of a task.

    :param links: its interfaces that there are.
    """

    def __init__(self, uuid: str, links: Sequence[Link], direction: Direction) -> None:
        self.uuid = uuid
        self.links = links
        self.direction = direction
        self.meter = meter_name(uuid, direction)


def _hold(control: TrafficControl, task: _Task, rate_bps: int | None) -> list[str]:
    """Bring one direction of a task to a rate, or to none.

    :returns: a sentence for each interface where that cannot be.
    """
    controls = {
        link: control.look(link, task.direction) if link.kind in _KINDS else None
        for link in task.links
    }
    faults = []
    free = []
    for link, found in controls.items():
        if link.kind not in _KINDS:
            if rate_bps is not None:
                faults.append(
                    f"{link.name}, an interface of task {task.uuid}, is no tap and no end of a veth pair, so what the task "
                    f"{task.direction} is not held to {rate_bps} bytes/s there. Give the task a port of another kind."
                )
        elif found is not None and found.foreign:
            faults.append(_foreign(task, link, found, rate_bps))
        else:
            free.append(link)
    if rate_bps is not None and faults and _together(list(controls.values())) == rate_bps:
        # Somebody else holds it as it should be, such as libvirt what Nova had it hold.
        return []
    if rate_bps is not None and rate_bps < LEAST_RATE_BPS:
        faults.append(
            f"What task {task.uuid} {task.direction} is not held to {rate_bps} bytes/s: the kernel holds {LEAST_RATE_BPS} "
            "bytes/s at least. Declare more for the task, or less for the others of the host."
        )
        return faults
    try:
        _bring(control, task, free, rate_bps)
    except NetlinkError as error:
        if not is_gone(error):
            faults.append(
                f"The kernel does not hold what task {task.uuid} {task.direction} to {rate_bps} bytes/s at "
                f"{', '.join(link.name for link in free)}: {os.strerror(error.code)}. See what is there with `tc qdisc`."
            )
    return faults


def _bring(
    control: TrafficControl, task: _Task, links: Sequence[Link], rate_bps: int | None
) -> None:
    if rate_bps is None or not links:
        for link in links:
            control.release(link, task.direction)
        control.remove_meter(task.meter)
    elif task.direction is Direction.IN and len(links) == 1:
        # What goes out of one device can wait at that device.
        control.shape(links[0], rate_bps)
        control.remove_meter(task.meter)
    else:
        meter = control.make_meter(task.meter, f"What task {task.uuid} {task.direction}")
        control.shape(meter, rate_bps)
        for link in links:
            control.redirect(link, task.direction, meter)


def _foreign(task: _Task, link: Link, found: Control, rate_bps: int | None) -> str:
    lets = "" if found.rate_bps is None else f" and lets {found.rate_bps} bytes/s through"
    wanted = "not limited" if rate_bps is None else f"held to {rate_bps} bytes/s"
    return (
        f"What task {task.uuid} {task.direction} should be {wanted}, but {link.name} has {found.foreign} that somebody else "
        f"made{lets}: it is left alone. Take it away with `tc`, or what asks for it: <bandwidth> in libvirt, quota:vif_* in a "
        "flavor."
    )


def _together(controls: Sequence[Control | None]) -> int | None:
    """Give the rate of several interfaces together; None when one of them has none."""
    rates: dict[str, int] = {}
    for each in controls:
        if each is None or each.rate_bps is None:
            return None
        rates[each.meter] = each.rate_bps
    return sum(rates.values())


@contextlib.contextmanager
def _kernel() -> Iterator[TrafficControl]:
    """Look at the host's network, and tell of what cannot be done there in a sentence."""
    try:
        with opened() as control:
            yield control
    except NetlinkError as error:
        if error.code is not None and is_gone(error):
            reason = "a network device went away meanwhile; it is tried again"
        else:
            reason = (
                f"{os.strerror(error.code)}. Run the agent as root, in the host's network namespace"
            )
        raise IsolationError(
            f"The kernel's traffic control cannot be read or set: {reason}."
        ) from None
    except OSError as error:
        raise IsolationError(
            f"The kernel cannot be asked for its traffic control: {error}. Run the agent as root."
        ) from None
