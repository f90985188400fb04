# SPDX-License-Identifier: Apache-2.0
"""One operation over HTTP as a value, and the parameters that many operations have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hybrid_sched.api.schemas.common import MOST_ROWS, Schema, integer, text

#: Of the service in Keystone's catalog, and in the header ``OpenStack-API-Version``.
SERVICE_TYPE = "hybrid-scheduling"
_LONGEST_MARKER = 600


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    :param operation: its name; a handler of this name carries it out.
    :param method: of HTTP.
    :param path: with the parameters in braces.
    :param summary: what it is for, in a sentence without the full stop.
    :param answer: schema of the answer; None for one without a body.
    :param policy: rule that must let the caller through; empty for what everybody may ask.
    :param query: parameters of the query by name; lists may be repeated.
    :param required: names of the parameters of the query that must be there.
    :param body: schema of the body; None for none.
    :param needs_body: whether a request without a body is refused.
    :param status: of success.
    :param refusals: statuses of errors that it may give, besides those that any operation may.
    :param path_schemas: of the parameters of the path; any name where it is not told.
    :param since: microversion in which it came.
    """

    operation: str
    method: str
    path: str
    summary: str
    answer: Schema | None = None
    policy: str = ""
    query: Mapping[str, Schema] = field(default_factory=dict)
    required: Sequence[str] = ()
    body: Schema | None = None
    needs_body: bool = True
    status: int = 200
    refusals: Sequence[int] = ()
    path_schemas: Mapping[str, Schema] = field(default_factory=dict)
    since: str = "1.0"


def paged(keys: Sequence[str], directions: Sequence[str] = ("asc", "desc")) -> dict[str, Schema]:
    """Give the parameters by which a collection is read page by page.

    :param keys: by which it may be sorted, the default first.
    :param directions: in which it may be sorted, the default first.
    """
    return {
        "limit": integer("Rows of the page at most.", minimum=1, maximum=MOST_ROWS),
        "marker": text(
            "The last row of the page before; the link `next` of an answer has it.",
            minLength=1,
            maxLength=_LONGEST_MARKER,
        ),
        "sort_key": text("By what it is sorted.", enum=list(keys), default=keys[0]),
        "sort_dir": text("In which direction.", enum=list(directions), default=directions[0]),
    }


def several(of: Schema, most: int = 32) -> Schema:
    """Let a parameter be given several times."""
    return {"type": "array", "items": of, "maxItems": most}
