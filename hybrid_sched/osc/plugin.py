# SPDX-License-Identifier: Apache-2.0
"""What ``openstack`` asks of a plug-in: options, and a client of the API (``openstack.cli.extension``)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from osc_lib import utils

if TYPE_CHECKING:
    from hybrid_sched.osc.client import ApiClient

API_NAME = "hybrid"
API_VERSION_OPTION = "os_hybrid_api_version"
DEFAULT_API_VERSION = "1.1"
#: Microversions that the commands know.
API_VERSIONS = ("1.0", "1.1")

_OVERRIDE = "hybrid_endpoint_override"


def make_client(instance: Any) -> ApiClient:
    """Make a client of the API.

    :param instance: the client manager of ``openstack``.
    """
    # This module is imported for every command of `openstack`, whichever is run.
    from hybrid_sched.osc.client import ApiClient  # noqa: PLC0415

    configured = instance.get_configuration()
    return ApiClient(
        instance.session,
        microversion=instance._api_version[API_NAME],
        region_name=instance.region_name,
        interface=instance.interface,
        endpoint_override=configured.get(_OVERRIDE)
        # As openstacksdk names it in clouds.yaml.
        or configured.get("hybrid_scheduling_endpoint_override"),
    )


def build_option_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add our options to those of ``openstack``."""
    parser.add_argument(
        "--os-hybrid-api-version",
        metavar="<hybrid-api-version>",
        default=utils.env("OS_HYBRID_API_VERSION", default=DEFAULT_API_VERSION),
        help=f"Microversion of the hybrid-scheduling API, default={DEFAULT_API_VERSION} (Env: OS_HYBRID_API_VERSION)",
    )
    parser.add_argument(
        "--os-hybrid-endpoint-override",
        metavar="<url>",
        dest=f"os_{_OVERRIDE}",
        default=utils.env("OS_HYBRID_ENDPOINT_OVERRIDE") or None,
        help="URL of the hybrid-scheduling API in place of the one in the service catalog (Env: OS_HYBRID_ENDPOINT_OVERRIDE)",
    )
    return parser
