# SPDX-License-Identifier: Apache-2.0
"""Who asks, and what the policy lets them do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from oslo_config import cfg
from oslo_context.context import RequestContext
from oslo_policy import policy

from hybrid_sched.api.errors import ApiError
from hybrid_sched.api.policies import list_rules


def enforcer_of(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """Make what decides by the rules of the files of ``[oslo_policy]``, and by our defaults."""
    enforcer = policy.Enforcer(conf)
    enforcer.register_defaults(list_rules())
    return enforcer


class Caller:
    """Who asks, as the token says.

    :param context: of the request, from the headers that keystonemiddleware has checked.
    :param enforcer: decides.
    :param authentication: with the caller's own token, for calls in its name; None without a valid token.
    """

    def __init__(
        self, context: RequestContext, enforcer: policy.Enforcer, authentication: Any
    ) -> None:
        self.authentication = authentication
        self._context = context
        self._enforcer = enforcer
        self.project_id: str = context.project_id or ""
        self.user_id: str = context.user_id or ""
        self.roles: tuple[str, ...] = tuple(context.roles)

    def require_token(self) -> None:
        """See that the caller has shown a valid token.

        :raises ApiError: when there is none.
        """
        if self.authentication is None:
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                "token.missing",
                "There is no valid token: get one from Keystone and send it as X-Auth-Token.",
            )

    def require(self, rule: str, project_id: str | None = None) -> None:
        """See that the caller may do something.

        :param rule: its name.
        :param project_id: whose thing it is about; the caller's own without it.
        :raises ApiError: when the caller may not.
        """
        if not self.may(rule, project_id):
            raise ApiError(
                HTTPStatus.FORBIDDEN,
                "policy.forbidden",
                f"The policy {rule} does not let you do this: use a token with another role or scope, or ask an "
                "administrator.",
            )

    def may(self, rule: str, project_id: str | None = None) -> bool:
        """Say whether the caller may do something."""
        owner = self.project_id if project_id is None else project_id
        target: Mapping[str, str] = {"project_id": owner}
        try:
            allowed: bool = self._enforcer.authorize(rule, target, self._context)
        except policy.InvalidScope:
            return False
        return allowed


def caller_of(environ: Mapping[str, object], enforcer: policy.Enforcer) -> Caller:
    """Read who asks.

    :param environ: of WSGI, after keystonemiddleware.
    """
    is_valid = environ.get("HTTP_X_IDENTITY_STATUS") == "Confirmed"
    return Caller(
        RequestContext.from_environ(dict(environ)),
        enforcer,
        environ.get("keystone.token_auth") if is_valid else None,
    )
