# SPDX-License-Identifier: Apache-2.0
"""The host of :mod:`libvirt_host` with the isolator of control groups besides."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "integration"))

import libvirt_host
from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.interfaces.isolator import Isolator
from hybrid_sched.isolators.cgroup import CgroupIsolator
from hybrid_sched.isolators.libvirt import LibvirtIsolator


class Host(libvirt_host.Host):
    """The host; its isolator is the one that was asked for last, that of libvirt at first."""

    def use(self, isolator: str) -> dict[str, Any]:
        """Let an isolator, ``libvirt`` or ``cgroup``, do what comes, and tell its ability."""
        conf = cfg.ConfigOpts()
        conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
        conf([], default_config_files=[])
        conf.set_override("sources", ["host", "libvirt"], group="agent")
        made: dict[str, Callable[[], Isolator]] = {
            # On an emulated machine everything takes its time.
            "libvirt": lambda: LibvirtIsolator(conf, timeout_s=60),
            "cgroup": lambda: CgroupIsolator(conf),
        }
        self._isolator = made[isolator]()
        return self.ability()


if __name__ == "__main__":
    libvirt_host.serve(Host)
