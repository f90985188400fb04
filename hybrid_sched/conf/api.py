# SPDX-License-Identifier: Apache-2.0
"""Options of the REST API."""

from __future__ import annotations

from oslo_config import cfg
from oslo_middleware import cors, sizelimit

GROUP = cfg.OptGroup("api", title="The REST API, hybrid-sched-api")

#: Of the environment: names the configuration files for web servers, with semicolons between.
FILES_VARIABLE = "OS_HYBRID_SCHED_CONFIG_FILES"
#: As large as a file of tasks may be.
LARGEST_BODY = 1 << 20

OPTIONS = [
    cfg.FloatOpt(
        "timeout_s",
        default=5.0,
        min=0.1,
        max=300.0,
        mutable=True,
        help="Longest time, in seconds, that a request waits for an answer of the engine, 0.1 to 300; then it is answered with "
        "status 503. The default is far longer than an answer takes, and shorter than clients and proxies wait.",
    ),
    cfg.IntOpt(
        "retry_after_s",
        default=5,
        min=1,
        max=3600,
        mutable=True,
        help="Seconds after which a client is told to ask again when the engine does not answer (header Retry-After), 1 to "
        "3600. The default is about as long as a standby takes to follow an engine that died.",
    ),
    cfg.ListOpt(
        "trust_roles",
        default=["member"],
        help="Names of the roles with which the engine launches tasks in the projects of those who declare them; each declarer "
        "trusts the user of [trustee] with those of them that the token has. Empty for all roles of the token. The default is "
        "what servers and containers take, and nothing more.",
    ),
]

CLI_OPTIONS = [
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="Address on which the program serves; only this machine by default. Web servers that load "
        "hybrid_sched.wsgi.api have settings of their own.",
    ),
    cfg.PortOpt("port", default=9788, help="Port on which the program serves."),
    cfg.IntOpt(
        "threads", default=8, min=1, max=256, help="Requests that the program works on at once."
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


def set_defaults() -> None:
    """Let bodies be as large as a file of tasks may be, and browsers see our headers; also for the sample."""
    cfg.set_defaults(sizelimit.OPTS, max_request_body_size=LARGEST_BODY)
    cors.set_defaults(
        allow_headers=["X-Auth-Token", "X-OpenStack-Request-ID", "OpenStack-API-Version"],
        expose_headers=["X-OpenStack-Request-ID", "OpenStack-API-Version"],
        allow_methods=["GET", "PUT", "POST", "DELETE"],
    )
