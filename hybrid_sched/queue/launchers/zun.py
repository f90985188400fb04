# SPDX-License-Identifier: Apache-2.0
"""Queued containers become Zun containers, in the project of the credentials of ``[zun]`` or of a trust."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, cast

from keystoneauth1 import adapter
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, get, send
from hybrid_sched.clients.zun import NO_HOST
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

#: The newest of the oldest release that is supported; commands are arrays, a delete may stop first.
MICROVERSION = "1.40"
_ROLE = "a role that may use containers of the project, such as member"
_ADMINISTRATOR = "a role that may delete containers of all projects by force, such as admin"
_PATH = "/containers/"
_PAGE = 1000
_MOST_PAGES = 100
# Zun refreshes what a listing says once a minute; one that is asked for by itself is looked at on its host.
_ASKED_BY_THEMSELVES = 16
_DEFAULT_MEMORY_MB = 512
_PHASES = {
    "Creating": Phase.BUILDING,
    "Created": Phase.BUILDING,
    "Stopped": Phase.ENDED,
    "Error": Phase.FAILED,
    "Dead": Phase.FAILED,
    "Deleted": Phase.GONE,
}
_EXIT_CODE = re.compile(r"Exited\((-?\d+)\)")
# What zun-compute says when the room went between the scheduler's claim and its own.
_NO_ROOM = (NO_HOST, "Insufficient compute resources")


class ZunLauncher(Launcher):
    """Launch containers through Zun's API.

    :param service: adapter that asks with :data:`MICROVERSION`.
    :param administrator: the same in the name of an administrator, where ``service`` is none: it alone may delete by force.
    """

    def __init__(
        self, service: adapter.Adapter, administrator: adapter.Adapter | None = None
    ) -> None:
        self._service = service
        self._administrator = administrator
        # Running containers that were not asked for by themselves for the longest time come first.
        self._turn: list[str] = []

    def resolve(self, spec: Mapping[str, object]) -> Resources:
        """Give what Zun claims (whole cores, at least one, memory or Zun's default), with the rates that labels declare."""
        reading = declaration.of_container(
            spec.get("cpu") or 0,
            spec.get("memory_mb") or _DEFAULT_MEMORY_MB,
            cast(Mapping[str, object], spec.get("labels") or {}),
        )
        try:
            return reading.complete().resources
        except declaration.BadDeclaration as error:
            raise LaunchFault(f"{error}.", again=False) from None

    def find(self, task_uuid: str) -> list[Launched]:
        """List the project's containers with the task's label; their names may have been changed."""
        found = [each for each in self._listed() if each.key == task_uuid]
        return sorted(found, key=lambda each: (each.created_at_s, each.uuid))

    def launch(self, task: QueuedTask, host: str) -> str:
        """Run a container with the host as a scheduler hint."""
        spec = task.spec
        given = {
            "command": "command",
            "cpu": "cpu",
            "memory_mb": "memory",
            "disk_gb": "disk",
            "environment": "environment",
            "availability_zone": "availability_zone",
            "image_driver": "image_driver",
            "image_pull_policy": "image_pull_policy",
        }
        body: dict[str, Any] = {
            "name": task.name,
            "image": spec["image"],
            "labels": {**cast(Mapping[str, str], spec.get("labels", {})), TASK_KEY: task.uuid},
            **{theirs: spec[ours] for ours, theirs in given.items() if ours in spec},
        }
        if host:
            body["hints"] = {PLANNED_HOST_HINT: host}
        if "networks" in spec:
            networks = cast(Collection[str], spec["networks"])
            body["nets"] = [{"network": name} for name in networks]
        try:
            answer = send(self._service, "POST", _PATH, {"run": "true"}, body, role=_ROLE)
            return wire.text(wire.mapping(answer.json(), "container").get("uuid"), "uuid", 36)
        except ServiceFault as fault:
            _refuse(fault)
        except (ValueError, wire.BadMessage) as bad:
            raise CloudUnavailable(f"POST {_PATH} of container: {bad}.") from None

    def look(self, uuids: Collection[str]) -> Mapping[str, Launched]:
        """List the project's containers; those that have ended, and some that run, are asked for by themselves."""
        found = {
            each.uuid: each
            for each in self._listed()
            if each.uuid in uuids or (each.key and each.phase is not Phase.GONE)
        }
        running = {each.uuid for each in found.values() if each.phase is Phase.RUNNING}
        self._turn = [uuid for uuid in self._turn if uuid in running]
        self._turn += sorted(running - set(self._turn))
        asked, self._turn = self._turn[:_ASKED_BY_THEMSELVES], self._turn[_ASKED_BY_THEMSELVES:]
        self._turn += asked
        closer = {uuid for uuid in uuids if uuid not in found}
        closer |= {uuid for uuid in uuids if uuid in found and found[uuid].phase is Phase.ENDED}
        closer |= set(asked) & set(uuids)
        found.update({uuid: self._look_at(uuid) for uuid in sorted(closer)})
        return found

    def delete(self, uuid: str) -> None:
        """Stop and delete a container; by force where its state does not let it be stopped, which takes an administrator."""
        try:
            try:
                self._delete(uuid, {"stop": "true"})
            except ServiceFault as fault:
                if fault.status != 409:
                    raise
                self._delete_by_force(uuid)
        except ServiceFault as fault:
            if fault.status != 404:
                _refuse(fault)

    def _delete(self, uuid: str, params: Mapping[str, str]) -> None:
        send(self._service, "DELETE", f"{_PATH}{uuid}", params, role=_ROLE)

    def _delete_by_force(self, uuid: str) -> None:
        params = {"force": "true"}
        if self._administrator is None:
            self._delete(uuid, params)
        else:
            params["all_projects"] = "true"
            send(self._administrator, "DELETE", f"{_PATH}{uuid}", params, role=_ADMINISTRATOR)

    def _listed(self) -> list[Launched]:
        found: list[Launched] = []
        params = {"limit": str(_PAGE)}
        for _ in range(_MOST_PAGES):
            answer = self._get(_PATH, params)
            try:
                entries = wire.sequence(answer.get("containers"), "containers", _PAGE)
            except wire.BadMessage as bad:
                raise CloudUnavailable(f"GET {_PATH} of container: {bad}.") from None
            page = [_launched(entry) for entry in entries]
            found += page
            if not page or not answer.get("next"):
                return found
            params = {"limit": str(_PAGE), "marker": page[-1].uuid}
        raise CloudUnavailable(
            f"GET {_PATH} of container: there are more than {_MOST_PAGES} pages."
        )

    def _look_at(self, uuid: str) -> Launched:
        try:
            return _launched(get(self._service, f"{_PATH}{uuid}", role=_ROLE))
        except ServiceFault as fault:
            if fault.status == 404:
                return Launched(uuid, Phase.GONE)
            raise CloudUnavailable(f"{fault}.") from None

    def _get(self, path: str, params: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            return get(self._service, path, params, role=_ROLE)
        except ServiceFault as fault:
            raise CloudUnavailable(f"{fault}.") from None


def zun_launcher(conf: cfg.ConfigOpts, trust_id: str = "") -> ZunLauncher | None:
    """Make the launcher from the group ``[zun]``; None when no authentication is configured there.

    :param trust_id: of the trust by which the user of ``[trustee]`` launches in the name of another; empty for none.
    :raises BadClientOption: when the options cannot be used.
    """
    service = adapter_of(conf, "zun", MICROVERSION, trust_id=trust_id)
    if service is None:
        return None
    return ZunLauncher(service, adapter_of(conf, "zun", MICROVERSION) if trust_id else None)


def _launched(entry: object) -> Launched:
    try:
        fields = wire.mapping(entry, "container")
        uuid = wire.text(fields.get("uuid"), "container.uuid", 36)
        created = fields.get("created_at")
        created_at_s = 0.0 if created is None else wire.unix_time(created, "container.created_at")
        labels = wire.mapping(fields.get("labels") or {}, "container.labels")
    except wire.BadMessage as bad:
        raise CloudUnavailable(f"A container of Zun's answer cannot be read: {bad}.") from None
    phase = _PHASES.get(str(fields.get("status")), Phase.RUNNING)
    reason = " ".join(str(fields.get("status_reason") or "").split())
    if phase is Phase.FAILED and not reason:
        reason = f"Zun says {fields.get('status')} without a reason."
    code = _EXIT_CODE.match(str(fields.get("status_detail") or ""))
    return Launched(
        uuid=uuid,
        phase=phase,
        key=str(labels.get(TASK_KEY, "")),
        host=str(fields.get("host") or ""),
        created_at_s=created_at_s,
        exit_code=int(code.group(1)) if code and phase is Phase.ENDED else None,
        text=reason,
        no_room=phase is Phase.FAILED and reason.startswith(_NO_ROOM),
    )


def _refuse(fault: ServiceFault) -> NoReturn:
    status = fault.status or 0
    text = f"{fault}."
    if status == 401 or status >= 500 or not status:
        raise CloudUnavailable(text) from None
    no_room = status == 403 and "quota" in fault.said.lower()
    if no_room:
        text = f"Zun refused the container ({status}): {fault.said}"
    raise LaunchFault(text, again=status not in {400, 404}, no_room=no_room) from None
