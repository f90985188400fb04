# SPDX-License-Identifier: Apache-2.0
"""The sources ``host`` and ``zabbix``, as a program that can be run in a namespace: ``source_probe.py PORT...``.

For each line that it reads it asks the host and the Zabbix agent of each port, and writes one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.interfaces.monitor import MonitorSource, SourceError
from hybrid_sched.monitors.host import HostSource
from hybrid_sched.monitors.zabbix import ZabbixSource


def options(port: int) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("zabbix_port", port, group="agent")
    return conf


def look(source: MonitorSource) -> dict[str, Any]:
    try:
        seen = source.collect()
    except SourceError as error:
        return {"error": str(error)}
    return {
        "at_s": time.monotonic(),
        "cpus": seen.cpus,
        "memory_mb": seen.memory_mb,
        "gauges": dict(seen.gauges),
        "counters": dict(seen.counters),
    }


def main() -> None:
    ports = [int(port) for port in sys.argv[1:]]
    sources = [HostSource(options(0)), *(ZabbixSource(options(port)) for port in ports)]
    for _ in sys.stdin:
        sys.stdout.write(json.dumps([look(source) for source in sources]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
