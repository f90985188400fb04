# SPDX-License-Identifier: Apache-2.0
"""What we read of Zun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get
from hybrid_sched.core import declaration
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.doctor.facts import KnownContainer
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import wire

#: The first: what a listing tells of containers does not depend on it.
MICROVERSION = "1.1"
#: What Zun writes of a container for which no host was found, whatever the reason.
NO_HOST = "There are not enough hosts available."
#: Containers of one answer, which is as many as Zun gives by default.
MOST_REFUSED = 1000
#: The first with hosts.
_HOSTS_MICROVERSION = "1.4"
#: The first that tells which containers are inside a capsule.
_CAPSULES_MICROVERSION = "1.32"
_ROLE = "the role admin, or policies of Zun that let the user list the containers of all projects"
_LONGEST_NAME = 255
_PAGE = 1000
_MOST_PAGES = 100
# Zun's default; it writes the amount into each container that it makes with none.
_DEFAULT_MEMORY_MB = 512


_Entry = TypeVar("_Entry")


class ZunClient:
    """Reads Zun; may be used by several threads at once.

    :param service: adapter that asks with :data:`MICROVERSION`.
    """

    def __init__(self, service: adapter.Adapter) -> None:
        self._service = service

    def refused_containers(self, since_s: float) -> tuple[Request, ...]:
        """List the containers for which no host was found, the newest :data:`MOST_REFUSED` at most.

        :param since_s: Unix time; those that were refused before are left out.
        :raises ServiceFault: when Zun does not answer as it should.
        """
        path = "/containers/"
        params = {
            "all_projects": "true",
            "status": "Error",
            "sort_key": "updated_at",
            "sort_dir": "desc",
            "limit": str(MOST_REFUSED),
        }
        answer = get(self._service, path, params, role=_ROLE)
        try:
            entries = wire.sequence(answer.get("containers"), "containers", MOST_REFUSED)
            read = [_refused(entry, f"containers[{n}]", since_s) for n, entry in enumerate(entries)]
        except wire.BadMessage as fault:
            raise ServiceFault(
                f"GET {path} of container: the answer cannot be used: {fault}"
            ) from None
        return tuple(request for request in read if request is not None)

    def hosts(self) -> tuple[str, ...]:
        """List the names of the hosts that zun-compute has told of.

        :raises ServiceFault: when Zun does not answer as it should.
        """
        found = self._pages("/hosts", "hosts", {}, _host, _HOSTS_MICROVERSION)
        return tuple(name for _, name in found)

    def containers(self) -> dict[str, KnownContainer]:
        """List the containers of all projects by uuid; those inside capsules are left out.

        :raises ServiceFault: when Zun does not answer as it should.
        """
        params = {"all_projects": "true", "sort_key": "id"}
        return dict(self._pages("/containers/", "containers", params, _container))

    def capsules(self) -> tuple[dict[str, KnownContainer], frozenset[str]]:
        """List the capsules of all projects by uuid, and the uuids of the containers inside them.

        :raises ServiceFault: when Zun does not answer as it should.
        """
        params = {"all_projects": "true", "sort_key": "id"}
        found = self._pages("/capsules/", "capsules", params, _capsule, _CAPSULES_MICROVERSION)
        members = frozenset(member for _, (_, inside) in found for member in inside)
        return {uuid: capsule for uuid, (capsule, _) in found}, members

    def _pages(
        self,
        path: str,
        name: str,
        params: dict[str, str],
        read: Callable[[object, str], tuple[str, _Entry]],
        microversion: str | None = None,
    ) -> list[tuple[str, _Entry]]:
        """Read a listing page by page.

        :param read: reads one entry, named for its faults; gives its uuid, too.
        """
        found: list[tuple[str, _Entry]] = []
        asked = {**params, "limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            answer = get(self._service, path, asked, role=_ROLE, microversion=microversion)
            try:
                entries = wire.sequence(answer.get(name), name, _PAGE)
                found += [read(entry, f"{name}[{index}]") for index, entry in enumerate(entries)]
            except wire.BadMessage as fault:
                raise ServiceFault(
                    f"GET {path} of container: the answer cannot be used: {fault}"
                ) from None
            # Zun gives fewer than were asked for where an operator set a lower limit, but then tells of a next page.
            if not entries or not answer.get("next"):
                return found
            asked["marker"] = found[-1][0]
        raise ServiceFault(f"GET {path} of container: there are more than {_MOST_PAGES} pages")


def zun_client(conf: cfg.ConfigOpts) -> ZunClient | None:
    """Make the client from the group ``[zun]``; None when no authentication is configured there.

    :raises BadClientOption: when the options cannot be used.
    """
    service = adapter_of(conf, "zun", MICROVERSION)
    return None if service is None else ZunClient(service)


def _host(entry: object, where: str) -> tuple[str, str]:
    fields = wire.mapping(entry, where)
    return _uuid(fields, where), wire.text(
        fields.get("hostname"), f"{where}.hostname", _LONGEST_NAME
    )


def _container(entry: object, where: str) -> tuple[str, KnownContainer]:
    fields = wire.mapping(entry, where)
    uuid = _uuid(fields, where)
    status, host = fields.get("status"), fields.get("host")
    return uuid, KnownContainer(
        uuid,
        "" if status is None else wire.text(status, f"{where}.status", _LONGEST_NAME),
        None if not host else wire.text(host, f"{where}.host", _LONGEST_NAME),
    )


def _capsule(entry: object, where: str) -> tuple[str, tuple[KnownContainer, list[str]]]:
    uuid, capsule = _container(entry, where)
    fields = wire.mapping(entry, where)
    inside = [
        _uuid(wire.mapping(member, f"{where}.{name}[{index}]"), f"{where}.{name}[{index}]")
        for name in ("containers", "init_containers")
        for index, member in enumerate(
            wire.sequence(fields.get(name) or [], f"{where}.{name}", _PAGE)
        )
    ]
    return uuid, (capsule, inside)


def _uuid(fields: Mapping[str, object], where: str) -> str:
    return wire.text(fields.get("uuid"), f"{where}.uuid", _LONGEST_NAME)


def _refused(entry: object, where: str, since_s: float) -> Request | None:
    """Read one container; None when something else is wrong with it or its declaration, or it was refused before."""
    fields = wire.mapping(entry, where)
    if fields.get("status_reason") != NO_HOST or fields.get("host") is not None:
        return None
    # Told in whole seconds.
    if wire.unix_time(fields.get("updated_at"), f"{where}.updated_at") < int(since_s):
        return None
    cpu = fields.get("cpu")
    cores = 0.0 if cpu is None else wire.measure(cpu, f"{where}.cpu")
    memory_mb = _memory_mb(fields.get("memory"), f"{where}.memory")
    labels = wire.mapping(fields.get("labels") or {}, f"{where}.labels")
    reading = declaration.of_container(cores, memory_mb, labels)
    if reading.faults:
        return None
    return Request(
        uuid=wire.text(fields.get("uuid"), f"{where}.uuid", _LONGEST_NAME),
        framework=CONTAINER,
        demand=reading.declaration.resources,
    )


def _memory_mb(value: object, where: str) -> int:
    """Read the memory, which Zun writes as a string, and as ``"None"`` where it was asked for none by name."""
    if value in (None, "", "None"):
        return _DEFAULT_MEMORY_MB
    written = wire.text(value, where, _LONGEST_NAME)
    if not (written.isascii() and written.isdigit()) or int(written) >= wire.LARGEST:
        raise wire.BadMessage(f"{where}: {written[:60]!r} is not a whole number of MiB")
    return int(written)
