# SPDX-License-Identifier: Apache-2.0
"""A mechanism driver for the lab's one flat network on Linux bridges, without agents."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from sqlalchemy import orm

from lab.layout import DHCP_FOLDER


class BridgeDriver(api.MechanismDriver):
    """Bind ports of guests as taps, which a libvirt hook puts on the bridge, and those of containers as bridge ports.

    Nova no longer plugs into a Linux bridge itself; kuryr does. dnsmasq is told of each port, as Neutron's DHCP agent would.
    """

    def initialize(self) -> None:
        """Complete the models: Neutron uses relations that its first query would only then set up."""
        orm.configure_mappers()
        self._dhcp = Path(os.environ[DHCP_FOLDER])
        self._lock = threading.Lock()

    @property
    def connectivity(self) -> str:
        """The network joins its ports at layer 2."""
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context: api.PortContext) -> None:
        """Bind on the flat segment."""
        of_container = (context.current.get("device_owner") or "").endswith("kuryr")
        vif_type = portbindings.VIF_TYPE_BRIDGE if of_container else portbindings.VIF_TYPE_TAP
        details = {
            portbindings.CAP_PORT_FILTER: False,
            portbindings.VIF_DETAILS_CONNECTIVITY: portbindings.CONNECTIVITY_L2,
        }
        for segment in context.segments_to_bind:
            if segment[api.NETWORK_TYPE] == "flat":
                context.set_binding(
                    segment[api.ID], vif_type, details, status=constants.PORT_STATUS_ACTIVE
                )
                return

    def create_port_postcommit(self, context: api.PortContext) -> None:
        """Let the port have its address by DHCP."""
        self._tell_dhcp(added=context.current)

    def update_port_postcommit(self, context: api.PortContext) -> None:
        """Let the port have its new address by DHCP."""
        self._tell_dhcp(removed=context.original, added=context.current)

    def delete_port_postcommit(self, context: api.PortContext) -> None:
        """Take the address back, so that another port can have it."""
        self._tell_dhcp(removed=context.current)

    def _tell_dhcp(
        self, removed: dict[str, object] | None = None, added: dict[str, object] | None = None
    ) -> None:
        """Bring dnsmasq's table of hosts up to date."""
        hosts = self._dhcp / "hosts"
        gone, come = _lease(removed), _lease(added)
        if gone == come:
            return
        with self._lock:
            lines = hosts.read_text().splitlines() if hosts.exists() else []
            lines = [line for line in lines if line not in {gone, come}]
            hosts.write_text("".join(f"{line}\n" for line in [*lines, come] if line))
            os.kill(int((self._dhcp / "dnsmasq.pid").read_text()), signal.SIGHUP)
        if gone:
            mac, address = gone.split(",")
            subprocess.run(["dhcp_release", "data", address, mac], check=False)


def _lease(port: dict[str, object] | None) -> str:
    """Write a port as a line of dnsmasq's table; empty for one without an address."""
    addresses = port["fixed_ips"] if port else None
    if port is None or not isinstance(addresses, list) or not addresses:
        return ""
    return f"{port['mac_address']},{addresses[0]['ip_address']}"
