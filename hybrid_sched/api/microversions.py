# SPDX-License-Identifier: Apache-2.0
"""Which version of the interface a request is for (header ``OpenStack-API-Version``).

History:

* 1.0: the first.
* 1.1: the history of shares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus

import microversion_parse

from hybrid_sched.api.errors import ApiError
from hybrid_sched.api.route import SERVICE_TYPE

OLDEST = (1, 0)
NEWEST = (1, 1)
HEADER = "OpenStack-API-Version"
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")

Version = tuple[int, int]


def shown(version: Version) -> str:
    """Write a version."""
    return f"{version[0]}.{version[1]}"


def version_of(text: str) -> Version:
    """Read a version as routes name it."""
    major, minor = text.split(".")
    return int(major), int(minor)


def require(version: Version, since: str) -> None:
    """See that a request is for a version that has something.

    :param since: in which it came.
    :raises ApiError: when it is for an older one.
    """
    if version < version_of(since):
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            "version.too_old",
            f"{HEADER}: version {shown(version)}, which is asked for, has nothing at this address: send `{SERVICE_TYPE} "
            f"{since}` or `{SERVICE_TYPE} latest`.",
        )


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
