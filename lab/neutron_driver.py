# SPDX-License-Identifier: Apache-2.0
"""A mechanism driver for the lab's one flat network on Linux bridges, without agents."""

from __future__ import annotations

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from sqlalchemy import orm


class BridgeDriver(api.MechanismDriver):
    """Bind ports of guests as taps, which a libvirt hook puts on the bridge, and those of containers as bridge ports.

    Nova no longer plugs into a Linux bridge itself; kuryr does.
    """

    def initialize(self) -> None:
        """Complete the models: Neutron uses relations that its first query would only then set up."""
        orm.configure_mappers()

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
