# SPDX-License-Identifier: Apache-2.0
"""What is around the application: tokens, sizes, health, and one form of errors whoever answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import webob
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_log import log
from oslo_middleware import cors, healthcheck, http_proxy_to_wsgi, request_id, sizelimit

from hybrid_sched.api.errors import document
from hybrid_sched.api.microversions import HEADER, OLDEST, header
from hybrid_sched.api.routes import ROUTES

LOG = log.getLogger(__name__)

Application = Callable[..., Iterable[bytes]]

#: What everybody may ask, without a token.
PUBLIC = frozenset(route.path for route in ROUTES if not route.policy)
HEALTH = "/healthcheck"
_SAID = {
    401: "There is no valid token: get one from Keystone and send it as X-Auth-Token.",
    413: "The body is too large: send less at once.",
    503: "Tokens cannot be checked now, for Keystone does not answer: ask again later.",
}


def surrounded(application: Application, conf: cfg.ConfigOpts) -> Application:
    """Put the middleware around an application.

    :param conf: options of the middleware.
    """
    checked = auth_token.AuthProtocol(application, {"oslo_config_config": conf})

    health = healthcheck.Healthcheck(None, conf)

    def by_token(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        chosen: Application = application if (_path(environ) or "/") in PUBLIC else checked
        return chosen(environ, start_response)

    limited = OneFormOfErrors(sizelimit.RequestBodySizeLimiter(by_token, conf), conf)

    def by_path(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        chosen: Application = health if _path(environ) == HEALTH else limited
        return chosen(environ, start_response)

    inner: Application = by_path
    inner = http_proxy_to_wsgi.HTTPProxyToWSGI(inner, conf)
    inner = cors.CORS(inner, conf)
    return request_id.RequestId(inner)  # type: ignore[no-any-return] # oslo's middleware has no types of its own


def _path(environ: dict[str, Any]) -> str:
    return str(environ.get("PATH_INFO", "")).rstrip("/")


class OneFormOfErrors:
    """Write errors of middleware, which are texts, in the form of all others.

    :param application: whose answers are looked at.
    :param conf: options of the group ``[api]``.
    """

    def __init__(self, application: Application, conf: cfg.ConfigOpts) -> None:
        self._application = application
        self._options = conf.api

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        request = webob.Request(environ)
        try:
            answer = request.get_response(self._application)
        except Exception:
            LOG.exception("A request failed.")
            answer = webob.Response(status=500)
        status = answer.status_int
        # The application's own answers name the version.
        if status >= 400 and HEADER not in answer.headers:
            said = _SAID.get(
                status, "The request cannot be answered: an operator finds the reason in the log."
            )
            identity = environ.get("openstack.request_id", "")
            answer.content_type = "application/json"
            answer.charset = None
            answer.body = json.dumps(document(status, f"http.{status}", [said], identity)).encode()
        if HEADER not in answer.headers:
            answer.headers[HEADER] = header(OLDEST)
            answer.vary = [HEADER]
        if status == 503 and "Retry-After" not in answer.headers:
            answer.headers["Retry-After"] = str(self._options.retry_after_s)
        result: Iterable[bytes] = answer(environ, start_response)
        return result
