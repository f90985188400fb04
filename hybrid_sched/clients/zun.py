# SPDX-License-Identifier: Apache-2.0
"""What we read of Zun."""

from __future__ import annotations

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get
from hybrid_sched.core import declaration
from hybrid_sched.core.cluster import CONTAINER
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc import wire

#: The first: what a listing tells of containers does not depend on it.
MICROVERSION = "1.1"
#: What Zun writes of a container for which no host was found, whatever the reason.
NO_HOST = "There are not enough hosts available."
#: Containers of one answer, which is as many as Zun gives by default.
MOST_REFUSED = 1000
_ROLE = "the role admin, or policies of Zun that let the user list the containers of all projects"
_LONGEST_NAME = 255
# Zun's default; it writes the amount into each container that it makes with none.
_DEFAULT_MEMORY_MB = 512


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


def zun_client(conf: cfg.ConfigOpts) -> ZunClient | None:
    """Make the client from the group ``[zun]``; None when no authentication is configured there.

    :raises BadClientOption: when the options cannot be used.
    """
    service = adapter_of(conf, "zun", MICROVERSION)
    return None if service is None else ZunClient(service)


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
