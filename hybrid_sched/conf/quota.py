# SPDX-License-Identifier: Apache-2.0
"""Options of hybrid-sched-engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oslo_config import cfg

from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.resources import Number, exact
from hybrid_sched.core.shares import SharePolicy

GROUP = cfg.OptGroup("quota", title="Quota service: how the cluster is shared")

OPTIONS = [
    cfg.FloatOpt(
        "period_s",
        default=5.0,
        min=0.1,
        help="Seconds between two cycles, each of which publishes the shares anew. The default is half of the agents' period, "
        "so that a report is acted on within it.",
    ),
    cfg.DictOpt(
        "weights",
        default={"hypervisor": "1", "container": "1"},
        mutable=True,
        help="Weight of each framework, a number above 0 such as 2, 0.5 or 3/4. With hypervisor:2,container:1 guests may hold "
        "two thirds when both want all they can have. Equal by default.",
    ),
    cfg.DictOpt(
        "lending",
        default={"hypervisor": "1", "container": "1"},
        mutable=True,
        help="Part of each framework's fair share, 0 to 1, that the other may borrow while it is idle. 0 keeps the whole share "
        "free for it. The default, 1, leaves nothing idle that somebody can use.",
    ),
    cfg.DictOpt(
        "host_scores",
        default={},
        mutable=True,
        help="Hardware score of hosts, HOST:SCORE, above 0 and at most 1; a host not named has 1. What runs on a host is "
        "charged times its score.",
    ),
    cfg.FloatOpt(
        "report_max_age_s",
        default=30.0,
        min=1.0,
        help="Seconds after which a host's last report is too old to act on. The default is three periods of the agents.",
    ),
    cfg.FloatOpt(
        "forget_host_after_s",
        default=600.0,
        min=10.0,
        help="Seconds without a report after which a host is left out of the pool. Until then it is charged with what it held "
        "last, since an agent that is away does not end the tasks.",
    ),
    cfg.FloatOpt(
        "pending_ttl_s",
        default=120.0,
        min=0.0,
        mutable=True,
        help="Seconds for which a request that the share gate refused counts as wanted, so that its framework gets back what "
        "it lent. 0 counts none. The default outlasts the usual retry.",
    ),
    cfg.FloatOpt(
        "reservation_ttl_s",
        default=120.0,
        min=1.0,
        mutable=True,
        help="Seconds after which a reservation ends if its task has not appeared on a host. The default covers slow starts.",
    ),
    cfg.IntOpt(
        "decisions_kept",
        default=10000,
        min=0,
        help="Requests whose decisions are kept for `hybrid-sched-manage decision`; each takes about a kilobyte of memory.",
    ),
    cfg.IntOpt(
        "placement_threads",
        default=8,
        min=1,
        max=10,
        help="Calls of Placement that are under way at once while claims are read, 1 to 10, which is how many connections are "
        "kept open. The default reads a thousand hosts within seconds after a start and leaves Placement room for others.",
    ),
    cfg.FloatOpt(
        "placement_reread_s",
        default=60.0,
        min=5.0,
        help="Seconds within which the claims of every host are read even if nothing seems to have changed, a few hosts in "
        "each cycle. Placement does not tell when the claims of a deleted guest go, so that they may count for this long "
        "where no agent reports. The default costs 17 calls a second for a thousand hosts.",
    ),
    cfg.StrOpt(
        "pools_from",
        default="none",
        choices=[
            ("none", "All hosts are one pool."),
            (
                "aggregate",
                "Hosts of an aggregate of Nova with the metadata hybrid_sched:pool=NAME are the pool NAME.",
            ),
            ("availability_zone", "Each availability zone of Nova is a pool."),
        ],
        mutable=True,
        help="What divides the hosts into pools, each of which is shared by itself; hosts that nothing puts into a pool make "
        "up one together. Other values than the default need the group [nova].",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


class BadOption(ValueError):
    """An option has a value that cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class SharingRules:
    """The options that decide shares, as exact numbers.

    :param policies: weight and lending of each framework, in the order that breaks ties.
    :param host_scores: score of each host that is named.
    """

    policies: tuple[SharePolicy, ...]
    host_scores: Mapping[str, Number]


def sharing_rules(conf: cfg.ConfigOpts) -> SharingRules:
    """Read weights, lending and scores.

    :raises BadOption: when one cannot be used.
    """
    weights = _numbers("weights", conf.quota.weights, FRAMEWORKS)
    lending = _numbers("lending", conf.quota.lending, FRAMEWORKS, most=1, zero=True)
    scores = _numbers("host_scores", conf.quota.host_scores, None, most=1)
    policies = (
        SharePolicy(name, weights.get(name, 1), lending.get(name, 1)) for name in FRAMEWORKS
    )
    return SharingRules(tuple(policies), scores)


def _numbers(
    option: str,
    values: Mapping[str, str],
    names: tuple[str, ...] | None,
    *,
    most: int | None = None,
    zero: bool = False,
) -> dict[str, Number]:
    numbers = {}
    for name, value in values.items():
        where = f"[quota] {option}: {name}:{value}"
        if names is not None and name not in names:
            raise BadOption(f"{where}: unknown framework; use {' or '.join(names)}")
        try:
            number = exact(value)
        except ValueError as error:
            raise BadOption(f"{where}: {error}") from None
        if number < 0 or (number == 0 and not zero) or (most is not None and number > most):
            least = "0 or more" if zero else "more than 0"
            limit = "" if most is None else f" and at most {most}"
            raise BadOption(f"{where}: give a number of {least}{limit}")
        numbers[name] = number
    return numbers
