# SPDX-License-Identifier: Apache-2.0
"""The part of Keystone's API that trusts take, over HTTP, with Keystone's own rules for them."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import requests_mock
from keystoneauth1 import fixture

URL = "http://keystone/v3"
TRUSTEE = "user-hybrid"


class Keystone:
    """Keeps trusts, and knows the owners of tokens."""

    def __init__(self, wire: requests_mock.Mocker) -> None:
        self.trusts: dict[str, dict[str, Any]] = {}
        #: User, project and roles by token.
        self.owners: dict[str, tuple[str, str, list[str]]] = {}
        self.scopes: list[dict[str, Any]] = []
        self.status = 0
        version = {
            "id": "v3.14",
            "status": "stable",
            "links": [{"rel": "self", "href": f"{URL}/"}],
            "media-types": [],
        }
        wire.get(re.compile(rf"^{URL}/?$"), json={"version": version})
        wire.post(f"{URL}/auth/tokens", json=self._sign_in, headers={"X-Subject-Token": "hybrids"})
        wire.post(f"{URL}/OS-TRUST/trusts", json=self._make)
        wire.delete(re.compile(rf"^{URL}/OS-TRUST/trusts/"), text=self._delete)

    def _sign_in(self, request: Any, context: Any) -> dict[str, Any]:
        auth = request.json()["auth"]
        assert auth["identity"]["password"]["user"]["password"] == "secret"
        scope = auth.get("scope", {})
        self.scopes.append(scope)
        context.status_code = 201
        trusted = scope.get("OS-TRUST:trust")
        if trusted and trusted["id"] not in self.trusts:
            context.status_code = 404
            return {"error": {"message": "no such trust", "code": 404}}
        token = fixture.V3Token(user_id=TRUSTEE, project_id="service")
        token.add_service("identity").add_standard_endpoints(public=URL, internal=URL)
        if trusted:
            trust = self.trusts[trusted["id"]]
            owner = trust["trustor_user_id"], trust["project_id"], []
            self.owners["hybrids"] = owner
        return dict(token)

    def _make(self, request: Any, context: Any) -> dict[str, Any]:
        trust = request.json()["trust"]
        user, project, roles = self.owners[request.headers["X-Auth-Token"]]
        given = {role["name"] for role in trust["roles"]}
        if self.status:
            context.status_code = self.status
            return {"error": {"message": "not now", "code": self.status}}
        if (trust["trustor_user_id"], trust["project_id"]) != (user, project) or given - {*roles}:
            context.status_code = 403
            return {"error": {"message": "not yours", "code": 403}}
        identity = uuid4().hex
        self.trusts[identity] = trust
        context.status_code = 201
        return {"trust": {**trust, "id": identity}}

    def _delete(self, request: Any, context: Any) -> str:
        trust = self.trusts.get(request.path.rpartition("/")[2])
        user, _, _ = self.owners[request.headers["X-Auth-Token"]]
        if trust is None or trust["trustor_user_id"] != user:
            context.status_code = 404 if trust is None else 403
            return ""
        del self.trusts[request.path.rpartition("/")[2]]
        context.status_code = 204
        return ""
