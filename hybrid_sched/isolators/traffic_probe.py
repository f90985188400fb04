# SPDX-License-Identifier: Apache-2.0
"""Whether this kernel has what traffic is held with, tried in a network namespace that nobody else sees."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from hybrid_sched.core.limits import Aspect
from hybrid_sched.interfaces.isolator import Ability, IsolationError
from hybrid_sched.isolators.shaping import Direction, meter_name
from hybrid_sched.isolators.traffic_control import Link, TrafficControl

_CLONE_NEWNET = 0x4000_0000
_RATE_BPS = 1_000_000
_NAME = meter_name("0" * 12, Direction.OUT)


def probe() -> Ability:
    """Try each thing once, in a thread whose network namespace is its own and ends with it.

    :raises IsolationError: when no such namespace can be made.
    """
    missing: dict[Aspect, str] = {}
    failed: list[OSError] = []

    def run() -> None:
        try:
            _leave_the_network()
            with IPRoute() as ipr:
                missing.update(_missing(ipr))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="traffic-probe")
    thread.start()
    thread.join()
    if failed:
        raise IsolationError(
            f"No network namespace can be made to try the kernel's traffic control in: {failed[0].strerror}. Run the agent "
            "as root, or leave traffic out of [agent] isolators."
        )
    return Ability(frozenset({Aspect.NET_IN, Aspect.NET_OUT} - missing.keys()), missing)


def _leave_the_network() -> None:
    """Give this thread, and no other, a network namespace with nothing but a loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _missing(ipr: Any) -> Mapping[Aspect, str]:
    control = TrafficControl(ipr)
    loopback = control.links["lo"]
    shaper = _try(lambda: control.shape(loopback, _RATE_BPS))
    if shaper is not None:
        said = (
            f"The kernel refuses an htb qdisc with a bfifo queue ({shaper}), with which rates are held: load the module "
            "sch_htb, or use a kernel with CONFIG_NET_SCH_HTB and CONFIG_NET_SCH_FIFO."
        )
        return {Aspect.NET_IN: said, Aspect.NET_OUT: said}
    meter = loopback

    def make() -> None:
        nonlocal meter
        meter = control.make_meter(_NAME, "probe")

    refused = _try(make)
    if refused is not None:
        return _no_sending(f"ifb devices ({refused})", "ifb", "CONFIG_IFB")
    refused = _try(lambda: _redirect(control, loopback, meter))
    if refused is not None:
        return _no_sending(
            f"an ingress qdisc with a u32 filter that redirects by mirred ({refused})",
            "sch_ingress, cls_u32 and act_mirred",
            "CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_U32 and CONFIG_NET_ACT_MIRRED",
        )
    return {}


def _redirect(control: TrafficControl, loopback: Link, meter: Link) -> None:
    control.redirect(loopback, Direction.OUT, meter)


def _no_sending(what: str, modules: str, options: str) -> Mapping[Aspect, str]:
    return {
        Aspect.NET_OUT: f"The kernel refuses {what}, through which goes what tasks send: load {modules}, or use a kernel with "
        f"{options}."
    }


def _try(step: Callable[[], None]) -> str | None:
    """Do a step; give the kernel's words when it refuses."""
    try:
        step()
    except NetlinkError as error:
        return os.strerror(error.code)
    return None
