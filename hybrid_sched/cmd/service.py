# SPDX-License-Identifier: Apache-2.0
"""What the programs that serve have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import cotyledon
from oslo_config import cfg
from oslo_log import log


def serve(
    program: str,
    service: type[cotyledon.Service],
    options: ModuleType,
    check: Callable[[cfg.ConfigOpts], object] | None = None,
) -> int:
    """Read options, set up logging and run a service until it is told to stop.

    :param program: name, for messages and the configuration file.
    :param service: made with the worker's number and the options.
    :param options: module of the service's own options.
    :param check: refuses options that cannot be used, with a ``ValueError`` that names the option.
    :returns: the exit code.
    """
    conf = cfg.CONF
    log.register_options(conf)
    options.register(conf)
    try:
        conf(sys.argv[1:], project="hybrid-sched", prog=program)
        for option in options.OPTIONS:
            # A value is looked at only when it is read.
            conf[options.GROUP.name][option.name]
        if check is not None:
            check(conf)
    except (cfg.Error, ValueError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), "cotyledon=WARNING"])
    log.setup(conf, program)
    manager = cotyledon.ServiceManager()
    manager.add(service, workers=1, args=(conf,))
    manager.run()
    return 0
