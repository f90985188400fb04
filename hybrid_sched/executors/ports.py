# SPDX-License-Identifier: Apache-2.0
"""Ports by which a relocated container keeps its addresses.

Zun deletes the port that it has made when a network is taken from a container, and unbinds one that was given to it. So a
container whose port is Zun's gets one of its own in the place of it, with the same addresses, which stays with it from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hybrid_sched.clients.neutron import NeutronPorts
from hybrid_sched.core.relocation import NotMovable
from hybrid_sched.executors.stepping import Refused, asking

#: How the names of ports begin that were made for containers; the uuid of the move and a number follow.
PREFIX = "hybrid-sched-"
#: What of a port goes over to the one in the place of it, where Neutron tells it.
_SAME = ("mac_address", "security_groups", "allowed_address_pairs", "port_security_enabled")


class KeptPorts:
    """Records ports, and sees to it that they are there and belong to nothing.

    :param neutron: how Neutron is asked.
    """

    def __init__(self, neutron: NeutronPorts) -> None:
        self._neutron = neutron

    def recorded(self, container: Mapping[str, Any], move: str) -> list[dict[str, Any]]:
        """Give all that is needed to make the ports of a container again, in the order of its networks.

        :param container: as Zun tells of it.
        :param move: uuid of the move, which is in the names of ports that are made.
        :raises NotMovable: when an address would be lost.
        """
        found = []
        for number, (network, addresses) in enumerate((container.get("addresses") or {}).items()):
            uuid = next((each.get("port") for each in addresses), None)
            port = None if uuid is None else self._neutron.port(uuid)
            if uuid is None or port is None:
                raise NotMovable(
                    f"Container {container.get('uuid')} cannot be relocated: Neutron has no port of it in network {network}."
                )
            stays = all(each.get("preserve_on_delete") for each in addresses)
            if not stays and self._neutron.has_floating_address(uuid):
                raise NotMovable(
                    f"Container {container.get('uuid')} cannot be relocated: a floating IP leads to its port {uuid}, which Zun "
                    "deletes with it. Make a port of its own for it."
                )
            fixed = [
                {key: each[key] for key in ("subnet_id", "ip_address")}
                for each in port.get("fixed_ips") or ()
            ]
            same = {key: port[key] for key in _SAME if port.get(key) is not None}
            name = str(port.get("name") or "") if stays else f"{PREFIX}{move}-{number}"
            found.append(
                {
                    "network": network,
                    "id": uuid,
                    "name": name,
                    "fields": {**same, "fixed_ips": fixed},
                }
            )
        return found

    def kept(
        self,
        recorded: Mapping[str, Any],
        project: str,
        *,
        at_any_address: bool = False,
        anew: bool = False,
    ) -> dict[str, Any]:
        """See to it that a port is there and belongs to nothing.

        :param recorded: by :meth:`recorded`, or what this gave before.
        :param project: whose it is.
        :param at_any_address: whether another address is better than none, when somebody else has taken it.
        :param anew: whether it is to be another one than before, since a host that is down will unbind that one when it is
            back.
        :returns: what is to be recorded of it from now on.
        :raises Refused: when the address is taken.
        """
        port = self._neutron.port(recorded["id"])
        if port is None and recorded["name"]:
            # It may have been made by an engine that was killed before it could say so.
            port = self._neutron.named(recorded["name"])
        if port is not None and anew:
            self._neutron.delete(str(port["id"]))
            port = None
        if port is not None:
            if port.get("device_id") or port.get("binding:host_id"):
                self._neutron.unbind(str(port["id"]))
            return {**recorded, "id": str(port["id"])}
        wanted = {
            "network_id": recorded["network"],
            "project_id": project,
            "name": recorded["name"],
            **recorded["fields"],
        }
        try:
            with asking():
                return {**recorded, "id": self._neutron.create(wanted)}
        except Refused:
            if not at_any_address:
                raise
        wanted = {key: wanted[key] for key in wanted if key not in {"fixed_ips", "mac_address"}}
        return {**recorded, "id": self._neutron.create(wanted)}

    def given_up(self, recorded: Sequence[Mapping[str, Any]]) -> None:
        """Delete the ports that were made for a container which is no more."""
        for each in recorded:
            if each["name"].startswith(PREFIX):
                self._neutron.delete(each["id"])
