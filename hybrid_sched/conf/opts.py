# SPDX-License-Identifier: Apache-2.0
"""All options, for oslo-config-generator and the documents."""

from __future__ import annotations

from oslo_config import cfg

from hybrid_sched.conf import (
    agent,
    api,
    client,
    clients,
    coordination,
    metrics,
    migration,
    queue,
    quota,
    watchdog,
)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """List the options of our own programs."""
    return [
        (quota.GROUP, quota.OPTIONS),
        (coordination.GROUP, coordination.OPTIONS),
        *((group, clients.sample_options(group)) for group in clients.GROUPS),
        (metrics.GROUP, metrics.OPTIONS),
        (queue.GROUP, queue.OPTIONS),
        (watchdog.GROUP, watchdog.OPTIONS),
        (migration.GROUP, migration.OPTIONS),
        (api.GROUP, api.OPTIONS),
        (agent.GROUP, agent.OPTIONS),
    ]


def list_client_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """List the options that the plug-ins add to Nova's and Zun's."""
    return [(client.GROUP, client.OPTIONS)]
