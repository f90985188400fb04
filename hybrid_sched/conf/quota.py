# SPDX-License-Identifier: Apache-2.0
"""Options of hybrid-sched-engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from oslo_config import cfg

from hybrid_sched.core.cluster import FRAMEWORKS, ReserveMode
from hybrid_sched.core.ladder import LadderRules
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
        "two thirds when both want all they can have. Equal by default. A weight that was set with `hybrid-sched-manage "
        "framework set-weight` counts before this one.",
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
        help="Hardware score of single hosts, HOST:SCORE, above 0 and at most 1; it counts before the table of scores. What "
        "runs on a host is charged times its score. Empty by default: the table knows the hardware.",
    ),
    cfg.StrOpt(
        "default_score",
        default="1",
        mutable=True,
        help="Score of a host whose hardware is in no row of the table of scores, above 0 and at most 1. Such hosts are marked "
        "in `hybrid-sched-manage hosts list`. The default, 1, takes nothing from hardware that nobody has judged.",
    ),
    cfg.StrOpt(
        "reserve",
        default="none",
        choices=[
            ("none", "Plug-ins go by the last snapshot alone."),
            (
                "best_effort",
                "Plug-ins ask for a reservation, and go by the snapshot where none is given in time.",
            ),
            ("strict", "Plug-ins place nothing without a reservation."),
        ],
        mutable=True,
        help="Whether the plug-ins ask for a reservation before each new task. Without one, tasks that are placed between two "
        "snapshots may together exceed a share by what is placed in that time; the next snapshot sets it right, so that none "
        "is the default.",
    ),
    cfg.FloatOpt(
        "report_max_age_s",
        default=30.0,
        min=1.0,
        help="Seconds after which a host's last report is too old to act on. The default is three periods of the agents.",
    ),
    cfg.FloatOpt(
        "clock_skew_s",
        default=10.0,
        min=0.1,
        help="Seconds that the clock of a host may be ahead of the engine's; a report from further in the future is refused. "
        "The default is far more than NTP leaves.",
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
        help="Seconds for which a request that the share gate refused, or for which Nova or Zun found no host, counts as "
        "wanted, so that its framework gets back what it lent. 0 counts none. The default outlasts the usual retry.",
    ),
    cfg.FloatOpt(
        "reservation_ttl_s",
        default=120.0,
        min=1.0,
        mutable=True,
        help="Seconds after which a reservation ends if its task has not appeared on a host. The default covers slow starts.",
    ),
    cfg.FloatOpt(
        "squeeze_after_s",
        default=60.0,
        min=0.0,
        mutable=True,
        help="Seconds for which a framework may keep what it borrowed after the lender wants it back, before the CPU weights "
        "of its tasks are reduced. It gets no new grants from the first moment. The default lets short tasks end by "
        "themselves.",
    ),
    cfg.FloatOpt(
        "relieve_after_s",
        default=300.0,
        min=0.0,
        mutable=True,
        help="Seconds from the squeeze until the borrower's youngest movable tasks are named as candidates for a move. The "
        "default gives the squeeze time to work.",
    ),
    cfg.StrOpt(
        "least_squeeze",
        default="1/10",
        mutable=True,
        help="Smallest factor on the CPU weights of a borrower, above 0 and at most 1; 1 switches the squeeze off. The squeeze "
        "is in proportion to what is borrowed; the default keeps every task alive.",
    ),
    cfg.IntOpt(
        "recent_tasks",
        default=1000,
        min=1,
        help="Newest tasks of each framework in each pool, 1 or more, whose demands say from which size on a task is a "
        "Cross-Fill head: the large half of them. The default is enough for a steady median, and a busy cluster forgets "
        "within days what was asked for before. `hybrid-sched-manage shares list` shows the size that follows.",
    ),
    cfg.IntOpt(
        "decisions_kept",
        default=10000,
        min=0,
        help="Requests whose decisions the engine keeps in memory for `hybrid-sched-manage decision` and `why`; each takes "
        "about a kilobyte, and more where many hosts are refused. Older ones are read from the database.",
    ),
    cfg.FloatOpt(
        "decisions_retention_days",
        default=30.0,
        min=0.0,
        mutable=True,
        help="Days for which decisions are kept in the database, where they outlive the engine; 0 keeps none there. At most "
        "ten steps of a request are kept, each of about a kilobyte and never of more than 60. The default answers what users "
        "ask about last month's requests, and is some 3 GB for 30,000 requests a day.",
    ),
    cfg.FloatOpt(
        "history_interval_s",
        default=60.0,
        min=0.0,
        mutable=True,
        help="Seconds between two records of the shares in the database, which `openstack hybrid share history` shows; 0 "
        "records none. Of a cycle there is one at most. The default shows what a person would notice.",
    ),
    cfg.FloatOpt(
        "history_retention_days",
        default=14.0,
        min=0.0,
        mutable=True,
        help="Days for which the history of shares is kept; 0 keeps none. The default shows the week before this one, too. "
        "With the default interval it is some 40,000 rows a pool, 10 MB.",
    ),
    cfg.FloatOpt(
        "receipt_window_s",
        default=3600.0,
        min=0.0,
        help="Seconds that a receipt of a task reaches back (`hybrid-sched-manage receipt`), what was promised to it against "
        "what it got; kept for as long after the task has gone. 0 counts nothing. The engine keeps a window in 12 parts in "
        "memory, some 2 kB a task whatever its length. The default, an hour, shows what users complain of now.",
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
    :param default_score: of hosts whose hardware is unknown.
    :param ladder: grace periods of the reclaim ladder.
    :param reserve: whether the plug-ins ask for reservations.
    """

    policies: tuple[SharePolicy, ...]
    host_scores: Mapping[str, Number]
    default_score: Number
    ladder: LadderRules
    reserve: ReserveMode

    def with_weights(self, weights: Mapping[str, Number]) -> tuple[SharePolicy, ...]:
        """Give the policies with other weights, by framework, where there are any."""
        return tuple(
            replace(policy, weight=weights.get(policy.name, policy.weight))
            for policy in self.policies
        )


