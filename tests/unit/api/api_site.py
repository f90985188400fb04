# SPDX-License-Identifier: Apache-2.0
"""The REST API before a real engine, queue, ledger and database; what goes over the bus goes through JSON.

Tokens are checked by the real keystonemiddleware, from what its own fixture knows instead of Keystone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import webtest
from jsonschema import Draft202012Validator
from keystoneauth1 import fixture as tokens
from keystonemiddleware.fixture import AuthTokenFixture
from oslo_config import cfg
from oslo_messaging import ExpectedException

sys.path += [str(Path(__file__).parent.parent / name) for name in ("watchdog", "quota")]

from keystone_emulator import URL, Keystone
from moving_world import World

from hybrid_sched.api.openapi import document
from hybrid_sched.api.service import register, wsgi_application
from hybrid_sched.clients.engine import NoAnswer
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.db.share_history import ShareHistory
from hybrid_sched.db.tasks import TaskStore
from hybrid_sched.db.weights import WeightStore
from hybrid_sched.queue.endpoint import QueueEndpoint
from hybrid_sched.queue.tasks import BadTask, TaskQueue
from hybrid_sched.quota.endpoint import EngineEndpoint
from hybrid_sched.quota.history import records_of
from hybrid_sched.quota.receipt_endpoint import ReceiptEndpoint
from hybrid_sched.watchdog.endpoint import WatchdogEndpoint

ROOT = "http://localhost"
#: Roles by token; the projects are "one" and "two".
ADMIN, SYSTEM_READER, MANAGER, MEMBER, READER, OTHER, STRANGER = (
    *("admin", "system-reader", "manager", "member", "reader", "other", "stranger"),
)
_ROLES = {
    ADMIN: ("admin-project", ["admin", "manager", "member", "reader"]),
    MANAGER: ("one", ["manager", "member", "reader"]),
    MEMBER: ("one", ["member", "reader"]),
    READER: ("one", ["reader"]),
    OTHER: ("two", ["member", "reader"]),
    STRANGER: ("one", ["juggler"]),
}
_PARAMETER = re.compile(r"{\w+}")
BIG = "7e3bd3d2-4c6b-4fd7-8b3a-5f3e3ec0c001"


def add_tokens(known: AuthTokenFixture, keystone: Keystone) -> None:
    """Let keystonemiddleware and Keystone know the tokens of :data:`_ROLES`, named by themselves."""
    for name, (project, roles) in _ROLES.items():
        token = tokens.V3Token(user_id=f"user-{name}", project_id=project)
        for role in roles:
            token.add_role(name=role)
        token.add_service("identity").add_standard_endpoints(public=URL, internal=URL)
        known.add_token(token, name)
        keystone.owners[name] = f"user-{name}", project, roles
    of_system = tokens.V3Token(user_id="user-system")
    of_system.set_system_scope()
    of_system.add_role(name="reader")
    known.add_token(of_system, SYSTEM_READER)


class Outlook:
    """What the planner expects."""

    def waits(self) -> Mapping[str, str]:
        return {}

    def estimate(self, task: QueuedTask) -> str:
        return f"about 40 s, from 7 tasks of kind {task.kind}"


class Engine:
    """The endpoints of an engine, asked in this process."""

    def __init__(self, database: Database) -> None:
        self.world = World(database)
        self.world.set(mode="off")
        for _ in range(3):
            self.world.period()
        self.store = TaskStore(database)
        self.down = False
        queue = TaskQueue(self.store, self.world.term, self._resolve)
        self.endpoints = (
            EngineEndpoint(self.world.engine, self._set_weight),
            ReceiptEndpoint(self.world.engine.receipts),
            QueueEndpoint(queue, Outlook()),
            WatchdogEndpoint(self.world.orders),
        )
        self._weights = WeightStore(database)
        self.asked: list[str] = []

    def ask(self, method: str, timeout_s: float, arguments: dict[str, Any]) -> Any:
        self.asked.append(method)
        if self.down:
            raise NoAnswer("The broker at secret.example.org is down.")
        [call, *_] = [getattr(each, method) for each in self.endpoints if hasattr(each, method)]
        try:
            answer = call({}, **json.loads(json.dumps(arguments)))
        except ExpectedException as expected:
            raise NoAnswer(str(expected.exc_info[1])) from None
        return json.loads(json.dumps(answer))

    def launched(self, uuid: str, server: str) -> None:
        """Let a queued task have a server."""
        task = self.store.get(uuid)
        assert task is not None
        assert self.store.update(replace(task, server=server), task.state, self.world.term)

    def decided(self, uuid: str) -> None:
        """Let a request have been decided on."""
        self.world.engine.take_decision(
            Decision(
                request_uuid=uuid,
                framework="container",
                demand=Resources(vcpu=1, memory_mb=10),
                stage=Stage.SHARE_GATE,
                decided_at_s=self.world.now_s,
                snapshot_version=1,
                snapshot_age_s=0.5,
                hosts=("b", "c"),
                refused={"a": "its share is used up"},
            )
        )

    @staticmethod
    def _resolve(task: QueuedTask) -> QueuedTask:
        if task.spec.get("flavor") not in {None, "m1.small"}:
            raise BadTask(f"server.flavor: there is no flavor {task.spec['flavor']!r}: name one.")
        return replace(task, demand=Resources(vcpu=1, memory_mb=512))

    def _set_weight(self, pool: str, framework: str, weight: Any) -> None:
        if weight is None:
            self._weights.unset(pool, framework, self.world.term)
        else:
            self._weights.set(pool, framework, weight, self.world.term)


def record_shares(site: Site, *seconds: float) -> None:
    """Let the leader have recorded the shares, so many seconds after now."""
    world = site.engine.world
    rows = records_of(world.engine.snapshot()[0])
    for later_s in seconds or (0.0,):
        at_s = world.now_s + later_s
        then = [replace(row, taken_at_s=at_s) for row in rows]
        ShareHistory(site.database).put(at_s, then, world.term)


_ACCOUNT = f"""
auth_type = password
auth_url = {URL}
username = hybrid
password = secret
user_domain_id = default
project_name = service
project_domain_id = default
"""


def database_file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


class Site:
    """The API as a web server runs it."""

    def __init__(
        self, database_url: str, database: Database, *files: Path, with_trustee: bool = True
    ) -> None:
        self.database = database
        self.engine = Engine(database)
        self.conf = cfg.ConfigOpts()
        register(self.conf)
        of_test = database_file(database_url).with_name("api.conf")
        of_test.write_text(
            f"[database]\nconnection = {database_url}\n"
            f"[keystone_authtoken]\nwww_authenticate_uri = http://keystone.example.org\n{_ACCOUNT}"
            + (f"[trustee]\n{_ACCOUNT}" if with_trustee else "")
        )
        self.conf([], default_config_files=[*map(str, (of_test, *files))], default_config_dirs=[])
        self.application = wsgi_application(self.conf, self.engine)
        self.web = webtest.TestApp(self.application)
        self._paths = {
            re.compile(_PARAMETER.sub("[^/]+", path)): item
            for path, item in sorted(
                document(ROOT)["paths"].items(), key=lambda each: "{" in each[0]
            )
        }

    def ask(
        self,
        method: str,
        path: str,
        token: str | None = ADMIN,
        json: Any = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send a request, and see that the answer is one that the OpenAPI document tells of.

        :returns: what the answer says; None where it has no body.
        """
        answer = self.send(method, path, token, json, headers)
        if status is not None:
            assert answer.status_int == status, answer.text
        return self._documented(method, path, answer)

    def send(
        self,
        method: str,
        path: str,
        token: str | None = ADMIN,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> webtest.TestResponse:
        """Send a request and give the whole answer."""
        sent = {"X-Auth-Token": token} if token else {}
        body = {} if json is None else {"params": json}
        send = getattr(self.web, f"{method.lower()}_json" if json is not None else method.lower())
        return send(path, headers={**sent, **(headers or {})}, expect_errors=True, **body)

    def get(self, path: str, token: str | None = ADMIN, status: int = 200) -> Any:
        return self.ask("GET", path, token, status=status)

    def post(self, path: str, json: Any, token: str = ADMIN, status: int = 200) -> Any:
        return self.ask("POST", path, token, json, status)

    def put(self, path: str, json: Any, token: str = ADMIN, status: int = 200) -> Any:
        return self.ask("PUT", path, token, json, status)

    def delete(self, path: str, token: str = ADMIN, status: int = 204) -> Any:
        return self.ask("DELETE", path, token, status=status)

    def submit(self, *names: str, token: str = MEMBER, **fields: Any) -> list[dict[str, Any]]:
        """Declare containers; gives their rows."""
        entries = [{"name": name, "container": {"image": "busybox"}, **fields} for name in names]
        rows: list[dict[str, Any]] = self.post("/v1/tasks", {"tasks": entries}, token, 201)["tasks"]
        return rows

    def _documented(self, method: str, path: str, answer: webtest.TestResponse) -> Any:
        [operations, *_] = [
            item
            for pattern, item in self._paths.items()
            if pattern.fullmatch(path.partition("?")[0])
        ]
        responses = operations[method.lower()]["responses"]
        told = responses[str(answer.status_int)]
        assert answer.headers["OpenStack-API-Version"].startswith("hybrid-scheduling ")
        assert answer.headers["x-openstack-request-id"].startswith("req-")
        if "content" not in told:
            assert answer.body == b""
            return None
        assert answer.content_type == "application/json"
        schema = {**told["content"]["application/json"]["schema"], **document(ROOT)}
        Draft202012Validator(schema).validate(answer.json)
        return answer.json
