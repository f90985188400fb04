# SPDX-License-Identifier: Apache-2.0
"""Trusts of Keystone, by which the engine acts in the project, and under the quotas, of whoever declared a task.

The service user of the group ``[trustee]`` is trusted; nobody's password or token is kept, but the ids of trusts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from keystoneauth1 import exceptions, loading, plugin
from oslo_config import cfg

from hybrid_sched.clients.session import ServiceFault, adapter_of, send, session_of
from hybrid_sched.conf.clients import BadClientOption
from hybrid_sched.rpc import wire

GROUP = "trustee"
_PATH = "/OS-TRUST/trusts"
_LONGEST_ID = 64
# A trust of which Keystone says so, or whose user has lost what it gives, can be used no more.
_OVER = (401, 403, 404)


class Trusts:
    """Have trusts made in the names of callers.

    :param conf: options of the group ``[trustee]``.
    :raises BadClientOption: when the options cannot be used.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._session = session_of(conf, GROUP)
        self._roles: list[str] = conf.api.trust_roles
        self._signing_in = threading.Lock()
        self._trustee_id = ""

    @property
    def are_possible(self) -> bool:
        """Say whether there is a user to be trusted."""
        return self._session is not None

    def make(
        self, caller: plugin.BaseAuthPlugin, user_id: str, project_id: str, roles: Sequence[str]
    ) -> str:
        """Have a caller trust the service user with some of its roles in its project.

        :param caller: authenticates with the caller's own token.
        :param user_id: of the caller.
        :param project_id: of the token.
        :param roles: names of the roles of the token.
        :returns: the id of the trust.
        :raises ServiceFault: when Keystone refuses it, or does not answer.
        """
        wanted = [role for role in roles if role in self._roles] if self._roles else list(roles)
        if not wanted:
            raise ServiceFault(
                f"the token has none of the roles {', '.join(self._roles)}, with which tasks are launched",
                403,
            )
        body = {
            "trust": {
                "trustor_user_id": user_id,
                "trustee_user_id": self._trustee(),
                "project_id": project_id,
                "impersonation": True,
                "allow_redelegation": False,
                "roles": [{"name": role} for role in wanted],
            }
        }
        answer = send(self._identity(caller), "POST", _PATH, body=body, role="its own token")
        try:
            trust = wire.mapping(wire.mapping(answer.json(), "answer").get("trust"), "trust")
            return wire.text(trust.get("id"), "trust.id", _LONGEST_ID)
        except (ValueError, wire.BadMessage) as bad:
            raise ServiceFault(f"the answer on a trust cannot be read: {bad}") from None

    def end(self, caller: plugin.BaseAuthPlugin, trust_id: str) -> None:
        """Take a trust back, in the name of whoever gave it.

        :raises ServiceFault: when Keystone refuses it, or does not answer.
        """
        send(self._identity(caller), "DELETE", f"{_PATH}/{trust_id}", role="its own token")

    def _identity(self, caller: plugin.BaseAuthPlugin) -> Any:
        return loading.load_adapter_from_conf_options(
            self._conf, GROUP, session=self._session, auth=caller
        )

    def _trustee(self) -> str:
        with self._signing_in:
            if not self._trustee_id:
                assert self._session is not None  # noqa: S101 - trusts are made where they are possible
                try:
                    self._trustee_id = self._session.get_user_id()
                except exceptions.ClientException as error:
                    raise ServiceFault(f"the user of [{GROUP}] cannot sign in: {error}") from None
            return self._trustee_id


def end_trust(conf: cfg.ConfigOpts, trust_id: str) -> None:
    """Take a trust back by itself; one that is gone, or gives nothing any more, is no fault.

    :param conf: options of the group ``[trustee]``.
    :raises ServiceFault: when Keystone does not answer as it should; it is to be tried again.
    """
    try:
        identity = adapter_of(conf, GROUP, trust_id=trust_id)
        if identity is None:
            return
        send(identity, "DELETE", f"{_PATH}/{trust_id}", role="the trust itself")
    except BadClientOption as error:
        raise ServiceFault(str(error)) from None
    except ServiceFault as fault:
        if fault.status not in _OVER:
            raise
