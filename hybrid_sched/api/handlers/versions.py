# SPDX-License-Identifier: Apache-2.0
"""The versions of the interface, and its OpenAPI document."""

from __future__ import annotations

from typing import Any

from hybrid_sched.api import microversions
from hybrid_sched.api.call import Call
from hybrid_sched.api.openapi import document


def list_versions(call: Call) -> dict[str, Any]:
    """List the versions."""
    return {"versions": [_version(call)]}


def show_version(call: Call) -> dict[str, Any]:
    """Show version 1."""
    return {"version": _version(call)}


def show_openapi(call: Call) -> dict[str, Any]:
    """Show the document."""
    return document(call.root or "/")


def _version(call: Call) -> dict[str, Any]:
    return {
        "id": "v1.0",
        "status": "CURRENT",
        "min_version": microversions.shown(microversions.OLDEST),
        "max_version": microversions.shown(microversions.NEWEST),
        "links": [
            {"rel": "self", "href": f"{call.root}/v1"},
            {"rel": "help", "href": f"{call.root}/v1/openapi.json"},
        ],
    }
