# SPDX-License-Identifier: Apache-2.0
"""What the commands have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from osc_lib.command.command import Command

from hybrid_sched.osc.client import ApiClient
from hybrid_sched.osc.plugin import API_NAME

#: How the remedies in messages name the commands.
PROGRAM = "openstack hybrid"

Fields = tuple[tuple[str, ...], tuple[Any, ...]]


def api(command: Command) -> ApiClient:
    """Give the client of the API."""
    # The shell gives its client manager an attribute for each plug-in, of the name of its API.
    client: ApiClient = getattr(command.app.client_manager, API_NAME)
    return client


def one(fields: Mapping[str, Any]) -> Fields:
    """Give fields as cliff takes one thing."""
    return tuple(fields), tuple(fields.values())
