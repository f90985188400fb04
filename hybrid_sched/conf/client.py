# SPDX-License-Identifier: Apache-2.0
"""``[hybrid_sched]``: what the plug-ins inside Nova and Zun read from the configuration of those services."""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup(
    "hybrid_sched",
    title="Share filter, Cross-Fill weigher and Cross-Fill order filter",
)

OPTIONS = [
    cfg.StrOpt(
        "declared_path",
        default="/var/lib/zun/hybrid-sched",
        help="""
Directory in which Zun's driver ``hybrid_docker`` notes what each container declared, for the agent on the host: ``[agent]
declared_path`` there. zun-compute must be able to write to it, and nobody else. The default is in zun-compute's state
directory.
""",
    ),
    cfg.StrOpt(
        "transport_url",
        secret=True,
        help="""
URL of the message broker through which the quota service (hybrid-sched-engine) is reached, in the form of
``[DEFAULT] transport_url``. Unset, the broker of the service that loads the plug-in is used, which is right when there is one
broker for all.
""",
    ),
    cfg.FloatOpt(
        "snapshot_max_age_s",
        default=60.0,
        min=1.0,
        help="""
Greatest age, in seconds, of a snapshot that decisions may be based on; 1 or more. An older one is treated as missing and
``on_unavailable`` says what happens. The default spans twelve cycles of the quota service, so that a restart of it or of the
broker goes unnoticed.
""",
    ),
    cfg.StrOpt(
        "on_unavailable",
        default="allow",
        choices=[
            ("allow", "Let every request pass. Placement still guards the capacity of each host."),
            ("deny", "Refuse every host, so that no framework can exceed its share."),
        ],
        help="""
What to do when the quota service cannot be asked and the last snapshot is older than ``snapshot_max_age_s``, or there is
none. The default keeps the cloud working without the quota service.
""",
    ),
    cfg.FloatOpt(
        "refresh_period_s",
        default=5.0,
        min=0.1,
        help="""
How often, in seconds, a background thread asks the quota service for a newer snapshot; 0.1 or more. Snapshots are also
sent to all plug-ins as they are made; asking makes up for one that was lost. The default is the cycle of the quota service.
""",
    ),
    cfg.FloatOpt(
        "first_snapshot_timeout_s",
        default=2.0,
        min=0.0,
        help="""
How long, in seconds, the first request after a start of the process may wait for the first snapshot; 0 or more. It is the
only time that scheduling waits for a snapshot. The default is far longer than an answer takes and short for a user.
""",
    ),
    cfg.FloatOpt(
        "reservation_timeout_s",
        default=0.05,
        min=0.01,
        help="""
How long, in seconds, a request waits for the answer to its reservation when the quota service says ``[quota] reserve =
best_effort``; 0.01 or more. Without an answer the snapshot decides, and until the quota service is heard of again no other
request waits. The default is several times what an answer takes and not felt by a user.
""",
    ),
    cfg.FloatOpt(
        "strict_reservation_timeout_s",
        default=15.0,
        min=0.01,
        help="""
How long, in seconds, a request waits for its reservation when the quota service says ``[quota] reserve = strict``; 0.01 or
more. Without one the request is refused. The default is longer than a standby takes to follow a leader that died.
""",
    ),
    cfg.FloatOpt(
        "cross_fill_weight_multiplier",
        default=1.0,
        help="""
Multiplier of the Cross-Fill weigher in nova-scheduler. A larger number lets it outweigh the other weighers, 0 switches it off
and a negative one turns its order round. A host aggregate can override it with metadata of this name. The default gives it the
weight of each other weigher.
""",
    ),
    cfg.FloatOpt(
        "planned_host_weight_multiplier",
        default=1_000_000_000.0,
        help="""
What the host that a guest was planned for weighs in nova-scheduler, beside the weights of all other weighers together. It is
given by the Cross-Fill weigher, so ``cross_fill_weight_multiplier = 0`` switches it off too. A host aggregate can override it
with metadata of this name. The default is far above all that Nova's own weighers add up to (``build_failure_weight_multiplier``
and ``cross_cell_move_weight_multiplier`` are a million each): a planned guest goes to its host if that passed every filter.
A smaller number lets other weighers have a say, and 0 gives plans no weight.
""",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the plug-ins' options.

    :param conf: the configuration of the service that loads the plug-ins.
    """
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
