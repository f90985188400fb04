# SPDX-License-Identifier: Apache-2.0
"""Which version of the interface a request is for (header ``OpenStack-API-Version``).

History:

* 1.0: the first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import microversion_parse

from hybrid_sched.api.errors import ApiError
from hybrid_sched.api.route import SERVICE_TYPE

OLDEST = (1, 0)
NEWEST = (1, 0)
HEADER = "OpenStack-API-Version"
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")

Version = tuple[int, int]


def shown(version: Version) -> str:
    """Write a version."""
    return f"{version[0]}.{version[1]}"


def wanted(headers: Mapping[str, str]) -> Version:
    """Read which version a request is for; the oldest where it does not say.

    :raises ApiError: when it cannot be read, or is not served.
    """
    text = microversion_parse.get_version(headers, SERVICE_TYPE)
    if text is None:
        return OLDEST
    if text == "latest":
        return NEWEST
    found = _VERSION.fullmatch(text)
    if found is None:
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "version.malformed",
            f"{HEADER}: {text[:40]!r} is no version: send `{SERVICE_TYPE} {shown(NEWEST)}` or `{SERVICE_TYPE} latest`.",
        )
    version = int(found[1]), int(found[2])
    if not OLDEST <= version <= NEWEST:
        raise ApiError(
            HTTPStatus.NOT_ACCEPTABLE,
            "version.not_served",
            f"{HEADER}: version {text} is not served: ask for one from {shown(OLDEST)} to {shown(NEWEST)}.",
        )
    return version


def header(version: Version) -> str:
    """Give the value of the header of an answer."""
    return f"{SERVICE_TYPE} {shown(version)}"
