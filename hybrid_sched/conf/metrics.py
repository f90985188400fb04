# SPDX-License-Identifier: Apache-2.0
"""Options of the metrics."""

from oslo_config import cfg

GROUP = cfg.OptGroup("metrics", title="Metrics for Prometheus")

OPTIONS = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Serve metrics of the leading engine over HTTP. Off by default: nothing listens that nobody asked for.",
    ),
    cfg.HostAddressOpt(
        "address",
        default="127.0.0.1",
        help="Address to serve them on. There is neither TLS nor a password, so that the default is loopback; put a proxy "
        "before it for others.",
    ),
    cfg.PortOpt(
        "port",
        default=9782,
        help="Port to serve them on. The default is one that no well-known exporter uses.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
