# SPDX-License-Identifier: Apache-2.0
"""Options of the queue of declared tasks."""

from __future__ import annotations

from oslo_config import cfg

from hybrid_sched.core.packing.base import DEFAULT_PACKER

GROUP = cfg.OptGroup(
    "queue",
    title="The queue of declared tasks, which the engine launches through the groups [nova] and [zun]",
)

OPTIONS = [
    cfg.BoolOpt(
        "enabled",
        default=True,
        mutable=True,
        help="Whether the engine works on queued tasks. Without it what runs goes on, and nothing is launched, watched or "
        "deleted. The default costs one query of the database each period while the queue is empty.",
    ),
    cfg.FloatOpt(
        "period_s",
        default=5.0,
        min=0.05,
        mutable=True,
        help="Seconds between two rounds, in each of which the queue is planned, launches are asked for, and each service is "
        "asked once for what runs. The default is the period of the engine.",
    ),
    cfg.StrOpt(
        "packer",
        default=DEFAULT_PACKER,
        mutable=True,
        help="Packer that chooses the hosts, by its name in hybrid_sched.packing; the default is the one that measured best. "
        "The metadata hybrid_packer=NAME of a host aggregate overrides it for the pools of the aggregate's hosts.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=3,
        min=1,
        mutable=True,
        help="Launches after which a task has failed, 1 or more. A launch for which no host had room, and a service that does "
        "not answer, are not counted. The default outlasts a single bad host.",
    ),
    cfg.FloatOpt(
        "retry_pause_s",
        default=5.0,
        min=0.0,
        mutable=True,
        help="Seconds for which a task whose launch failed waits before the next; doubled after each further one.",
    ),
    cfg.FloatOpt(
        "retry_pause_max_s",
        default=300.0,
        min=0.0,
        mutable=True,
        help="Seconds which that pause never exceeds. The default lets a task start soon after room has appeared that the "
        "engine could not foresee.",
    ),
    cfg.FloatOpt(
        "settle_s",
        default=60.0,
        min=0.2,
        mutable=True,
        help="Seconds within which a server or container appears in its service's listing after a launch whose answer was "
        "lost, for example because the engine was killed; until then the task is not launched anew. Must be more than twice "
        "the timeout of [nova] and [zun], since requests are sent during its first half only.",
    ),
    cfg.FloatOpt(
        "launch_timeout_s",
        default=900.0,
        min=1.0,
        mutable=True,
        help="Seconds after which a server or container that is still being built is deleted and counts as a failed launch. "
        "The default lets a host fetch a large image.",
    ),
    cfg.IntOpt(
        "launch_threads",
        default=4,
        min=1,
        max=32,
        mutable=True,
        help="Launches under way at once, 1 to 32; they are begun in the order of the plan. With 1 each is answered before the "
        "next is asked for. The default launches 30 guests within seconds and leaves the services room for others.",
    ),
    cfg.FloatOpt(
        "forget_after_s",
        default=7 * 86400.0,
        min=60.0,
        mutable=True,
        help="Seconds for which tasks that have ended stay in the database. They tell how long tasks of their kind run. The "
        "default is a week.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
