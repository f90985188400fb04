# SPDX-License-Identifier: Apache-2.0
"""Bodies and queries are read and checked against the schemas of their route, before anything else looks at them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from hybrid_sched.api.errors import ApiError, bad_request
from hybrid_sched.api.route import Route
from hybrid_sched.api.schemas import COMPONENTS
from hybrid_sched.api.schemas.common import Schema

_MOST_FAULTS = 20
_LONGEST_MESSAGE = 300
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_FLAGS = {"true": True, "false": False}


def read_body(route: Route, content: bytes, is_json: bool) -> Any:
    """Read the body of a request.

    :param content: as it came.
    :param is_json: whether its header says so.
    :returns: None for a route without one, and ``{}`` for one that may be left out and is.
    :raises ApiError: when it cannot be used; it names all faults that could be found.
    """
    if route.body is None:
        return None
    if not content:
        if route.needs_body:
            raise bad_request("body.missing", "The request has no body: send a JSON object.")
        return {}
    if not is_json:
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "body.not_json",
            "The body is not declared as JSON: send Content-Type: application/json.",
        )
    body = _parsed(content)
    errors = _validator(route.operation, route.body).iter_errors(body)
    _raise_for("body", "", errors)
    return body


def read_query(route: Route, given: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Read the query of a request.

    :param given: the values of each parameter.
    :returns: those that were given or have a default, by name.
    :raises ApiError: when it cannot be used.
    """
    faults = []
    for name in given:
        if name not in route.query:
            known = (
                f"the parameters are {', '.join(route.query)}"
                if route.query
                else "there are none here"
            )
            faults.append(f"{_cut(repr(name))}: this parameter is unknown: {known}.")
    faults += [
        f"{name}: this parameter is missing: add it."
        for name in route.required
        if name not in given
    ]
    values: dict[str, Any] = {
        name: schema["default"] for name, schema in route.query.items() if "default" in schema
    }
    for name, schema in route.query.items():
        if name not in given:
            continue
        try:
            values[name] = _read(schema, given[name])
        except ValueError as fault:
            faults.append(f"{name}: {fault}")
            continue
        errors = _validator(f"{route.operation} {name}", schema).iter_errors(values[name])
        faults += [_said(name, error) for error in errors]
    if faults:
        raise bad_request("query.invalid", *faults[:_MOST_FAULTS])
    return values


def read_path(route: Route, given: Mapping[str, str]) -> dict[str, str]:
    """Check the parameters of the path.

    :raises ApiError: when one can name nothing.
    """
    for name, value in given.items():
        schema = route.path_schemas.get(name)
        if schema is not None:
            errors = _validator(f"{route.operation} {name} of path", schema).iter_errors(value)
            faults = [_said(name, error) for error in errors]
            if faults:
                raise ApiError(HTTPStatus.NOT_FOUND, "path.unknown", *faults)
    return dict(given)


def _read(schema: Schema, texts: Sequence[str]) -> Any:
    if schema["type"] == "array":
        return [_value(schema["items"], text) for text in texts]
    if len(texts) > 1:
        raise ValueError("it is given more than once: give it once.")
    return _value(schema, texts[0])


def _value(schema: Schema, text: str) -> Any:
    match schema["type"]:
        case "integer":
            if not _INTEGER.fullmatch(text):
                raise ValueError(f"{_cut(repr(text))} is not a whole number: write it in digits.")
            return int(text)
        case "boolean":
            if text.lower() not in _FLAGS:
                raise ValueError(f"{_cut(repr(text))} is neither true nor false: give one of them.")
            return _FLAGS[text.lower()]
        case _:
            return text


def _parsed(content: bytes) -> Any:
    try:
        body = json.loads(
            content.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_once
        )
        # Halves of characters cannot be stored or sent on.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else _cut(str(error))
        raise bad_request(
            "body.malformed", f"The body cannot be read as JSON in UTF-8 ({said}): correct it."
        ) from None
    return body


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"{_cut(repr(name))} is there twice in one object")
        made[name] = value
    return made


def _raise_for(what: str, where: str, errors: Iterable[ValidationError]) -> None:
    faults = []
    for error in errors:
        faults.append(_said(where or what, error))
        if len(faults) == _MOST_FAULTS:
            break
    if faults:
        raise bad_request(f"{what}.invalid", *faults)


def _said(what: str, error: ValidationError) -> str:
    closest = best_match(error.context) if error.context else None
    error = closest or error
    path = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path
    )
    return f"{what}{_cut(path)}: {_cut(error.message)}: see /v1/openapi.json for what is taken."


# By what they check; they are made from the few schemas of the routes.
_VALIDATORS: dict[str, Draft202012Validator] = {}


def _validator(key: str, schema: Schema) -> Draft202012Validator:
    if key not in _VALIDATORS:
        _VALIDATORS[key] = Draft202012Validator(
            {"components": {"schemas": COMPONENTS}, "allOf": [schema]}
        )
    return _VALIDATORS[key]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 3]}..."
