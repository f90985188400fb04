# SPDX-License-Identifier: Apache-2.0
"""What we read of Nova."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get, get_if_there
from hybrid_sched.core import declaration
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.doctor.facts import Hypervisor, Service
from hybrid_sched.core.pools import Aggregate
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import wire

#: The first with which flavors come with their extra specs (Queens).
MICROVERSION = "2.61"
#: The first with which what is in a cell that does not answer is listed, as UNKNOWN, and not left out.
_CELLS_MICROVERSION = "2.69"
#: Statuses of a migration that is not over, in the order in which one goes through them. Nova filters by one at a time.
STATUSES = (
    "accepted",
    "pre-migrating",
    "queued",
    "preparing",
    "running",
    "running (post-copy)",
    "migrating",
    "post-migrating",
    "finished",
    "confirming",
    "reverting",
)
#: How the fault of a server begins for which no host was found; it goes on with the reason.
NO_HOST = "No valid host was found."
#: Servers of one answer, which is as many as Nova gives by default.
MOST_REFUSED = 1000
_ROLE = "the role admin, or a policy of Nova that lets the user list them"
_HOST = "OS-EXT-SRV-ATTR:host"
_LONGEST_NAME = 255
_MOST = 100_000
_MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Migration:
    """A guest on its way to another host, or to another size.

    :param uuid: its own; it is the consumer of the claim of the source.
    :param instance_uuid: of the guest.
    :param source: host that is left, where Nova tells hosts.
    :param target: host that is gone to, where it is chosen and Nova tells hosts.
    :param status: one of :data:`STATUSES`.
    """

    uuid: str
    instance_uuid: str
    source: str | None
    target: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Flavor:
    """A size of guests.

    :param name: of it.
    :param uuid: its identifier, which operators may choose.
    :param reading: what a guest of it declares.
    """

    name: str
    uuid: str
    reading: declaration.Reading


_Entry = TypeVar("_Entry")


class NovaClient:
    """Reads Nova; may be used by several threads at once.

    :param service: adapter that asks with :data:`MICROVERSION`.
    """

    def __init__(self, service: adapter.Adapter) -> None:
        self._service = service

    def aggregates(self) -> tuple[Aggregate, ...]:
        """List the host aggregates.

        :raises ServiceFault: when Nova does not answer as it should.
        """
        path = "/os-aggregates"
        answer = get(self._service, path, role=_ROLE)
        try:
            entries = wire.sequence(answer.get("aggregates"), "aggregates", _MOST)
            return tuple(
                _aggregate(entry, f"aggregates[{index}]") for index, entry in enumerate(entries)
            )
        except wire.BadMessage as fault:
            raise _bad_answer(path, fault) from None

    def flavors(self) -> tuple[Flavor, ...]:
        """List the flavors, those that are not public included.

        :raises ServiceFault: when Nova does not answer as it should.
        """
        found = self._pages("/flavors/detail", "flavors", {"is_public": "None"}, _flavor, _uuid_of)
        return tuple(found)

    def hypervisors(self) -> tuple[Hypervisor, ...]:
        """List the compute nodes.

        :raises ServiceFault: when Nova does not answer as it should.
        """
        found = self._pages("/os-hypervisors/detail", "hypervisors", {}, _hypervisor, _uuid_of)
        return tuple(found)

    def services(self) -> tuple[Service, ...]:
        """List the services that Nova keeps a record of.

        :raises ServiceFault: when Nova does not answer as it should, or one of its cells does not answer.
        """
        path = "/os-services"
        answer = get(self._service, path, role=_ROLE, microversion=_CELLS_MICROVERSION)
        try:
            entries = wire.sequence(answer.get("services"), "services", _MOST)
            read = [_service(entry, f"services[{index}]") for index, entry in enumerate(entries)]
        except wire.BadMessage as fault:
            raise _bad_answer(path, fault) from None
        if unknown := [service.host for service, answers in read if not answers]:
            raise ServiceFault(
                f"GET {path} of compute: the cell of {', '.join(unknown[:3])} does not answer, so what is in it is not told"
            )
        return tuple(service for service, _ in read)

    def server_uuids(self) -> frozenset[str]:
        """List the servers of all projects; those that can still be restored after they were deleted are left out.

        :raises ServiceFault: when Nova does not answer as it should.
        """
        found = self._pages("/servers", "servers", {"all_tenants": "true"}, _id, str)
        return frozenset(found)

    def has_server(self, uuid: str) -> bool:
        """Say whether there is a server, also one that was deleted and can be restored, or is in a cell that does not answer.

        :raises ServiceFault: when Nova does not answer as it should.
        """
        path = f"/servers/{uuid}"
        found = get_if_there(self._service, path, role=_ROLE, microversion=_CELLS_MICROVERSION)
        return found is not None

    def ended_migrations(self) -> frozenset[str]:
        """List the uuids of all migrations that are over and that Nova remembers.

        :raises ServiceFault: when Nova does not answer as it should.
        """
        found = self._pages("/os-migrations", "migrations", {}, _migration, _uuid_of)
        return frozenset(each.uuid for each in found if each.status not in STATUSES)

    def migrations_in_progress(self) -> tuple[Migration, ...]:
        """List the migrations that are not over.

        One that goes on while it is asked for is seen all the same, since its statuses are asked for in its own order.

        :raises ServiceFault: when Nova does not answer as it should.
        """
        found = {
            migration.uuid: migration
            for status in STATUSES
            for migration in self._migrations(status)
        }
        return tuple(found.values())

    def refused_guests(self, since_s: float) -> tuple[Request, ...]:
        """List the guests for which no host was found, the newest :data:`MOST_REFUSED` at most.

        Guests that are deleted, and those that have a host and found no other one, are left out.

        :param since_s: Unix time; those that were refused before are left out.
        :raises ServiceFault: when Nova does not answer as it should.
        """
        path = "/servers/detail"
        params = {
            "all_tenants": "true",
            "status": "ERROR",
            # Nova lists deleted ones too then, but without their fault.
            "changes-since": datetime.fromtimestamp(since_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "limit": str(MOST_REFUSED),
        }
        answer = get(self._service, path, params, role=_ROLE)
        try:
            entries = wire.sequence(answer.get("servers"), "servers", _MOST)
            read = [_refused(entry, f"servers[{n}]", since_s) for n, entry in enumerate(entries)]
        except wire.BadMessage as fault:
            raise _bad_answer(path, fault) from None
        return tuple(request for request in read if request is not None)

    def _migrations(self, status: str) -> list[Migration]:
        return self._pages("/os-migrations", "migrations", {"status": status}, _migration, _uuid_of)

    def _pages(
        self,
        path: str,
        name: str,
        params: dict[str, str],
        read: Callable[[object, str], _Entry],
        marker_of: Callable[[_Entry], str],
    ) -> list[_Entry]:
        """Read a listing page by page.

        :param name: of the listing in the answer.
        :param read: reads one entry, named for its faults.
        :param marker_of: the marker after which the next page begins.
        """
        found: list[_Entry] = []
        asked = dict(params)
        for _ in range(_MOST_PAGES):
            answer = get(self._service, path, asked, role=_ROLE)
            try:
                entries = wire.sequence(answer.get(name), name, _MOST)
                page = [read(entry, f"{name}[{index}]") for index, entry in enumerate(entries)]
                links = f"{name}_links"
                is_last = not wire.sequence(answer.get(links, []), links, _MOST)
            except wire.BadMessage as fault:
                raise _bad_answer(path, fault) from None
            found += page
            if is_last or not page:
                return found
            asked = {**params, "marker": marker_of(page[-1])}
        kind = f" are {params['status']}" if "status" in params else ""
        raise ServiceFault(f"GET {path} of compute: more than {_MOST_PAGES} pages{kind}")


def nova_client(conf: cfg.ConfigOpts) -> NovaClient | None:
    """Make the client from the group ``[nova]``; None when no authentication is configured there.

    :raises BadClientOption: when the options cannot be used.
    """
    service = adapter_of(conf, "nova", MICROVERSION)
    return None if service is None else NovaClient(service)


def _aggregate(entry: object, where: str) -> Aggregate:
    fields = wire.mapping(entry, where)
    metadata = wire.mapping(fields.get("metadata"), f"{where}.metadata")
    hosts = wire.sequence(fields.get("hosts"), f"{where}.hosts", _MOST)
    return Aggregate(
        name=wire.text(fields.get("name"), f"{where}.name", _LONGEST_NAME),
        availability_zone=_text_or_none(
            fields.get("availability_zone"), f"{where}.availability_zone"
        ),
        hosts=tuple(wire.text(host, f"{where}.hosts", _LONGEST_NAME) for host in hosts),
        metadata={
            name: _string(value, f"{where}.metadata.{name[:64]}")
            for name, value in metadata.items()
        },
    )


def _flavor(entry: object, where: str) -> Flavor:
    fields = wire.mapping(entry, where)
    name, uuid = (_string(fields.get(key), f"{where}.{key}") for key in ("name", "id"))
    vcpu, memory_mb = (
        wire.integer(fields.get(key), f"{where}.{key}", 0, wire.LARGEST) for key in ("vcpus", "ram")
    )
    # Nova leaves them out for users whom its policy keeps from them.
    extra_specs = wire.mapping(fields.get("extra_specs") or {}, f"{where}.extra_specs")
    return Flavor(name, uuid, declaration.of_flavor(vcpu, memory_mb, extra_specs))


def _hypervisor(entry: object, where: str) -> Hypervisor:
    fields = wire.mapping(entry, where)
    service = wire.mapping(fields.get("service"), f"{where}.service")
    uuid, name = (
        wire.text(fields.get(key), f"{where}.{key}", _LONGEST_NAME)
        for key in ("id", "hypervisor_hostname")
    )
    vcpus, memory_mb, version = (
        wire.integer(fields.get(key), f"{where}.{key}", 0, wire.LARGEST)
        for key in ("vcpus", "memory_mb", "hypervisor_version")
    )
    host = wire.text(service.get("host"), f"{where}.service.host", _LONGEST_NAME)
    return Hypervisor(uuid, name, host, vcpus, memory_mb, version)


def _service(entry: object, where: str) -> tuple[Service, bool]:
    """Read a service, and whether its cell answers."""
    fields = wire.mapping(entry, where)
    binary, host, status = (
        wire.text(fields.get(key), f"{where}.{key}", _LONGEST_NAME)
        for key in ("binary", "host", "status")
    )
    return Service(binary, host), status != "UNKNOWN"


def _id(entry: object, where: str) -> str:
    return wire.text(wire.mapping(entry, where).get("id"), f"{where}.id", _LONGEST_NAME)


def _uuid_of(entry: Flavor | Hypervisor | Migration) -> str:
    return entry.uuid


def _migration(entry: object, where: str) -> Migration:
    fields = wire.mapping(entry, where)
    uuid, instance_uuid, status = (
        wire.text(fields.get(key), f"{where}.{key}", _LONGEST_NAME)
        for key in ("uuid", "instance_uuid", "status")
    )
    source, target = (
        _text_or_none(fields.get(key), f"{where}.{key}")
        for key in ("source_compute", "dest_compute")
    )
    return Migration(uuid, instance_uuid, source, target, status)


def _refused(entry: object, where: str, since_s: float) -> Request | None:
    """Read one server; None when something else is wrong with it or its declaration, or it was refused before."""
    fields = wire.mapping(entry, where)
    if fields.get("fault") is None:
        return None
    fault = wire.mapping(fields["fault"], f"{where}.fault")
    if not _string(fault.get("message"), f"{where}.fault.message").startswith(NO_HOST):
        return None
    # The server may have changed since; told in whole seconds.
    refused_at_s = wire.unix_time(fault.get("created"), f"{where}.fault.created")
    host = _text_or_none(fields.get(_HOST), f"{where}.{_HOST}")
    if refused_at_s < int(since_s) or host is not None:
        return None
    flavor = wire.mapping(fields.get("flavor"), f"{where}.flavor")
    vcpu, memory_mb = (
        wire.integer(flavor.get(key), f"{where}.flavor.{key}", 0, wire.LARGEST)
        for key in ("vcpus", "ram")
    )
    # Nova leaves them out for users whom its policy keeps from them.
    extra_specs = wire.mapping(flavor.get("extra_specs") or {}, f"{where}.flavor.extra_specs")
    reading = declaration.of_flavor(vcpu, memory_mb, extra_specs)
    if reading.faults:
        return None
    return Request(
        uuid=wire.text(fields.get("id"), f"{where}.id", _LONGEST_NAME),
        framework=HYPERVISOR,
        demand=reading.declaration.resources,
    )


def _text_or_none(value: object, where: str) -> str | None:
    return None if value is None else wire.text(value, where, _LONGEST_NAME)


def _string(value: object, where: str) -> str:
    """Take whatever operators wrote for others: it is no fault that we could not print it."""
    if not isinstance(value, str):
        raise wire.BadMessage(f"{where}: is not a string")
    return value


def _bad_answer(path: str, fault: wire.BadMessage) -> ServiceFault:
    return ServiceFault(f"GET {path} of compute: the answer cannot be used: {fault}")
