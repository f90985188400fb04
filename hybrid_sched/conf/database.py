# SPDX-License-Identifier: Apache-2.0
"""``[database]``: the options of oslo.db with a default that works on one machine."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
from oslo_db import options

DEFAULT_CONNECTION = "sqlite:////var/lib/hybrid-sched/hybrid-sched.sqlite"

_OF_THE_ENGINE = (
    "connection_debug",
    "connection_parameters",
    "connection_recycle_time",
    "connection_trace",
    "max_overflow",
    "max_pool_size",
    "max_retries",
    "mysql_sql_mode",
    "mysql_wsrep_sync_wait",
    "pool_timeout",
    "retry_interval",
    "sqlite_synchronous",
)


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    options.set_defaults(conf, connection=DEFAULT_CONNECTION)


def set_sample_defaults() -> None:
    """Show our default in the sample file (``oslo.config.opts.defaults``)."""
    cfg.set_defaults(options.database_opts, connection=DEFAULT_CONNECTION)


def parameters(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Give the parameters of :class:`hybrid_sched.db.Database`.

    The default file is made when it is missing, so that the first start on one machine needs no other step.
    """
    connection = conf.database.connection
    return {
        "connection_url": connection,
        "create_missing": connection == DEFAULT_CONNECTION,
        **{name: conf.database[name] for name in _OF_THE_ENGINE},
    }
