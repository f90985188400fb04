# SPDX-License-Identifier: Apache-2.0
"""The application: requests are checked, dispatched by the table of routes, and answered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import flask
import webob.exc
from oslo_config import cfg
from oslo_log import log
from oslo_policy import policy
from werkzeug.exceptions import HTTPException

from hybrid_sched.api import microversions
from hybrid_sched.api.access import caller_of
from hybrid_sched.api.call import Asks, Call, Engine, Trusting
from hybrid_sched.api.errors import ApiError, document
from hybrid_sched.api.handlers import (
    decisions,
    frameworks,
    hosts,
    rebalancing,
    receipts,
    scores,
    tasks,
    versions,
)
from hybrid_sched.api.route import Route
from hybrid_sched.api.routes import ROUTES
from hybrid_sched.api.validation import read_body, read_path, read_query
from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.scores import ScoreStore
from hybrid_sched.db.share_history import ShareHistory

LOG = log.getLogger(__name__)

Handler = Callable[[Call], dict[str, Any] | None]

_MODULES = (versions, frameworks, hosts, tasks, decisions, rebalancing, scores, receipts)
_PARAMETER = re.compile(r"{(\w+)}")


def handler_of(route: Route) -> Handler:
    """Find the handler of a route by its name."""
    for module in _MODULES:
        handler: Handler | None = getattr(module, route.operation, None)
        if handler is not None:
            return handler
    raise LookupError(f"operation {route.operation} has no handler")


def make_application(
    conf: cfg.ConfigOpts,
    client: Asks,
    database: Database,
    trusts: Trusting,
    enforcer: policy.Enforcer,
) -> flask.Flask:
    """Make the application, without the middleware around it.

    :param conf: options of the group ``[api]``.
    :param client: asks the quota service.
    :param database: of the scores of hardware and the history of shares.
    :param trusts: has trusts made.
    :param enforcer: of the policy.
    """
    application = flask.Flask(__name__, static_folder=None)
    application.url_map.strict_slashes = False
    application.url_map.merge_slashes = False
    engine = Engine(client, conf)
    for route in ROUTES:
        application.add_url_rule(
            _PARAMETER.sub(r"<\1>", route.path),
            route.operation,
            _view(route, engine, database, trusts, enforcer),
            methods=[route.method],
            provide_automatic_options=False,
        )
    application.register_error_handler(ApiError, _refused)
    application.register_error_handler(HTTPException, _unknown)
    application.register_error_handler(webob.exc.HTTPException, _too_large)
    application.register_error_handler(DatabaseError, _without_database(conf))
    application.register_error_handler(Exception, _failed)
    application.after_request(_versioned)
    return application


def _view(
    route: Route,
    engine: Engine,
    database: Database,
    trusts: Trusting,
    enforcer: policy.Enforcer,
) -> Callable[..., flask.Response]:
    handler = handler_of(route)
    scores, history = ScoreStore(database), ShareHistory(database)

    def view(**path: str) -> flask.Response:
        request = flask.request
        flask.g.version = microversions.wanted(dict(request.headers))
        caller = caller_of(request.environ, enforcer)
        if route.policy:
            caller.require_token()
            caller.require(route.policy)
        microversions.require(flask.g.version, route.since)
        given = request.args.to_dict(flat=False)
        call = Call(
            route=route,
            caller=caller,
            engine=engine,
            scores=scores,
            history=history,
            trusts=trusts,
            path=read_path(route, path),
            query=read_query(route, given),
            given=given,
            body=read_body(route, request.get_data(), request.is_json),
            root=request.host_url.rstrip("/") + request.script_root,
        )
        return _answer(route.status, handler(call))

    return view


def _answer(status: int, body: object) -> flask.Response:
    if status == HTTPStatus.NO_CONTENT:
        empty = flask.Response(status=status)
        del empty.headers["Content-Type"]
        return empty
    return flask.Response(json.dumps(body), status=status, mimetype="application/json")


def _errors(status: int, code: str, *details: str) -> flask.Response:
    request_id = flask.request.environ.get("openstack.request_id", "")
    return _answer(status, document(status, code, details, request_id))


def _refused(error: ApiError) -> flask.Response:
    answer = _errors(error.status, error.code, *error.details)
    answer.headers.update(error.headers)
    return answer


def _unknown(error: HTTPException) -> flask.Response:
    """Answer what Flask refuses: paths, methods and forms of requests that are unknown."""
    status = error.code or HTTPStatus.INTERNAL_SERVER_ERROR
    said = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address: GET /v1/openapi.json tells what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This method cannot be used here: the header Allow tells which can.",
    }.get(HTTPStatus(status), error.description or "The request cannot be read: correct it.")
    answer = _errors(status, f"http.{status}", said)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after"}:
            answer.headers[name] = value
    return answer


def _too_large(error: webob.exc.HTTPException) -> flask.Response:
    """Answer a body without a length of which too much came (oslo.middleware)."""
    return _errors(error.status_int, f"http.{error.status_int}", str(error.explanation))


def _without_database(conf: cfg.ConfigOpts) -> Callable[[DatabaseError], flask.Response]:
    def answer(error: DatabaseError) -> flask.Response:
        # What it says names services of the operator.
        LOG.error("%s", error)
        response = _errors(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "database.unavailable",
            "The database cannot be used now: ask again later. If that does not help, an operator finds the reason in the log "
            "of hybrid-sched-api, under the id of this request.",
        )
        response.headers["Retry-After"] = str(conf.api.retry_after_s)
        return response

    return answer


def _failed(error: Exception) -> flask.Response:
    LOG.exception("A request failed.", exc_info=error)
    return _errors(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "The request failed for a fault of ours: an operator finds the reason in the log of hybrid-sched-api, under the id of "
        "this request.",
    )


def _versioned(answer: flask.Response) -> flask.Response:
    version = flask.g.get("version", microversions.OLDEST)
    answer.headers[microversions.HEADER] = microversions.header(version)
    answer.vary.add(microversions.HEADER)
    return answer
