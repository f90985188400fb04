# SPDX-License-Identifier: Apache-2.0
"""What we ask of Neutron: ports that outlive the containers which use them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get, send
from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.rpc import wire

_ROLE = "the role admin, since ports of other projects are made and unbound"
_PATH = "/v2.0/ports"
_MOST = 1000


class NeutronPorts:
    """Reads and changes ports; may be used by several threads at once.

    Each method raises :class:`~hybrid_sched.clients.session.ServiceFault` when Neutron does not answer as it should.

    :param service: adapter of the network service.
    """

    def __init__(self, service: adapter.Adapter) -> None:
        self._service = service

    def port(self, uuid: str) -> Mapping[str, Any] | None:
        """Look at a port; None when there is none."""
        found = self._list(_PATH, "ports", {"id": uuid})
        return found[0] if found else None

    def named(self, name: str) -> Mapping[str, Any] | None:
        """Find a port by its name; None when there is none."""
        found = self._list(_PATH, "ports", {"name": name})
        return found[0] if found else None

    def has_floating_address(self, uuid: str) -> bool:
        """Say whether a floating IP leads to a port."""
        try:
            return bool(self._list("/v2.0/floatingips", "floatingips", {"port_id": uuid}))
        except ServiceFault as fault:
            if fault.status == HTTPStatus.NOT_FOUND:  # a Neutron without routers
                return False
            raise

    def create(self, fields: Mapping[str, Any]) -> str:
        """Make a port.

        :returns: its uuid.
        """
        answer = send(self._service, "POST", _PATH, body={"port": dict(fields)}, role=_ROLE)
        try:
            port = wire.mapping(wire.mapping(answer.json(), "answer").get("port"), "port")
            return wire.text(port.get("id"), "port.id", 36)
        except (ValueError, wire.BadMessage) as bad:
            raise ServiceFault(f"POST {_PATH} of network: {bad}") from None

    def unbind(self, uuid: str) -> None:
        """Let a port belong to nothing, so that a container can have it."""
        fields = {"device_id": "", "device_owner": "", "binding:host_id": ""}
        send(self._service, "PUT", f"{_PATH}/{uuid}", body={"port": fields}, role=_ROLE)

    def delete(self, uuid: str) -> None:
        """Delete a port; one that is gone already is no fault."""
        try:
            send(self._service, "DELETE", f"{_PATH}/{uuid}", role=_ROLE)
        except ServiceFault as fault:
            if fault.status != HTTPStatus.NOT_FOUND:
                raise

    def _list(self, path: str, name: str, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        answer = get(self._service, path, params, role=_ROLE)
        try:
            entries = wire.sequence(answer.get(name), name, _MOST)
            return [wire.mapping(entry, f"{name}[{n}]") for n, entry in enumerate(entries)]
        except wire.BadMessage as bad:
            raise ServiceFault(f"GET {path} of network: the answer cannot be used: {bad}") from None


def neutron_ports(conf: cfg.ConfigOpts) -> NeutronPorts:
    """Make the client from the group ``[neutron]``.

    :raises BadClientOption: when the options cannot be used, or no authentication is configured there.
    """
    service = adapter_of(conf, "neutron")
    if service is None:
        raise BadClientOption(
            "[neutron]: containers cannot keep their addresses without authentication: set auth_type"
        )
    return NeutronPorts(service)
