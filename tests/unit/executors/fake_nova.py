# SPDX-License-Identifier: Apache-2.0
"""The part of Nova's API that moves guests, over HTTP. What was asked goes on by one stage each time it is let."""

from __future__ import annotations

import re
from typing import Any

import requests_mock
from keystoneauth1 import adapter, session, token_endpoint

from hybrid_sched.clients.nova_moves import MICROVERSION, NovaMoves

SOURCE, TARGET = "host-1", "host-2"
_ABORTABLE = {"queued", "preparing", "running"}


class FakeNova:
    """Keeps guests and their migrations.

    :ivar ends: how a move ends: ``completed``, ``error`` (the guest is left as it was), ``ERROR`` (and Nova says that it is
        broken), or ``never``.
    """

    def __init__(self, wire: requests_mock.Mocker) -> None:
        self.guests: dict[str, dict[str, Any]] = {}
        self.migrations: list[dict[str, Any]] = []
        self.asked: list[Any] = []
        self.ends = "completed"
        self.lost = ""
        #: Whether it lists all migrations, and not those under way alone.
        self.lists_all = True
        #: Whether it lets nobody look at a guest.
        self.refuses = False
        self.aims: dict[str, str] = {}
        root = "http://compute"
        #: Server groups, as Nova keeps them.
        self.groups: list[dict[str, Any]] = []
        #: ``[api] max_limit``.
        self.max_limit = 1000
        wire.get(f"{root}/os-migrations", json=self._list)
        wire.get(f"{root}/os-server-groups", json=self._list_groups)
        wire.get(re.compile(rf"^{root}/servers/[^/]+/migrations$"), json=self._list_under_way)
        wire.get(re.compile(rf"^{root}/servers/[^/]+$"), json=self._show)
        wire.post(re.compile(rf"^{root}/servers/[^/]+/action$"), json=self._act)
        wire.delete(re.compile(rf"^{root}/servers/[^/]+/migrations/"), json=self._abort)
        wire.post(re.compile(rf"^{root}/servers/[^/]+/migrations/"), json=self._force)

    def _list_groups(self, request: Any, _context: Any) -> dict[str, Any]:
        assert request.qs["all_projects"] == ["true"]
        first, most = int(request.qs["offset"][0]), min(self.max_limit, int(request.qs["limit"][0]))
        return {"server_groups": self.groups[first : first + most]}

    def client(self) -> NovaMoves:
        auth = token_endpoint.Token("http://compute", "token")
        return NovaMoves(
            adapter.Adapter(
                session.Session(auth=auth),
                service_type="compute",
                default_microversion=MICROVERSION,
            )
        )

    def add(self, uuid: str, vm_state: str = "active", power: int = 1, **fields: Any) -> None:
        self.guests[uuid] = {
            **{"id": uuid, "OS-EXT-STS:vm_state": vm_state, "OS-EXT-STS:task_state": None},
            **{"OS-EXT-STS:power_state": power, "OS-EXT-SRV-ATTR:host": SOURCE},
            **fields,
        }

    def state(self, uuid: str) -> tuple[str, str]:
        guest = self.guests[uuid]
        return guest["OS-EXT-SRV-ATTR:host"], guest["OS-EXT-STS:vm_state"]

    def go_on(self) -> None:
        """Let what is under way go on by one stage."""
        for uuid, guest in self.guests.items():
            task, target = guest["OS-EXT-STS:task_state"], self.aims.get(uuid, TARGET)
            if task == "migrating":
                self._go_on_live(uuid, guest, target)
            elif task == "resize_migrating" and self.ends != "never":
                self._end(guest, "resized", target)
            elif task == "resize_reverting":
                guest["OS-EXT-SRV-ATTR:host"] = SOURCE
                self._end(guest, "stopped", SOURCE)
            elif task == "powering-off":
                self._end(guest, "stopped", guest["OS-EXT-SRV-ATTR:host"])

    def _go_on_live(self, uuid: str, guest: dict[str, Any], target: str) -> None:
        mine = [each for each in self.migrations if each["instance_uuid"] == uuid]
        current = mine[-1] if mine and mine[-1]["status"] in _ABORTABLE else None
        if current is None:
            self.migrations.append(
                {
                    **{
                        "id": 8 + len(self.migrations),
                        "instance_uuid": uuid,
                        "dest_compute": target,
                    },
                    **{"source_compute": SOURCE, "status": "preparing", "uuid": f"m{len(mine)}"},
                }
            )
        elif current["status"] == "preparing":
            current["status"] = "running"
        elif self.ends != "never":
            self._end_live(guest, current, target)

    def _end_live(self, guest: dict[str, Any], current: dict[str, Any], target: str) -> None:
        current["status"] = "completed" if self.ends == "completed" else "error"
        vm_state = "error" if self.ends == "ERROR" else guest["OS-EXT-STS:vm_state"]
        self._end(guest, vm_state, target)

    def _end(self, guest: dict[str, Any], vm_state: str, target: str) -> None:
        guest["OS-EXT-STS:task_state"] = None
        if self.ends == "ERROR":
            vm_state = "error"
            guest["fault"] = {"message": "disk is full"}
        elif self.ends == "error" and vm_state == "resized":
            return
        elif self.ends == "completed":
            guest["OS-EXT-SRV-ATTR:host"] = target
        guest["OS-EXT-STS:vm_state"] = vm_state

    def _list(self, request: Any, context: Any) -> Any:
        if not self.lists_all:
            return _refused(context, 404)
        [uuid] = request.qs["instance_uuid"]
        # Those of a guest that is deleted are deleted with it.
        return self._of(uuid, under_way=False) if uuid in self.guests else {"migrations": []}

    def _list_under_way(self, request: Any, _context: Any) -> Any:
        return self._of(request.path.split("/")[2], under_way=True)

    def _of(self, uuid: str, *, under_way: bool) -> dict[str, Any]:
        mine = [each for each in self.migrations if each["instance_uuid"] == uuid]
        return {
            "migrations": [
                each for each in mine[::-1] if not under_way or each["status"] in _ABORTABLE
            ]
        }

    def _show(self, request: Any, context: Any) -> Any:
        if self.refuses:
            return _refused(context, 403)
        guest = self.guests.get(request.path.split("/")[2])
        return _refused(context, 404) if guest is None else {"server": guest}

    def _act(self, request: Any, context: Any) -> Any:
        assert request.headers["OpenStack-API-Version"] == "compute 2.68"
        uuid = request.path.split("/")[2]
        [(action, arguments)] = request.json().items()
        self.asked.append((action, arguments))
        guest = self.guests.get(uuid)
        if guest is None:
            return _refused(context, 404)
        if self.lost == "before":
            return _refused(context, 504)
        context.status_code = 202
        vm_state = guest["OS-EXT-STS:vm_state"]
        if action == "os-resetState":
            guest["OS-EXT-STS:vm_state"] = arguments["state"]
            return None
        allowed, task = {
            "os-migrateLive": ({"active", "paused"}, "migrating"),
            "migrate": ({"active", "stopped"}, "resize_migrating"),
            "revertResize": ({"resized"}, "resize_reverting"),
            "confirmResize": ({"resized"}, None),
            "os-stop": ({"active"}, "powering-off"),
        }[action]
        if guest["OS-EXT-STS:task_state"] or vm_state not in allowed:
            return _refused(context, 409)
        if action == "confirmResize":
            guest["OS-EXT-STS:vm_state"] = "stopped"
        guest["OS-EXT-STS:task_state"] = task
        if self.lost == "after":
            return _refused(context, 504)
        return None

    def _abort(self, request: Any, context: Any) -> Any:
        self.asked.append("abort")
        guest, migration = self._found(request)
        if migration["status"] not in _ABORTABLE:
            return _refused(context, 400)
        context.status_code = 202
        migration["status"] = "cancelled"
        guest["OS-EXT-STS:task_state"] = None
        return None

    def _force(self, request: Any, context: Any) -> Any:
        self.asked.append("force_complete")
        assert request.json() == {"force_complete": None}
        guest, migration = self._found(request)
        if migration["status"] != "running":
            return _refused(context, 400)
        context.status_code = 202
        self.ends = "completed"
        self._end_live(guest, migration, TARGET)
        return None

    def _found(self, request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        _, _, uuid, _, number, *_ = request.path.split("/")
        [migration] = [each for each in self.migrations if each["id"] == int(number)]
        return self.guests[uuid], migration


def _refused(context: Any, status: int) -> Any:
    context.status_code = status
    return {"error": {"code": status, "message": "refused"}}
