# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options


def options(**values: Any) -> cfg.ConfigOpts:
    """Give the options of the agent with these values."""
    conf = cfg.ConfigOpts()
    # A group of its own: what is set in a shared one stays set for others.
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    for name, value in values.items():
        conf.set_override(name, value, group="agent")
    return conf
