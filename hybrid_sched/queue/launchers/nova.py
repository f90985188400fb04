# SPDX-License-Identifier: Apache-2.0
"""Queued guests become Nova servers, in the project of the credentials of ``[nova]`` or of a trust."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import openstack
from keystoneauth1 import exceptions as auth_exceptions
from openstack import exceptions
from oslo_config import cfg

from hybrid_sched.clients.nova import NO_HOST
from hybrid_sched.clients.session import session_of
from hybrid_sched.core import declaration
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.steering import PLANNED_HOST_HINT, TASK_KEY
from hybrid_sched.interfaces.launcher import (
    CloudUnavailable,
    Launched,
    Launcher,
    LaunchFault,
    Phase,
)
from hybrid_sched.rpc import wire

#: Flavors are told with their extra specs from here on; a cell that is down is not told as servers of unknown status yet.
MICROVERSION = "2.61"
_PHASES = {
    "BUILD": Phase.BUILDING,
    "SHUTOFF": Phase.ENDED,
    "ERROR": Phase.FAILED,
    "DELETED": Phase.GONE,
    "SOFT_DELETED": Phase.GONE,
}
_SERVICES = {"flavor": "compute", "image": "image", "network": "network"}
_TOO_MUCH = (403, 413)


class NovaLauncher(Launcher):
    """Launch servers with openstacksdk.

    :param connect: signs in; what it gives asks compute with :data:`MICROVERSION`.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._cloud = connect()
        # Of flavors, images and networks by kind and name, for one round.
        self._ids: dict[tuple[str, str], str] = {}

    def resolve(self, spec: Mapping[str, object]) -> Resources:
        """Read what the flavor declares, with the amounts by which its extra specs override it (``resources:CLASS``)."""
        _check_zone(spec)
        name = str(spec["flavor"])
        flavor = self._find("flavor", name, get_extra_specs=True)
        extra: Mapping[str, str] = flavor.extra_specs or {}
        try:
            pinned = extra.get("hw:cpu_policy") in {"dedicated", "mixed"}
            vcpu = int(extra.get("resources:VCPU", 0 if pinned else flavor.vcpus))
            # A mixed guest has as many CPUs as a dedicated one, and both kinds count.
            vcpu += int(extra.get("resources:PCPU", flavor.vcpus if pinned else 0))
            memory_mb = int(extra.get("resources:MEMORY_MB", flavor.ram))
        except ValueError:
            raise LaunchFault(
                f"flavor: {name!r} has resources: extra specs that are no whole numbers; an operator must correct it.",
                again=False,
            ) from None
        try:
            declared = declaration.of_flavor(flavor.vcpus, flavor.ram, extra).complete().resources
        except declaration.BadDeclaration as error:
            raise LaunchFault(_sentence(f"flavor: {name!r}: {error}"), again=False) from None
        return declared._replace(vcpu=vcpu, memory_mb=memory_mb)

    def find(self, task_uuid: str) -> list[Launched]:
        """List the project's servers with the task's key; their names may have been changed."""
        found = [each for each in self.look(()).values() if each.key == task_uuid]
        return sorted(found, key=lambda each: (each.created_at_s, each.uuid))

    def launch(self, task: QueuedTask, host: str) -> str:
        """Create a server with the host as a scheduler hint."""
        spec = task.spec
        _check_zone(spec)
        body: dict[str, Any] = {
            "name": task.name,
            "flavor_id": self._id_of("flavor", spec["flavor"]),
            "image_id": self._id_of("image", spec["image"]),
            "networks": self._networks(spec.get("networks", "auto")),
            "metadata": {**cast(Mapping[str, str], spec.get("metadata", {})), TASK_KEY: task.uuid},
        }
        if host:
            body["scheduler_hints"] = {PLANNED_HOST_HINT: host}
        for name in ("key_name", "availability_zone"):
            if name in spec:
                body[name] = spec[name]
        if "user_data" in spec:
            body["user_data"] = base64.b64encode(str(spec["user_data"]).encode()).decode()
        if "security_groups" in spec:
            groups = cast(Collection[str], spec["security_groups"])
            body["security_groups"] = [{"name": name} for name in groups]
        with self._asking("the server"):
            return str(self._cloud.compute.create_server(**body).id)

    def look(self, uuids: Collection[str]) -> Mapping[str, Launched]:
        """List the project's servers; one that the listing does not have is asked for by itself."""
        self._ids.clear()
        with self._asking("the servers"):
            seen = {server.id: _launched(server) for server in self._cloud.compute.servers()}
        found = {
            each.uuid: each
            for each in seen.values()
            if each.uuid in uuids or (each.key and each.phase is not Phase.GONE)
        }
        # Pages are read one after another, so that what is not in them need not be gone.
        found.update({uuid: self._look_at(uuid) for uuid in uuids if uuid not in found})
        return found

    def delete(self, uuid: str) -> None:
        """Delete a server."""
        with self._asking("the server"):
            self._cloud.compute.delete_server(uuid, ignore_missing=True)

    def _look_at(self, server_uuid: str) -> Launched:
        try:
            with self._asking("the server"):
                return _launched(self._cloud.compute.get_server(server_uuid))
        except LaunchFault as fault:
            if isinstance(fault.__cause__, exceptions.NotFoundException):
                return Launched(server_uuid, Phase.GONE)
            raise CloudUnavailable(str(fault)) from None

    def _networks(self, networks: object) -> str | list[dict[str, str]]:
        if isinstance(networks, str):
            return networks
        names = cast(Collection[str], networks)
        return [{"uuid": self._id_of("network", name)} for name in names] or "none"

    def _id_of(self, kind: str, name: object) -> str:
        """Give the id of what is named, which may be the id itself."""
        named = str(name)
        if kind != "flavor" and _is_uuid(named):
            return named
        key = kind, named
        if key not in self._ids:
            self._ids[key] = str(self._find(kind, named).id)
        return self._ids[key]

    def _find(self, kind: str, name: str, **options: object) -> Any:
        with self._asking(f"the {kind}"):
            find = getattr(getattr(self._cloud, _SERVICES[kind]), f"find_{kind}")
            try:
                return find(name, ignore_missing=False, **options)
            except exceptions.NotFoundException:
                raise LaunchFault(
                    f"{kind}: there is no {kind} {name!r} for this project: name another one.",
                    again=False,
                ) from None

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Tell what a request was refused for from a service that does not answer."""
        with _faults(what):
            try:
                yield
            except exceptions.ServiceDisabledException:
                # A connection that met a catalog without the service never asks for it again.
                self._cloud = self._connect()
                raise


def nova_launcher(conf: cfg.ConfigOpts, trust_id: str = "") -> NovaLauncher | None:
    """Make the launcher from the group ``[nova]``; None when no authentication is configured there.

    :param trust_id: of the trust by which the user of ``[trustee]`` launches in the name of another; empty for none.
    :raises BadClientOption: when the options cannot be used.
    """
    session = session_of(conf, "trustee" if trust_id else "nova", trust_id=trust_id)
    if session is None:
        return None
    options = conf.nova

    def connect() -> openstack.connection.Connection:
        # The catalog comes with the token: one from before the service was registered would stay in use until it expires.
        session.invalidate()
        return openstack.connection.Connection(
            session=session,
            region_name=options.region_name,
            interface=options.valid_interfaces,
            compute_endpoint_override=options.endpoint_override,
            compute_default_microversion=MICROVERSION,
            app_name="hybrid-sched-engine",
        )

    return NovaLauncher(connect)


def _launched(server: Any) -> Launched:
    fault = server.fault or {}
    text = " ".join(str(fault.get("message") or "").split())
    phase = _PHASES.get(server.status, Phase.RUNNING)
    if phase is Phase.FAILED and not text:
        text = "Nova set the server to ERROR without a reason."
    try:
        created_at_s = wire.unix_time(server.created_at, "created")
    except wire.BadMessage as bad:
        raise CloudUnavailable(f"Server {server.id} cannot be read: {bad}.") from None
    return Launched(
        uuid=str(server.id),
        phase=phase,
        key=str((server.metadata or {}).get(TASK_KEY, "")),
        host=server.compute_host or "",
        created_at_s=created_at_s,
        text=_sentence(text),
        no_room=phase is Phase.FAILED and text.startswith(NO_HOST),
    )


@contextmanager
def _faults(what: str) -> Iterator[None]:
    """Tell what a request was refused for from a service that does not answer."""
    try:
        yield
    except exceptions.HttpException as error:
        status = error.status_code or 0
        text = _sentence(f"Nova refused {what} ({status}): {error.details or error.message}")
        if status == 401 or status >= 500 or not status:
            raise CloudUnavailable(text) from None
        no_room = status in _TOO_MUCH and "quota" in text.lower()
        raise LaunchFault(text, again=status not in {400, 404}, no_room=no_room) from error
    except exceptions.DuplicateResource as error:
        raise LaunchFault(_sentence(f"{what}: {error}"), again=False) from None
    except (exceptions.SDKException, auth_exceptions.ClientException) as error:
        raise CloudUnavailable(_sentence(f"Nova cannot be asked for {what}: {error}")) from None


def _check_zone(spec: Mapping[str, object]) -> None:
    if ":" in str(spec.get("availability_zone", "")):
        # Nova would let such a server past every filter, the share gate among them.
        raise LaunchFault(
            "availability_zone: a host is named with it: name the zone alone.", again=False
        )


def _is_uuid(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    text = text if len(text) <= 500 else f"{text[:497]}..."
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."
