# SPDX-License-Identifier: Apache-2.0
"""Options by which the engine asks Placement, Nova, Zun and Neutron: those that keystoneauth1 offers every service."""

from __future__ import annotations

from keystoneauth1 import loading
from oslo_config import cfg

PLACEMENT = cfg.OptGroup("placement", title="Placement: where the engine reads claims")
NOVA = cfg.OptGroup(
    "nova",
    title="Nova: where the engine reads moves, guests that found no host, and host aggregates; optional",
)
ZUN = cfg.OptGroup(
    "zun", title="Zun: where the engine reads containers that found no host; optional"
)
NEUTRON = cfg.OptGroup(
    "neutron", title="Neutron: where containers that are relocated keep their ports; optional"
)
TRUSTEE = cfg.OptGroup(
    "trustee",
    title="The user of Keystone whom those who declare tasks through the API trust to launch them in their projects; optional",
)
GROUPS = (PLACEMENT, NOVA, ZUN, NEUTRON, TRUSTEE)

_SERVICE_TYPES = {
    "placement": "placement",
    "nova": "compute",
    "zun": "container",
    "neutron": "network",
    "trustee": "identity",
}
_TIMEOUT_S = 10.0


class BadClientOption(ValueError):
    """Options of a client cannot be used together; the message names their group and the remedy."""


def options(group: cfg.OptGroup) -> list[cfg.Opt]:
    """List the options of one service that are known before an ``auth_type`` is chosen.

    Each call of the service ends within its time limit; a connection that fails is tried once more, since a server may have
    closed it while it was idle. Keystoneauth has no limit by default.
    """
    offered = [
        *loading.get_session_conf_options(),
        *loading.get_adapter_conf_options(include_deprecated=False),
    ]
    cfg.set_defaults(
        offered,
        timeout=_TIMEOUT_S,
        service_type=_SERVICE_TYPES[group.name],
        valid_interfaces=["internal", "public"],
        connect_retries=1,
    )
    return [*loading.get_auth_common_conf_options(), *offered]


def sample_options(group: cfg.OptGroup) -> list[cfg.Opt]:
    """List the options of one service with those of ``auth_type = password``, for samples and documents."""
    return [*options(group), *loading.get_auth_plugin_conf_options("password")]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the groups to the options of a program of ours."""
    for group in GROUPS:
        # A group of its own: oslo.config shares the options of one between all that register it, and keystoneauth adds those
        # of the chosen auth_type.
        conf.register_group(cfg.OptGroup(group.name, group.title))
        conf.register_opts(options(group), group=group.name)
