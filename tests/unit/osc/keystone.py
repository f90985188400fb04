# SPDX-License-Identifier: Apache-2.0
"""As much of Keystone as clients, keystonemiddleware and the API ask of it: tokens, a catalog, and trusts."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

_DOMAIN = {"id": "default", "name": "Default"}
_HOURS = 8


@dataclass
class Account:
    """A user with a role in one project.

    :param name: of the user; also the password.
    :param project: name of the project, which is its ID too.
    :param roles: that it has there.
    """

    name: str
    project: str
    roles: tuple[str, ...]


@dataclass
class Keystone:
    """The emulator, a WSGI application.

    :param accounts: that may ask for tokens.
    :param endpoints: URL by service type, in the catalog of every token.
    :param trusts: that were given, by ID.
    """

    accounts: list[Account]
    endpoints: dict[str, str] = field(default_factory=dict)
    trusts: dict[str, dict[str, Any]] = field(default_factory=dict)
    _tokens: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].rstrip("/")
        base = f"http://{environ['HTTP_HOST']}/v3"
        status, headers, body = "404 Not Found", [], {"error": {"message": "nothing is there"}}
        if path in {"", "/v3"}:
            version = {
                "id": "v3.14",
                "status": "stable",
                "links": [{"rel": "self", "href": f"{base}/"}],
            }
            body = {"version": version} if path else {"versions": {"values": [version]}}
            status = "200 OK" if path else "300 Multiple Choices"
        elif path == "/v3/auth/tokens" and method == "POST":
            status, headers, body = self._issue(_sent(environ)["auth"], base)
        elif path == "/v3/auth/tokens" and method == "GET":
            found = self._tokens.get(environ.get("HTTP_X_SUBJECT_TOKEN", ""))
            if found is not None:
                status, body = "200 OK", found
        elif path == "/v3/OS-TRUST/trusts" and method == "POST":
            status, body = self._trust(_sent(environ)["trust"], environ["HTTP_X_AUTH_TOKEN"])
        elif path.startswith("/v3/OS-TRUST/trusts/") and method == "DELETE":
            status, body = "204 No Content", {}
            del self.trusts[path.rpartition("/")[2]]
        content = json.dumps(body).encode()
        start_response(
            status,
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(content))),
                *headers,
            ],
        )
        return [content]

    def _trust(self, asked: dict[str, Any], token: str) -> tuple[str, dict[str, Any]]:
        owner = self._tokens[token]["token"]
        roles = {role["name"] for role in owner["roles"]}
        if (
            (asked["trustor_user_id"], asked["project_id"])
            != (owner["user"]["id"], owner["project"]["id"])
            or asked["trustee_user_id"] not in {f"id-{each.name}" for each in self.accounts}
            or not {role["name"] for role in asked["roles"]} <= roles
        ):
            return "403 Forbidden", {"error": {"message": "that is not yours to give"}}
        identity = uuid.uuid4().hex
        self.trusts[identity] = asked
        return "201 Created", {"trust": {**asked, "id": identity}}

    def _issue(
        self, asked: dict[str, Any], base: str
    ) -> tuple[str, list[tuple[str, str]], dict[str, Any]]:
        user = asked["identity"]["password"]["user"]
        account = next((each for each in self.accounts if each.name == user["name"]), None)
        if account is None or user["password"] != account.name:
            return "401 Unauthorized", [], {"error": {"message": "no such account"}}
        now = datetime.datetime.now(tz=datetime.UTC)
        token, services = uuid.uuid4().hex, {**self.endpoints, "identity": base}
        self._tokens[token] = {
            "token": {
                "methods": ["password"],
                "user": {"id": f"id-{account.name}", "name": account.name, "domain": _DOMAIN},
                "project": {"id": account.project, "name": account.project, "domain": _DOMAIN},
                "roles": [{"id": f"id-{role}", "name": role} for role in account.roles],
                "issued_at": now.isoformat().replace("+00:00", "Z"),
                "expires_at": (now + datetime.timedelta(hours=_HOURS))
                .isoformat()
                .replace("+00:00", "Z"),
                "audit_ids": [uuid.uuid4().hex],
                "catalog": [
                    {
                        "id": kind,
                        "type": kind,
                        "name": kind,
                        "endpoints": [
                            {
                                "id": f"{kind}-{interface}",
                                "interface": interface,
                                "region": "RegionOne",
                                "region_id": "RegionOne",
                                "url": url,
                            }
                            for interface in ("public", "internal", "admin")
                        ],
                    }
                    for kind, url in services.items()
                ],
            }
        }
        return "201 Created", [("X-Subject-Token", token)], self._tokens[token]


def _sent(environ: dict[str, Any]) -> dict[str, Any]:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    sent: dict[str, Any] = json.loads(environ["wsgi.input"].read(size))
    return sent
