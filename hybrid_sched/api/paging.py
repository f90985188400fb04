# SPDX-License-Identifier: Apache-2.0
"""Collections are answered page by page, in a chosen order, with the address of the next page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any
from urllib.parse import urlencode

from hybrid_sched.api.errors import bad_request
from hybrid_sched.api.schemas.common import MOST_ROWS

Row = Mapping[str, Any]


def limit_of(query: Mapping[str, Any]) -> int:
    """Give how many rows a page has at most."""
    return int(query.get("limit", MOST_ROWS))


def page_of(
    rows: Sequence[Row],
    query: Mapping[str, Any],
    name_of: Callable[[Row], str],
    exact: Sequence[str] = (),
) -> tuple[list[Row], str]:
    """Choose one page of rows that are all known.

    :param query: with ``limit``, ``marker``, ``sort_key`` and ``sort_dir``.
    :param name_of: gives what names a row as a marker.
    :param exact: keys whose values are exact numbers as they are sent.
    :returns: the rows of the page, and the marker of the next one; empty when it is the last.
    :raises ApiError: when there is no row of the marker.
    """
    key = query["sort_key"]

    def order(row: Row) -> Any:
        value = Fraction(row[key]) if key in exact else row[key]
        return value, name_of(row)

    ordered = sorted(rows, key=order, reverse=query["sort_dir"] == "desc")
    start = 0
    if "marker" in query:
        names = [name_of(row) for row in ordered]
        if query["marker"] not in names:
            raise unknown_marker()
        start = names.index(query["marker"]) + 1
    page = ordered[start : start + limit_of(query)]
    has_more = start + len(page) < len(ordered)
    return page, name_of(page[-1]) if page and has_more else ""


def unknown_marker() -> Exception:
    """Make the error of a marker that names no row."""
    return bad_request(
        "marker.unknown",
        "marker: there is no such row, or not any more: begin again without a marker, and follow the links `next`.",
    )


def links(address: str, given: Mapping[str, Sequence[str]], marker: str) -> list[dict[str, str]]:
    """Give the links of a page.

    :param address: of the collection.
    :param given: the values of each parameter of the query.
    :param marker: of the next page; empty when this is the last.
    """
    if not marker:
        return []
    query = urlencode({**given, "marker": [marker]}, doseq=True)
    return [{"rel": "next", "href": f"{address}?{query}"}]
