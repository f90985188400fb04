# SPDX-License-Identifier: Apache-2.0
"""What the programs that serve have in common."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType

import cotyledon
from oslo_config import cfg
from oslo_log import log
from oslo_reports import guru_meditation_report as gmr
from oslo_reports import opts as gmr_opts

from hybrid_sched import version


def serve(
    program: str,
    service: type[cotyledon.Service],
    options: Sequence[ModuleType],
    check: Callable[[cfg.ConfigOpts], object],
) -> int:
    """Read options, set up logging and run a service until it is told to stop.

    SIGUSR2 makes it write a report of its threads and options (oslo.reports).

    :param program: name, for messages and the configuration file.
    :param service: made with the worker's number and the options.
    :param options: modules of the service's own options, each with ``register``.
    :param check: refuses options that cannot be used, with a ``ValueError`` that names the option.
    :returns: the exit code.
    """
    conf = cfg.CONF
    log.register_options(conf)
    gmr_opts.set_defaults(conf)
    for module in options:
        module.register(conf)
    try:
        conf(sys.argv[1:], project="hybrid-sched", prog=program, version=version.version_string())
        read_all(conf, options)
        check(conf)
    except (cfg.Error, ValueError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    # What a service of the cloud does not answer is said by whoever asked it.
    quiet = ("cotyledon=WARNING", "keystoneauth=ERROR", "alembic=WARNING")
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *quiet])
    log.setup(conf, program)
    gmr.TextGuruMeditation.setup_autorun(version, conf=conf)
    manager = cotyledon.ServiceManager()
    manager.add(service, workers=1, args=(conf,))
    manager.run()
    return 0


def read_all(conf: cfg.ConfigOpts, options: Iterable[ModuleType]) -> None:
    """Look at every value: oslo.config looks at one only when it is read.

    :param options: modules, each with ``OPTIONS`` of its ``GROUP``, or without options of its own.
    :raises ValueError: when one cannot be used.
    """
    for module in options:
        for option in getattr(module, "OPTIONS", ()):
            conf[module.GROUP.name][option.name]
