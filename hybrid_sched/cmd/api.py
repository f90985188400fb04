# SPDX-License-Identifier: Apache-2.0
"""``hybrid-sched-api``: the REST API, served by itself; web servers load ``hybrid_sched.wsgi.api`` instead."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from hybrid_sched.cmd.threads import use_native_threads

use_native_threads()

import waitress  # noqa: E402 - threads are chosen first
from oslo_config import cfg  # noqa: E402
from oslo_log import log  # noqa: E402

from hybrid_sched.api.middleware import Application  # noqa: E402
from hybrid_sched.api.service import register, wsgi_application  # noqa: E402
from hybrid_sched.conf import api as api_options  # noqa: E402
from hybrid_sched.db import DatabaseError  # noqa: E402
from hybrid_sched.version import version_string  # noqa: E402

PROGRAM = "hybrid-sched-api"


def main() -> int:
    """Serve until told to stop."""
    conf = cfg.CONF
    conf.register_cli_opts(api_options.CLI_OPTIONS)
    try:
        application = configured_application(sys.argv[1:])
    except (cfg.Error, ValueError, DatabaseError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1
    waitress.serve(application, host=conf.host, port=conf.port, threads=conf.threads, ident=PROGRAM)
    return 0


def configured_application(arguments: Sequence[str] = ()) -> Application:
    """Read the configuration, set up logging, and make the application.

    :param arguments: of the command line.
    :raises oslo_config.cfg.Error: when the configuration cannot be read.
    """
    conf = cfg.CONF
    log.register_options(conf)
    register(conf)
    named = [
        path.strip()
        for path in os.environ.get(api_options.FILES_VARIABLE, "").split(";")
        if path.strip()
    ]
    conf(
        list(arguments),
        project="hybrid-sched",
        prog=PROGRAM,
        version=version_string(),
        default_config_files=named or None,
    )
    for option in api_options.OPTIONS:
        # A value is looked at only when it is read.
        conf[api_options.GROUP.name][option.name]
    quiet = ("keystoneauth=ERROR", "keystonemiddleware=WARNING", "waitress=WARNING")
    log.set_defaults(default_log_levels=[*log.get_default_log_levels(), *quiet])
    log.setup(conf, PROGRAM)
    return wsgi_application(conf)


if __name__ == "__main__":
    sys.exit(main())
