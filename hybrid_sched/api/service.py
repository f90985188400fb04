# SPDX-License-Identifier: Apache-2.0
"""The REST API as a web server runs it."""

from __future__ import annotations

from oslo_config import cfg

from hybrid_sched.api.access import enforcer_of
from hybrid_sched.api.application import make_application
from hybrid_sched.api.call import Asks
from hybrid_sched.api.middleware import Application, surrounded
from hybrid_sched.clients.engine import EngineClient
from hybrid_sched.clients.trusts import Trusts
from hybrid_sched.conf import api as api_options
from hybrid_sched.conf import clients as client_options
from hybrid_sched.conf import database as database_options
from hybrid_sched.db import Database

_VERSION = "1.1"


def register(conf: cfg.ConfigOpts) -> None:
    """Add all options that the API reads."""
    api_options.register(conf)
    api_options.set_defaults()
    database_options.register(conf)
    client_options.register(conf)


def wsgi_application(conf: cfg.ConfigOpts, client: Asks | None = None) -> Application:
    """Make the application with all that is around it.

    :param conf: options, with those of :func:`register`, read.
    :param client: asks the quota service; None to ask it over the bus.
    :raises ValueError: when options cannot be used; the option is named.
    """
    database = Database(**database_options.parameters(conf))
    # An engine that knows of no owners would take on tasks of tenants as the operator's.
    client = client or EngineClient(conf, version=_VERSION)
    inner = make_application(conf, client, database, Trusts(conf), enforcer_of(conf))
    application = surrounded(inner, conf)
    if not conf.keystone_authtoken.www_authenticate_uri:
        raise ValueError(
            "[keystone_authtoken] www_authenticate_uri: without it no token can be checked: set it to the public address of "
            "Keystone, and auth_type with what goes with it"
        )
    return application
