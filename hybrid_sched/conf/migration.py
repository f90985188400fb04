# SPDX-License-Identifier: Apache-2.0
"""Options of the executors of moves."""

from __future__ import annotations

from oslo_config import cfg

GROUP = cfg.OptGroup(
    "migration",
    title="Moves of guests and containers, which the engine carries out through the groups [nova], [zun] and [neutron]",
)

OPTIONS = [
    cfg.FloatOpt(
        "poll_s",
        default=2.0,
        min=0.1,
        help="Seconds between two looks at a move that has to be waited for, 0.1 or more. The default is short beside the "
        "shortest live migration (about 6 s).",
    ),
    cfg.FloatOpt(
        "live_timeout_s",
        default=800.0,
        min=1.0,
        help="Seconds after which a live migration that is not over is given up, 1 or more; what is done then says "
        "live_on_timeout. The default is what Nova's own [libvirt] live_migration_completion_timeout allows for each GiB.",
    ),
    cfg.StrOpt(
        "live_on_timeout",
        default="abort",
        choices=[
            ("abort", "Abort it: the guest stays on its source, and never stops."),
            (
                "force_complete",
                "Let the hypervisor pause the guest for as long as the rest of its memory needs, or copy it after the switch "
                "where Nova is set to. It is aborted when as much time has passed again.",
            ),
        ],
        help="What to do with a live migration that does not come to its end within live_timeout_s, as one of a guest that "
        "writes its memory faster than it is copied. The default never stops a guest.",
    ),
    cfg.FloatOpt(
        "cold_timeout_s",
        default=1800.0,
        min=1.0,
        help="Seconds after which a cold migration that is not over is taken back as soon as Nova allows it, 1 or more. The "
        "default lets a disk of 100 GB be copied at 60 MB/s.",
    ),
    cfg.FloatOpt(
        "container_timeout_s",
        default=300.0,
        min=1.0,
        help="Seconds that each step of a container's relocation may take before the container is started on its source "
        "again, 1 or more. The default lets the target fetch a large image.",
    ),
    cfg.IntOpt(
        "container_stop_grace_s",
        default=10,
        min=0,
        help="Seconds for which a container that is relocated may end by itself before it is killed, 0 or more. The default is "
        "Docker's own.",
    ),
    cfg.FloatOpt(
        "container_healthy_s",
        default=10.0,
        min=0.0,
        help="Seconds for which a relocated container has to run on its target before the one on its source is deleted, 0 or "
        "more. The default is longer than a program needs to fail on a bad configuration.",
    ),
    cfg.FloatOpt(
        "settle_s",
        default=60.0,
        min=0.2,
        help="Seconds within which a container appears in Zun's listing after a request whose answer was lost, for example "
        "because the engine was killed; until then it is not asked for anew, and the one on its source is not started. Must "
        "be more than twice the timeout of [zun].",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
