# SPDX-License-Identifier: Apache-2.0
"""What we ask of Nova to move guests between hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get, get_if_there, send
from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.rpc import wire

#: From 2.68 on a live migration cannot be forced past the scheduler; one that is queued can be aborted since 2.65.
MICROVERSION = "2.68"
#: ``OS-EXT-STS:power_state`` of a guest that runs, that is paused, and that is shut down.
POWER_RUNNING, POWER_PAUSED, POWER_SHUTDOWN = 1, 3, 4
_ROLE = "the role admin, or policies of Nova that let the user migrate servers to a host"
_LONGEST = 255
_MOST = 1000
_MOST_HOSTS = 100_000
_COMPUTE = "nova-compute"


@dataclass(frozen=True, slots=True)
class Guest:
    """A server as Nova tells of it now.

    :param host: on which it is; empty when it has none.
    :param vm_state: ``OS-EXT-STS:vm_state``.
    :param task_state: ``OS-EXT-STS:task_state``; empty when nothing is done with it.
    :param power_state: what the hypervisor said of it last; 1 when it runs.
    :param fault: why it is in ``error``; empty where Nova does not say.
    """

    host: str
    vm_state: str
    task_state: str
    power_state: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class GuestMigration:
    """A migration of a guest that Nova remembers.

    :param number: its id, by which it is aborted; later ones have larger ones.
    :param target: host that it goes to; empty while none is chosen.
    :param uuid: by which it holds its claim.
    """

    number: int
    status: str
    target: str
    uuid: str


class NovaMoves:
    """Asks Nova to move guests; may be used by several threads at once.

    Each method raises :class:`~hybrid_sched.clients.session.ServiceFault` when Nova does not answer as it should.

    :param service: adapter that asks with :data:`MICROVERSION`.
    """

    def __init__(self, service: adapter.Adapter) -> None:
        self._service = service

    def guest(self, uuid: str) -> Guest | None:
        """Look at a server; None when it is deleted."""
        path = f"/servers/{uuid}"
        answer = get_if_there(self._service, path, role=_ROLE)
        if answer is None:
            return None
        try:
            return _guest(wire.mapping(answer.get("server"), "server"))
        except wire.BadMessage as bad:
            raise ServiceFault(f"GET {path} of compute: the answer cannot be used: {bad}") from None

    def migrations(self, uuid: str) -> list[GuestMigration]:
        """List what Nova remembers of a server's migrations, the newest first.

        Those under way alone where Nova has no list of all: where a guest is then tells how one has ended. None of a server
        that is deleted then.
        """
        path = "/os-migrations"
        answer = get_if_there(self._service, path, {"instance_uuid": uuid}, role=_ROLE)
        if answer is None:
            path = f"/servers/{uuid}/migrations"
            answer = get_if_there(self._service, path, role=_ROLE)
        if answer is None:
            return []
        try:
            entries = wire.sequence(answer.get("migrations"), "migrations", _MOST)
            read = [_migration(entry, f"migrations[{n}]") for n, entry in enumerate(entries)]
        except wire.BadMessage as bad:
            raise ServiceFault(f"GET {path} of compute: the answer cannot be used: {bad}") from None
        return sorted(read, key=lambda each: -each.number)

    def apart(self) -> list[frozenset[str]]:
        """List the members of each server group of which a host may have one at most (policy ``anti-affinity``)."""
        path = "/os-server-groups"
        groups: list[frozenset[str]] = []
        query = {"all_projects": "true", "limit": str(_MOST)}
        while True:
            answer = get(self._service, path, {**query, "offset": str(len(groups))}, role=_ROLE)
            try:
                entries = wire.sequence(answer.get("server_groups"), "server_groups", _MOST)
                groups += [_group(entry, f"server_groups[{n}]") for n, entry in enumerate(entries)]
            except wire.BadMessage as bad:
                raise ServiceFault(
                    f"GET {path} of compute: the answer cannot be used: {bad}"
                ) from None
            # Nova may give fewer at once than are asked for (``[api] max_limit``).
            if not entries:
                return [group for group in groups if len(group) > 1]

    def closed(self) -> dict[str, str]:
        """Tell the hosts whose nova-compute is disabled or down, with which of both as a phrase."""
        path = "/os-services"
        found: dict[str, str] = {}
        answer = get(self._service, path, {"binary": _COMPUTE}, role=_ROLE)
        try:
            for n, entry in enumerate(
                wire.sequence(answer.get("services"), "services", _MOST_HOSTS)
            ):
                fields = wire.mapping(entry, f"services[{n}]")
                host, status, state = (
                    wire.text(fields.get(key), f"services[{n}].{key}", _LONGEST)
                    for key in ("host", "status", "state")
                )
                if status != "enabled":
                    found[host] = f"its {_COMPUTE} is {status}"
                elif state != "up":
                    found[host] = f"its {_COMPUTE} is {state}"
        except wire.BadMessage as bad:
            raise ServiceFault(f"GET {path} of compute: the answer cannot be used: {bad}") from None
        return found

    def live_migrate(self, uuid: str, host: str) -> None:
        """Ask for a live migration to a host, which every filter of the scheduler has to let pass."""
        self._act(uuid, "os-migrateLive", {"host": host, "block_migration": "auto"})

    def abort(self, uuid: str, number: int) -> None:
        """Ask for a live migration to be given up."""
        path = f"/servers/{uuid}/migrations/{number}"
        send(self._service, "DELETE", path, role=_ROLE)

    def force_complete(self, uuid: str, number: int) -> None:
        """Let the hypervisor pause the guest, or copy memory after the switch, so that a live migration comes to its end."""
        path = f"/servers/{uuid}/migrations/{number}/action"
        send(self._service, "POST", path, body={"force_complete": None}, role=_ROLE)

    def migrate(self, uuid: str, host: str) -> None:
        """Ask for a cold migration to a host, which every filter of the scheduler has to let pass."""
        self._act(uuid, "migrate", {"host": host})

    def confirm(self, uuid: str) -> None:
        """Let a guest that was migrated cold stay where it is."""
        self._act(uuid, "confirmResize", None)

    def revert(self, uuid: str) -> None:
        """Take a guest that was migrated cold back."""
        self._act(uuid, "revertResize", None)

    def stop(self, uuid: str) -> None:
        """Let Nova know a guest as stopped."""
        self._act(uuid, "os-stop", None)

    def set_active(self, uuid: str) -> None:
        """Take a server out of ``error``."""
        self._act(uuid, "os-resetState", {"state": "active"})

    def _act(self, uuid: str, action: str, arguments: object) -> None:
        path = f"/servers/{uuid}/action"
        send(self._service, "POST", path, body={action: arguments}, role=_ROLE)


def nova_moves(conf: cfg.ConfigOpts) -> NovaMoves:
    """Make the client from the group ``[nova]``.

    :raises BadClientOption: when the options cannot be used, or no authentication is configured there.
    """
    service = adapter_of(conf, "nova", MICROVERSION)
    if service is None:
        raise BadClientOption(
            "[nova]: guests cannot be moved without authentication: set auth_type"
        )
    return NovaMoves(service)


def _guest(fields: Mapping[str, Any]) -> Guest:
    vm_state = wire.text(fields.get("OS-EXT-STS:vm_state"), "vm_state", _LONGEST)
    host, task_state = (
        str(fields.get(key) or "") for key in ("OS-EXT-SRV-ATTR:host", "OS-EXT-STS:task_state")
    )
    power = wire.integer(fields.get("OS-EXT-STS:power_state") or 0, "power_state", 0, _LONGEST)
    fault = wire.mapping(fields.get("fault") or {}, "fault")
    return Guest(host, vm_state, task_state, power, " ".join(str(fault.get("message", "")).split()))


def _group(entry: object, where: str) -> frozenset[str]:
    """Read the members of a server group; none where two of them may share a host."""
    fields = wire.mapping(entry, where)
    rules = wire.mapping(fields.get("rules") or {}, f"{where}.rules")
    if fields.get("policy") != "anti-affinity" or rules.get("max_server_per_host", 1) != 1:
        return frozenset()
    members = wire.sequence(fields.get("members"), f"{where}.members", wire.LARGEST)
    return frozenset(wire.text(each, f"{where}.members", _LONGEST) for each in members)


def _migration(entry: object, where: str) -> GuestMigration:
    fields = wire.mapping(entry, where)
    return GuestMigration(
        wire.integer(fields.get("id"), f"{where}.id", 0, wire.LARGEST),
        wire.text(fields.get("status"), f"{where}.status", _LONGEST),
        str(fields.get("dest_compute") or ""),
        wire.text(fields.get("uuid"), f"{where}.uuid", _LONGEST),
    )
