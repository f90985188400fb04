# SPDX-License-Identifier: Apache-2.0
"""What we ask of Zun to bring a container to another host: each in the project of the container."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get, get_if_there, send
from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.rpc import wire

#: With an entrypoint, and with a host that is asked for (1.39).
MICROVERSION = "1.40"
_ROLE = "the role admin in the project of the container, since Zun starts and stops those of the own project only"
_PATH = "/containers/"
_PAGE = 1000
_MOST_PAGES = 100


class ZunMoves:
    """Asks Zun to stop, make, start and delete containers; may be used by several threads at once.

    Each method raises :class:`~hybrid_sched.clients.session.ServiceFault` when Zun does not answer as it should.

    :param service_in: gives the adapter that acts in a project, or in that of the options for None.
    """

    def __init__(self, service_in: Callable[[str | None], adapter.Adapter]) -> None:
        self._service_in = service_in
        self._services: dict[str | None, adapter.Adapter] = {}

    def container(self, uuid: str, project: str | None = None) -> Mapping[str, Any] | None:
        """Look at a container on its host; None when it is deleted.

        :param project: of it; None when it is not known yet.
        """
        params = {"all_projects": "true"} if project is None else {}
        return get_if_there(self._in(project), f"{_PATH}{uuid}", params, role=_ROLE)

    def labelled(self, project: str, label: str, value: str) -> list[str]:
        """List the uuids of a project's containers that have a label."""
        found: list[str] = []
        params = {"limit": str(_PAGE), "sort_key": "id"}
        for _ in range(_MOST_PAGES):
            answer = get(self._in(project), _PATH, params, role=_ROLE)
            try:
                entries = wire.sequence(answer.get("containers"), "containers", _PAGE)
                page = [wire.mapping(entry, "container") for entry in entries]
                uuids = [wire.text(each.get("uuid"), "container.uuid", 36) for each in page]
                found += [
                    uuid
                    for uuid, each in zip(uuids, page, strict=True)
                    if (each.get("labels") or {}).get(label) == value
                ]
            except wire.BadMessage as bad:
                raise ServiceFault(f"GET {_PATH} of container: {bad}") from None
            if not page or not answer.get("next"):
                return found
            params["marker"] = uuids[-1]
        raise ServiceFault(f"GET {_PATH} of container: there are more than {_MOST_PAGES} pages")

    def create(self, project: str, body: Mapping[str, Any]) -> None:
        """Make a container, which is not started.

        :param body: with the host that every filter of the scheduler has to let pass.
        """
        self._send(project, "POST", _PATH, {"run": "false"}, dict(body))

    def start(self, project: str, uuid: str) -> None:
        """Start a container."""
        self._send(project, "POST", f"{_PATH}{uuid}/start")

    def stop(self, project: str, uuid: str, grace_s: int) -> None:
        """Stop a container.

        :param grace_s: seconds in which it may end by itself.
        """
        self._send(project, "POST", f"{_PATH}{uuid}/stop", {"timeout": str(grace_s)})

    def detach(self, project: str, uuid: str, network: str) -> None:
        """Take a network from a container. Zun deletes the port if it has made it."""
        self._send(project, "POST", f"{_PATH}{uuid}/network_detach", {"network": network})

    def attach(self, project: str, uuid: str, port: str) -> None:
        """Give a container a port, which belongs to nothing."""
        self._send(project, "POST", f"{_PATH}{uuid}/network_attach", {"port": port})

    def delete(self, project: str, uuid: str, *, even_running: bool = False) -> None:
        """Delete a container; one that is gone already is no fault.

        :param even_running: whether it may be running, or in a state in which it can only be deleted by force.
        """
        path = f"{_PATH}{uuid}"
        try:
            try:
                self._send(project, "DELETE", path, {"stop": "true"} if even_running else {})
            except ServiceFault as fault:
                if fault.status != HTTPStatus.CONFLICT or not even_running:
                    raise
                self._send(project, "DELETE", path, {"force": "true"})
        except ServiceFault as fault:
            if fault.status != HTTPStatus.NOT_FOUND:
                raise

    def host_is_down(self, host: str) -> bool:
        """Say whether Zun has not heard of the zun-compute of a host for a while."""
        answer = get(self._in(None), "/services", role=_ROLE)
        try:
            entries = wire.sequence(answer.get("services"), "services", _PAGE)
            services = [wire.mapping(entry, "service") for entry in entries]
        except wire.BadMessage as bad:
            raise ServiceFault(f"GET /services of container: {bad}") from None
        return any(each.get("host") == host and each.get("state") == "down" for each in services)

    def _send(
        self,
        project: str,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: object = None,
    ) -> None:
        send(self._in(project), method, path, params, body, role=_ROLE)

    def _in(self, project: str | None) -> adapter.Adapter:
        if project not in self._services:
            self._services[project] = self._service_in(project)
        return self._services[project]


def zun_moves(conf: cfg.ConfigOpts) -> ZunMoves:
    """Make the client from the group ``[zun]``.

    :raises BadClientOption: when the options cannot be used, or no authentication is configured there.
    """

    def service_in(project: str | None) -> adapter.Adapter:
        service = adapter_of(conf, "zun", MICROVERSION, project)
        if service is None:
            raise BadClientOption(
                "[zun]: containers cannot be relocated without authentication: set auth_type"
            )
        return service

    moves = ZunMoves(service_in)
    service_in(None)
    return moves
