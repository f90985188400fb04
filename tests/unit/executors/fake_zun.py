# SPDX-License-Identifier: Apache-2.0
"""The parts of Zun's and Neutron's APIs that a relocation uses, over HTTP.

Hosts carry out what was asked when they are let.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import requests_mock
from fake_placement import FakePlacement
from keystoneauth1 import adapter, session, token_endpoint

from hybrid_sched.clients.neutron import NeutronPorts
from hybrid_sched.clients.placement import PlacementClient
from hybrid_sched.clients.zun_moves import MICROVERSION, ZunMoves

PROJECT = "project"
NETWORK, SUBNET = "network-1", "subnet-1"
ADDRESS, MAC = "10.0.0.7", "fa:16:3e:00:00:07"
SOURCE, TARGET = "host-1", "host-2"
MOVE_LABEL = "hybrid:move"

_DELETE_STATES = {
    "plain": {"Created", "Error", "Stopped", "Dead"},
    "stop": {"Running", "Created", "Error", "Stopped", "Dead"},
    "force": {"Created", "Creating", "Error", "Running", "Stopped", "Dead"},
}
_ACTION_STATES = {"start": {"Created", "Stopped", "Error"}, "stop": {"Running"}}


class FakeZun:
    """Keeps containers and ports.

    :ivar waiting: what hosts were asked for and have not done yet, in order: (host, what to do).
    :ivar lost: what becomes of the next request that changes something: ``before`` (it never arrives), ``later`` (it arrives
        when it is let) or ``after`` (the answer is lost); None for an answer.
    :ivar fails: what fails on the target: ``create``, ``start``, or nothing.
    :ivar ran: how many containers ran at once, at most.
    """

    def __init__(self, wire: requests_mock.Mocker) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.ports: dict[str, dict[str, Any]] = {}
        self.floating: set[str] = set()
        self.placement = FakePlacement(wire)
        self.waiting: list[tuple[str, Callable[[], None]]] = []
        self.down: set[str] = set()
        self.lost: str | None = None
        self._on_their_way: list[Callable[[], object]] = []
        self.fails = ""
        self.ran = 0
        self.asked: list[str] = []
        root = "http://container"
        wire.get(f"{root}/services", json=self._services)
        wire.get(f"{root}/containers/", json=self._list)
        wire.post(f"{root}/containers/", json=self._answered(self._create))
        one = re.compile(rf"^{root}/containers/[^/?]+(\?|$)")
        wire.get(one, json=self._show)
        wire.delete(one, json=self._answered(self._delete))
        wire.post(re.compile(rf"^{root}/containers/[^/]+/"), json=self._answered(self._act))
        ports = re.compile(r"^http://network/v2.0/ports")
        wire.get(ports, json=self._list_ports)
        wire.post(ports, json=self._answered(self._create_port))
        wire.put(ports, json=self._answered(self._update_port))
        wire.delete(ports, json=self._answered(self._delete_port))
        wire.get(re.compile(r"^http://network/v2.0/floatingips"), json=self._floating)

    def clients(self) -> tuple[ZunMoves, NeutronPorts, PlacementClient]:
        def service(name: str, microversion: str | None) -> adapter.Adapter:
            auth = token_endpoint.Token(f"http://{name}", "token")
            return adapter.Adapter(
                session.Session(auth=auth), service_type=name, default_microversion=microversion
            )

        return (
            ZunMoves(lambda _: service("container", MICROVERSION)),
            NeutronPorts(service("network", None)),
            self.placement.client(),
        )

    def add(self, name: str, *, given_port: bool = False, **fields: Any) -> str:
        """Make a container that runs on the source, with a port of Zun's or one that it was given."""
        made = str(uuid.uuid4())
        port = self._new_port({"network_id": NETWORK, "mac_address": MAC}, made)
        port["fixed_ips"] = [{"subnet_id": SUBNET, "ip_address": ADDRESS}]
        self.containers[made] = {
            **{"uuid": made, "name": name, "project_id": PROJECT, "image": "busybox"},
            **{"status": "Running", "task_state": None, "host": SOURCE, "command": ["sleep", "9"]},
            **{"cpu": 1.0, "memory": "256", "labels": {"hybrid:relocate": "allow"}, "disk": 0},
            **{"status_detail": "Up 5 minutes", "status_reason": None},
            "addresses": {NETWORK: _addresses(port, preserved=given_port)},
            **fields,
        }
        self.placement.claims[made] = SOURCE
        self._count()
        return made

    def carry_out(self, count: int = 1_000_000, *hosts: str) -> None:
        """Let hosts that are up do what they were asked for, the oldest first.

        :param hosts: those that do; all without any.
        """
        able = set(hosts or (SOURCE, TARGET)) - self.down
        ready = [each for each in self.waiting if each[0] in able][:count]
        for each in ready:
            self.waiting.remove(each)
            each[1]()
            self._count()

    def arrive(self) -> None:
        """Let requests arrive whose answers were given up."""
        arrived, self._on_their_way = self._on_their_way, []
        for each in arrived:
            each()

    def made(self) -> list[dict[str, Any]]:
        return [each for each in self.containers.values() if MOVE_LABEL in each["labels"]]

    def running(self) -> list[dict[str, Any]]:
        return [each for each in self.containers.values() if each["status"] == "Running"]

    def _count(self) -> None:
        self.ran = max(self.ran, len(self.running()))

    def _answered(self, answer: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def maybe(request: Any, context: Any) -> Any:
            self.asked.append(f"{request.method} {request.path}")
            lost, self.lost = self.lost, None
            if lost == "later":
                self._on_their_way.append(lambda: answer(request, SimpleNamespace()))
            said = {} if lost in {"before", "later"} else answer(request, context)
            if lost:
                context.status_code = 504
                return {}
            return said

        return maybe

    def _services(self, _request: Any, _context: Any) -> Any:
        return {
            "services": [
                {
                    "host": host,
                    "binary": "zun-compute",
                    "state": "down" if host in self.down else "up",
                }
                for host in (SOURCE, TARGET)
            ]
        }

    def _list(self, _request: Any, _context: Any) -> Any:
        return {"containers": list(self.containers.values()), "next": None}

    def _show(self, request: Any, context: Any) -> Any:
        found = self.containers.get(request.path.rsplit("/", 1)[1])
        return _refused(context, 404) if found is None else found

    def _create(self, request: Any, context: Any) -> Any:
        assert request.qs == {"run": ["false"]}
        body = request.json()
        for net in body.get("nets", []):
            if self.ports[net["port"]]["device_id"]:
                return _refused(context, 409)
        made = str(uuid.uuid4())
        fields = {key: value for key, value in body.items() if key not in {"nets", "host"}}
        container = {
            **{"uuid": made, "project_id": PROJECT, "status": "Creating", "task_state": None},
            **{"status_detail": "", "status_reason": None, "addresses": {}, "disk": 0},
            "host": None,
            **fields,
        }
        self.containers[made] = container
        self.placement.claims[made] = body["host"]
        context.status_code = 202

        def create() -> None:
            if made not in self.containers:
                return
            container["host"] = body["host"]
            if self.fails == "create":
                container.update(status="Error", status_reason="No such image")
                return
            for net in body.get("nets", []):
                port = self.ports[net["port"]]
                port["device_id"] = made
                container["addresses"][port["network_id"]] = _addresses(port, preserved=True)
            container["status"] = "Created"

        self.waiting.append((body["host"], create))
        return container

    def _delete(self, request: Any, context: Any) -> Any:
        container = self.containers.get(request.path.rsplit("/", 1)[1])
        if container is None:
            return _refused(context, 404)
        kind = next((each for each in ("stop", "force") if each in request.qs), "plain")
        if container["status"] not in _DELETE_STATES[kind]:
            return _refused(context, 409)
        context.status_code = 204
        if container["host"] is None:
            # At once, and its claim stays.
            del self.containers[container["uuid"]]
            return None

        def delete() -> None:
            if container["uuid"] not in self.containers:
                return
            if kind == "plain" and container["status"] == "Running":
                container["status"] = "Running"  # Docker removes none that runs
                return
            for network in list(container["addresses"]):
                self._release(container, network)
            del self.containers[container["uuid"]]
            self.placement.claims.pop(container["uuid"], None)

        self.waiting.append((container["host"], delete))
        return None

    def _act(self, request: Any, context: Any) -> Any:
        _, _, which, action = request.path.split("/")
        container = self.containers.get(which)
        if container is None:
            return _refused(context, 404)
        if container["status"] not in _ACTION_STATES.get(action, {container["status"]}):
            return _refused(context, 409)
        refusal, do = getattr(self, f"_{action}")(container, request.qs)
        if refusal:
            return _refused(context, refusal)
        context.status_code = 202
        self.waiting.append((container["host"], do))
        return None

    def _start(self, container: dict[str, Any], _qs: Any) -> Any:
        def start() -> None:
            if container["host"] == TARGET and self.fails == "start":
                container.update(status="Error", status_reason="exec: no such file")
            else:
                container.update(status="Running", status_detail="Up 1 second")

        return None, start

    def _stop(self, container: dict[str, Any], qs: Any) -> Any:
        assert int(qs["timeout"][0]) >= 0

        def stop() -> None:
            if container["status"] == "Running":
                container.update(status="Stopped", status_detail="Exited(137) 1 second ago")

        return None, stop

    def _network_detach(self, container: dict[str, Any], qs: Any) -> Any:
        network = qs["network"][0]
        if network not in container["addresses"]:
            return 400, None
        return None, lambda: self._release(container, network)

    def _network_attach(self, container: dict[str, Any], qs: Any) -> Any:
        port = self.ports.get(qs["port"][0])
        if port is None:
            return 404, None
        if port["device_id"]:
            return 409, None
        if port["network_id"] in container["addresses"]:
            return 400, None

        def attach() -> None:
            if port["network_id"] not in container["addresses"]:
                port["device_id"] = container["uuid"]
                container["addresses"][port["network_id"]] = _addresses(port, preserved=True)

        return None, attach

    def _release(self, container: dict[str, Any], network: str) -> None:
        """Take a network from a container, as Zun does: its own port is deleted, another one is unbound."""
        for address in container["addresses"].pop(network, []):
            port = self.ports.get(address["port"])
            if port is not None and address["preserve_on_delete"]:
                port.update(device_id="", **{"binding:host_id": ""})
            elif port is not None:
                del self.ports[port["id"]]

    # Neutron.

    def _new_port(self, fields: dict[str, Any], device: str = "") -> dict[str, Any]:
        made = str(uuid.uuid4())
        port = {
            **{"id": made, "name": "", "device_id": device, "binding:host_id": "", "fixed_ips": []},
            **{"security_groups": ["group-1"], "mac_address": "fa:16:3e:ff:ff:ff"},
            **fields,
        }
        port["fixed_ips"] = port["fixed_ips"] or [
            {"subnet_id": SUBNET, "ip_address": f"10.0.0.{100 + len(self.ports)}"}
        ]
        self.ports[made] = port
        return port

    def _list_ports(self, request: Any, _context: Any) -> Any:
        [(key, [value])] = request.qs.items()
        return {"ports": [each for each in self.ports.values() if each[key] == value]}

    def _create_port(self, request: Any, context: Any) -> Any:
        fields = request.json()["port"]
        taken = {each["ip_address"] for port in self.ports.values() for each in port["fixed_ips"]}
        if any(each["ip_address"] in taken for each in fields.get("fixed_ips", [])):
            return _refused(context, 409)
        context.status_code = 201
        return {"port": self._new_port(fields)}

    def _update_port(self, request: Any, _context: Any) -> Any:
        port = self.ports[request.path.rsplit("/", 1)[1]]
        port.update(request.json()["port"])
        return {"port": port}

    def _delete_port(self, request: Any, context: Any) -> Any:
        gone = self.ports.pop(request.path.rsplit("/", 1)[1], None)
        return _refused(context, 404) if gone is None else None

    def _floating(self, request: Any, _context: Any) -> Any:
        return {"floatingips": [{}] if request.qs["port_id"][0] in self.floating else []}


def _addresses(port: dict[str, Any], *, preserved: bool) -> list[dict[str, Any]]:
    return [
        {
            **{"addr": each["ip_address"], "version": 4, "port": port["id"]},
            **{"subnet_id": each["subnet_id"], "preserve_on_delete": preserved},
        }
        for each in port["fixed_ips"]
    ]


def _refused(context: Any, status: int) -> Any:
    context.status_code = status
    return {"errors": [{"status": status, "detail": "refused"}]}