def sharing_rules(conf: cfg.ConfigOpts) -> SharingRules:
    """Read what decides shares.

    :raises BadOption: when an option cannot be used.
    """
    options = conf.quota
    weights = _numbers("weights", options.weights, FRAMEWORKS)
    lending = _numbers("lending", options.lending, FRAMEWORKS, most=1, zero=True)
    policies = (
        SharePolicy(name, weights.get(name, 1), lending.get(name, 1)) for name in FRAMEWORKS
    )
    return SharingRules(
        policies=tuple(policies),
        host_scores=_numbers("host_scores", options.host_scores, None, most=1),
        default_score=number_of(
            options.default_score, f"[quota] default_score: {options.default_score}", most=1
        ),
        ladder=LadderRules(
            options.squeeze_after_s,
            options.relieve_after_s,
            number_of(
                options.least_squeeze, f"[quota] least_squeeze: {options.least_squeeze}", most=1
            ),
        ),
        reserve=ReserveMode(options.reserve),
    )


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
        numbers[name] = number_of(value, where, most=most, zero=zero)
    return numbers


def number_of(value: str, where: str, *, most: int | None = None, zero: bool = False) -> Number:
    """Read an exact number.

    :param value: such as 2, 0.5 or 3/4.
    :param where: names it in the error.
    :param most: the largest one allowed.
    :param zero: whether 0 is allowed.
    :raises BadOption: when it is none, or out of range.
    """
    try:
        number = exact(value)
    except ValueError as error:
        raise BadOption(f"{where}: {error}") from None
    if number < 0 or (number == 0 and not zero) or (most is not None and number > most):
        least = "0 or more" if zero else "more than 0"
        limit = "" if most is None else f" and at most {most}"
        raise BadOption(f"{where}: give a number of {least}{limit}")
    return number
