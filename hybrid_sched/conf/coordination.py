# SPDX-License-Identifier: Apache-2.0
"""Options by which engines elect their leader."""

import socket

from oslo_config import cfg

GROUP = cfg.OptGroup("coordination", title="Coordination: which engine leads")

OPTIONS = [
    cfg.StrOpt(
        "backend_url",
        default="file:///var/lib/hybrid-sched/coordination",
        secret=True,
        help="Where the engines agree on their leader, a URL of tooz: file:// (engines on one machine), etcd3+http://, "
        "mysql:// or redis://. Install the driver's library too. The default needs nothing but a folder.",
    ),
    cfg.StrOpt(
        "member_id",
        default=socket.gethostname(),
        sample_default="<hostname>",
        help="Name of this engine, different for each of them: engines on one machine need names of their own.",
    ),
    cfg.FloatOpt(
        "election_period_s",
        default=1.0,
        min=0.05,
        help="Seconds between two attempts of a standby to lead. The default makes a standby follow well within a cycle of the "
        "quota service.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
