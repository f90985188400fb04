# SPDX-License-Identifier: Apache-2.0
"""What the schemas of several resources are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.resources import Resources

Schema = dict[str, Any]

LONGEST_NAME = 255
#: Rows of a page at most, and of one that is asked for without a limit.
MOST_ROWS = 1000
#: Unix time that is late enough for everybody, and exact as a float.
LATEST_S = 2**53
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def ref(name: str) -> Schema:
    """Refer to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(
    properties: Mapping[str, Schema], *, optional: Iterable[str] = (), closed: bool = False
) -> Schema:
    """Make the schema of an object whose properties are all there but the optional ones.

    :param closed: refuse any other property, as of what a caller sends; answers of later minor versions may have more.
    """
    left_out = set(optional)
    schema: Schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in left_out],
    }
    if closed:
        schema["additionalProperties"] = False
    return schema


def array(of: Schema) -> Schema:
    """Make the schema of a list."""
    return {"type": "array", "items": of}


def by_name(of: Schema, description: str = "") -> Schema:
    """Make the schema of an object whose properties have names that are not known before."""
    return {
        "type": "object",
        "additionalProperties": of,
        **({"description": description} if description else {}),
    }


def nullable(of: Schema) -> Schema:
    """Let something be null, too."""
    if "$ref" in of:
        return {"oneOf": [of, {"type": "null"}]}
    return {**of, "type": [of["type"], "null"]}


def text(description: str = "", **more: Any) -> Schema:
    """Make the schema of a string."""
    return {"type": "string", **({"description": description} if description else {}), **more}


def number(description: str = "", **more: Any) -> Schema:
    """Make the schema of a number."""
    return {"type": "number", **({"description": description} if description else {}), **more}


def integer(description: str = "", **more: Any) -> Schema:
    """Make the schema of a whole number."""
    return {"type": "integer", **({"description": description} if description else {}), **more}


def flag(description: str = "", **more: Any) -> Schema:
    """Make the schema of true or false."""
    return {"type": "boolean", **({"description": description} if description else {}), **more}


def collection(plural: str, of: Schema, **more: Schema) -> Schema:
    """Make the schema of an answer with rows, and with the address of the next page where there is one.

    :param plural: name of the rows.
    :param more: further properties of the answer.
    """
    return record({plural: array(of), f"{plural}_links": array(ref("Link")), **more})


def single(singular: str, of: Schema) -> Schema:
    """Make the schema of an answer with one thing."""
    return record({singular: of})


UUID = text("A UUID in its usual form, in small letters.", pattern=_UUID)
FRAMEWORK = text("`hypervisor` for guests, `container` for containers.", enum=list(FRAMEWORKS))
POOL = text("Name of the pool of hosts; empty for the default pool.", maxLength=LONGEST_NAME)
UNIX_TIME = number("Unix time in seconds.", minimum=0)
SECONDS = number("Seconds.", minimum=0)
NAME = text(minLength=1, maxLength=LONGEST_NAME)
EXACT = ref("ExactNumber")
RESOURCES = ref("Resources")
FIGURES = by_name(number(), "Measured figures by name.")

COMPONENTS: dict[str, Schema] = {
    "ExactNumber": {
        "description": "An exact number: an integer, or a fraction in lowest terms as the string `a/b`. Shares are parts of "
        "the whole pool, so that `1/2` is half of it.",
        "oneOf": [{"type": "integer"}, {"type": "string", "pattern": r"^-?\d+/\d+$"}],
    },
    "Resources": {
        "description": "Amounts by resource; one that is left out is 0. `vcpu` is in cores, `memory_mb` in MiB, the others are "
        "in bytes per second.",
        "type": "object",
        "properties": dict.fromkeys(Resources._fields, EXACT),
        "additionalProperties": False,
    },
    "Link": record(
        {"rel": text("`self`, `next` or `help`."), "href": text("The address.")},
    ),
    "Errors": {
        "description": "What was wrong, in the form of the API special interest group of OpenStack.",
        **record(
            {
                "errors": array(
                    record(
                        {
                            "status": integer("Status of HTTP."),
                            "title": text("The status in words."),
                            "detail": text(
                                "What was wrong and what to do about it, in a sentence."
                            ),
                            "code": text(
                                "Kind of the fault, for programs, such as `hybrid-scheduling.task.not_found`."
                            ),
                            "request_id": text(
                                "Identity of the request, by which the logs tell of it."
                            ),
                            "links": array(ref("Link")),
                        },
                        optional=("links",),
                    )
                )
            }
        ),
    },
}
