# SPDX-License-Identifier: Apache-2.0
"""The isolator ``traffic`` for the guests of a libvirt, as a program that can be run in that libvirt's namespaces.

It answers each line of JSON that it reads with one: ``["read"]`` with the rates ``[in, out]`` by uuid, and
``["hold", UUID, IN, OUT]`` with what could not be held, in words.
"""

from __future__ import annotations

import json
import sys

from oslo_config import cfg

from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.limits import Aspect, Limits
from hybrid_sched.interfaces.isolator import IsolationError
from hybrid_sched.isolators.traffic import TrafficIsolator


def main() -> None:
    conf = cfg.ConfigOpts()
    conf.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    conf([], default_config_files=[])
    conf.set_override("sources", ["libvirt"], group="agent")
    isolator = TrafficIsolator(conf)
    for line in sys.stdin:
        answer: object = ""
        match json.loads(line):
            case ["read"]:
                found = isolator.read()
                answer = {uuid: [each.net_in_bps, each.net_out_bps] for uuid, each in found.items()}
            case ["hold", uuid, in_bps, out_bps]:
                limits = Limits(net_in_bps=in_bps, net_out_bps=out_bps)
                try:
                    isolator.hold(uuid, limits, [Aspect.NET_IN, Aspect.NET_OUT])
                except IsolationError as error:
                    answer = str(error)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
