# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document, made of the routes: what is dispatched and what is told are one."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from hybrid_sched.api import microversions
from hybrid_sched.api.errors import title
from hybrid_sched.api.route import SERVICE_TYPE, Route
from hybrid_sched.api.routes import ROUTES
from hybrid_sched.api.schemas import COMPONENTS
from hybrid_sched.api.schemas.common import Schema, ref, text

_PARAMETER = re.compile(r"{(\w+)}")
_JSON = "application/json"
_VERSION_PARAMETER: dict[str, Any] = {
    "name": microversions.HEADER,
    "in": "header",
    "description": f"Microversion that is asked for, as `{SERVICE_TYPE} VERSION`; the oldest without it.",
    "schema": {
        "type": "string",
        "examples": [microversions.header(microversions.NEWEST), f"{SERVICE_TYPE} latest"],
    },
}


def document(root: str) -> dict[str, Any]:
    """Make the document.

    :param root: address of the interface.
    """
    return {**_fixed(), "servers": [{"url": root}]}


@functools.cache
def _fixed() -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hybrid scheduling",
            "version": microversions.shown(microversions.NEWEST),
            "summary": "Shares hosts fairly between guests of Nova and containers of Zun.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": COMPONENTS,
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Auth-Token",
                    "description": "A token of Keystone.",
                }
            },
        },
    }


def statuses_of(route: Route) -> tuple[int, ...]:
    """List the statuses of the errors that a route may answer with, in order."""
    found = {400, 406, 503, *route.refusals}
    if route.policy:
        found |= {401, 403}
    if route.path_schemas or microversions.version_of(route.since) > microversions.OLDEST:
        found.add(404)
    # Any request may come with a body.
    found.add(413)
    if route.body is not None:
        found.add(415)
    return tuple(sorted(found))


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": f"{route.summary}.",
        "parameters": [*_path(route), *_query(route), _VERSION_PARAMETER],
        "responses": _responses(route),
    }
    if route.policy:
        operation["description"] = f"Policy: `{route.policy}`. Since version {route.since}."
        operation["security"] = [{"token": []}]
    if route.body is not None:
        operation["requestBody"] = {
            "required": route.needs_body,
            "content": {_JSON: {"schema": route.body}},
        }
    return operation


def _path(route: Route) -> Iterator[dict[str, Any]]:
    for name in _PARAMETER.findall(route.path):
        yield _parameter(name, "path", route.path_schemas.get(name, text()), required=True)


def _query(route: Route) -> Iterator[dict[str, Any]]:
    for name, schema in route.query.items():
        yield _parameter(name, "query", schema, required=name in route.required)


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> dict[str, Any]:
    description = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": place, "required": required, **description, "schema": schema}


def _responses(route: Route) -> dict[str, Any]:
    version = {
        microversions.HEADER: {
            "description": "The microversion of the answer.",
            "schema": {"type": "string"},
        }
    }
    success: dict[str, Any] = {"description": title(route.status), "headers": version}
    if route.answer is not None:
        success["content"] = {_JSON: {"schema": route.answer}}
    responses = {str(route.status): success}
    for status in statuses_of(route):
        responses[str(status)] = {
            "description": title(status),
            "content": {_JSON: {"schema": ref("Errors")}},
        }
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            responses[str(status)]["headers"] = {
                "Retry-After": {
                    "description": "Seconds after which to ask again.",
                    "schema": {"type": "string"},
                }
            }
    return responses
