# SPDX-License-Identifier: Apache-2.0
"""Errors as callers read them: https://specs.openstack.org/openstack/api-sig/guidelines/errors.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from hybrid_sched.api.route import SERVICE_TYPE

_MOST = 100
_LONGEST_DETAIL = 2_000


class ApiError(Exception):
    """A request that is refused, or cannot be answered.

    :param status: of HTTP.
    :param code: kind of the fault, for programs.
    :param details: what was wrong and what to do about it, a sentence for each fault.
    :param headers: of the answer.
    """

    def __init__(
        self, status: int, code: str, *details: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__("; ".join(details))
        self.status = status
        self.code = code
        self.details = details
        self.headers = dict(headers or {})


def bad_request(code: str, *details: str) -> ApiError:
    """Make the error of a request that cannot be used."""
    return ApiError(HTTPStatus.BAD_REQUEST, code, *details)


def not_found(code: str, detail: str) -> ApiError:
    """Make the error of a thing that is not there, or of which the caller may not know."""
    return ApiError(HTTPStatus.NOT_FOUND, code, detail)


def conflict(code: str, *details: str) -> ApiError:
    """Make the error of a request that the state of things does not allow."""
    return ApiError(HTTPStatus.CONFLICT, code, *details)


def sentence(text: str) -> str:
    """Write a fault of the quota service, which comes without the full stop, as a sentence."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def document(
    status: int, code: str, details: Sequence[str], request_id: str
) -> dict[str, list[dict[str, Any]]]:
    """Write errors as JSON.

    :param details: a sentence for each; those beyond the first hundred are counted.
    """
    shown = list(details[:_MOST]) or [title(status)]
    if len(details) > _MOST:
        shown.append(f"And {len(details) - _MOST} more.")
    return {
        "errors": [
            {
                "status": status,
                "title": title(status),
                "detail": _cut(detail),
                "code": f"{SERVICE_TYPE}.{code}",
                "request_id": request_id,
            }
            for detail in shown
        ]
    }


def title(status: int) -> str:
    """Give a status in words."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _cut(detail: str) -> str:
    return detail if len(detail) <= _LONGEST_DETAIL else f"{detail[: _LONGEST_DETAIL - 3]}..."
