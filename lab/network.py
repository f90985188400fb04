# SPDX-License-Identifier: Apache-2.0
"""Network namespaces and bridges. The machine's own network namespace is not touched."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path

from lab.layout import CONTROL_IP, DATA_GATEWAY_IP, NETNS, Host
from lab.processes import wait_until

_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000

#: Centiseconds for which a bridge remembers where an address is. Neutron's agents tell the bridges of a cloud what has moved;
#: here they forget it soon, as a container that is made again elsewhere sends nothing by itself.
AGEING_CS = "500"


def enter(name: str) -> None:
    """Move this process into a named network namespace; must be called before threads are made.

    :raises OSError: when the namespace is not there.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(_NAMESPACES / name, os.O_RDONLY)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), name)
    finally:
        os.close(descriptor)


def names() -> list[str]:
    """List the lab's namespaces that are there."""
    if not _NAMESPACES.exists():
        return []
    found = (path.name for path in _NAMESPACES.iterdir())
    return sorted(name for name in found if name == NETNS or name.startswith(f"{NETNS}-"))


def make_control() -> None:
    """Make the control plane's namespace with the two bridges, unless it is there."""
    if NETNS in names():
        return
    _ip("netns", "add", NETNS)
    _ip("-n", NETNS, "link", "set", "lo", "up")
    for bridge, address in (("mgmt", CONTROL_IP), ("data", DATA_GATEWAY_IP)):
        _ip("-n", NETNS, "link", "add", bridge, "type", "bridge", "ageing_time", AGEING_CS)
        _ip("-n", NETNS, "address", "add", f"{address}/24", "dev", bridge)
        _ip("-n", NETNS, "link", "set", bridge, "up")
    # Frames between the hosts pass the bridges, not a firewall; the setting is this namespace's own.
    setting = "net.bridge.bridge-nf-call-iptables=0"
    subprocess.run(
        ["ip", "netns", "exec", NETNS, "sysctl", "-q", "-w", setting],
        check=False,
        capture_output=True,
    )


def make_host(host: Host) -> None:
    """Make a host's namespace, joined to both bridges, unless it is there."""
    if host.netns in names():
        return
    _ip("netns", "add", host.netns)
    for bridge, end, inside in (
        ("mgmt", f"m{host.number}", "eth0"),
        ("data", f"d{host.number}", "data0"),
    ):
        _ip(
            "-n",
            NETNS,
            "link",
            "add",
            end,
            "type",
            "veth",
            "peer",
            "name",
            inside,
            "netns",
            host.netns,
        )
        _ip("-n", NETNS, "link", "set", end, "master", bridge, "up")
    _ip("-n", host.netns, "link", "set", "lo", "up")
    _ip("-n", host.netns, "address", "add", f"{host.ip}/24", "dev", "eth0")
    _ip("-n", host.netns, "link", "set", "eth0", "up")
    _ip("-n", host.netns, "link", "set", "data0", "up")


def remove(name: str) -> None:
    """Remove a namespace with its links; processes that are still in it are ended first."""
    subprocess.run(["ip", "netns", "delete", name], check=True, capture_output=True)


def end_processes(name: str) -> None:
    """End what still runs in a namespace of the lab: only the lab puts processes there."""

    def inside() -> list[int]:
        answer = subprocess.run(
            ["ip", "netns", "pids", name], check=False, capture_output=True, text=True
        )
        return [int(pid) for pid in answer.stdout.split() if int(pid) != os.getpid()]

    for pid in inside():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_until(lambda: not inside(), 10)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
