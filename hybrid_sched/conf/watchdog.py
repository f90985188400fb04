# SPDX-License-Identifier: Apache-2.0
"""Options of the migration watchdog."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from oslo_config import cfg

from hybrid_sched.conf.quota import BadOption
from hybrid_sched.core.cluster import FRAMEWORKS
from hybrid_sched.core.rebalancing.base import DEFAULT_STRATEGY
from hybrid_sched.core.rebalancing.parameters import BadParameter, Parameters
from hybrid_sched.core.resources import Resources

GROUP = cfg.OptGroup(
    "watchdog",
    title="The migration watchdog, which moves tasks away from hosts that run out of something",
)

_DEFAULTS: dict[str, Any] = {
    each.name: each.default for each in fields(Parameters) if each.default is not MISSING
}
_VECTORS = ("limits", "targets", "stall_limits")


def _vector(name: str, text: str) -> cfg.DictOpt:
    written = dict(zip(Resources._fields, map(str, _DEFAULTS[name]), strict=True))
    return cfg.DictOpt(name, default=written, mutable=True, help=text)


def _number(name: str, least: float, text: str) -> cfg.Opt:
    default = _DEFAULTS[name]
    made = cfg.IntOpt if isinstance(default, int) else cfg.FloatOpt
    return made(name, default=default, min=least, mutable=True, help=text)


OPTIONS = [
    cfg.StrOpt(
        "mode",
        default="off",
        choices=[
            ("off", "decide nothing; what an operator applies or drains is carried out"),
            ("dry_run", "decide and keep a ledger, and move nothing, whoever asks"),
            ("on", "decide and move"),
        ],
        mutable=True,
        help="What the watchdog does by itself. Off by default: let it run dry first, and look at `hybrid-sched-manage "
        "rebalance list`. A move that was begun goes on to its end in each mode.",
    ),
    cfg.StrOpt(
        "strategy",
        default=DEFAULT_STRATEGY,
        mutable=True,
        help="Strategy that decides, by its name in hybrid_sched.rebalancing: relieve, balance, consolidate or one's own. "
        "Hosts that are drained are emptied besides, whatever it is. The default makes the fewest moves.",
    ),
    cfg.DictOpt(
        "executors",
        default={"hypervisor": "nova_live", "container": "zun_relocate"},
        mutable=True,
        help="Executor that moves the tasks of each framework, FRAMEWORK:NAME, by its name in "
        "hybrid_sched.migration.executor. Tasks of a framework that is not named are not moved.",
    ),
    cfg.FloatOpt(
        "period_s",
        default=60.0,
        min=1.0,
        mutable=True,
        help="Seconds between two decisions; also the period of over_periods and of_periods. The default is some periods of "
        "the agents, so that each decision has new reports of all hosts.",
    ),
    cfg.FloatOpt(
        "step_period_s",
        default=1.0,
        min=0.05,
        mutable=True,
        help="Seconds between two looks at the moves under way. A look costs a query of the database.",
    ),
    cfg.IntOpt(
        "threads",
        default=4,
        min=1,
        max=64,
        help="Steps of moves under way at once, 1 to 64. The others wait for their turn.",
    ),
    cfg.FloatOpt(
        "move_timeout_s",
        default=1800.0,
        min=1.0,
        mutable=True,
        help="Seconds after which a move that has not ended is undone. The default lets a large guest be copied.",
    ),
    cfg.FloatOpt(
        "retry_pause_s",
        default=10.0,
        min=0.0,
        mutable=True,
        help="Seconds after which a step is asked for again whose service did not answer.",
    ),
    cfg.FloatOpt(
        "failure_pause_s",
        default=1800.0,
        min=0.0,
        mutable=True,
        help="Seconds for which a task of which two moves have failed within that time is left alone, so that another one of "
        "its host has its turn. After its first failure it is looked at again in the next period.",
    ),
    cfg.FloatOpt(
        "settle_s",
        default=90.0,
        min=0.0,
        help="Seconds for which a new leader leaves moves alone that another one began, as a step of it may be under way "
        "still. Must be longer than a step, which ends within about a minute.",
    ),
    cfg.ListOpt(
        "excluded",
        default=[],
        mutable=True,
        help="UUIDs of guests and containers that are never moved, such as those in which the engine, its database or its "
        "broker run. Empty by default.",
    ),
    cfg.IntOpt(
        "reserved_cpus",
        default=0,
        min=0,
        mutable=True,
        help="CPUs of each host that are kept for the host itself: limits and targets are parts of the others.",
    ),
    cfg.IntOpt(
        "reserved_memory_mb",
        default=512,
        min=0,
        mutable=True,
        help="Memory of each host, in MiB, that is kept for the host itself. The default is Nova's reserved_host_memory_mb.",
    ),
    cfg.FloatOpt(
        "measure_after_s",
        default=900.0,
        min=1.0,
        mutable=True,
        help="Seconds after a move at which its effect is measured and kept beside the predicted one. The default is three "
        "times short_half_life_s, after which what was before the move counts an eighth.",
    ),
    cfg.FloatOpt(
        "shortfall_limit",
        default=0.25,
        min=0.01,
        max=1.0,
        mutable=True,
        help="Part of a host's capacity by which its source or target may be fuller after a move than was predicted. A "
        "strategy that is further off three times in a row switches itself off. By default a quarter of a host.",
    ),
    cfg.FloatOpt(
        "plan_valid_s",
        default=900.0,
        min=1.0,
        mutable=True,
        help="Seconds within which a plan that was shown may be applied.",
    ),
    cfg.FloatOpt(
        "forget_after_s",
        default=30 * 86400.0,
        min=3600.0,
        mutable=True,
        help="Seconds for which moves that have ended stay in the ledger, never less than the cooldowns. By default a month.",
    ),
    _vector(
        "limits",
        "Part of a host's capacity after its reserve, above 0 and at most 1, RESOURCE:PART; above it a host is exhausted. What "
        "is left out keeps its default.",
    ),
    _vector(
        "targets",
        "Part up to which moves may fill a host, below its limit, so that it is not exhausted by the next small rise.",
    ),
    _vector(
        "stall_limits",
        "Part of the time for which tasks may wait for the resource (pressure stall information), above 0 and at most 1.",
    ),
    _number(
        "over_periods",
        1,
        "Periods over a limit, of the last of_periods, that make a host exhausted.",
    ),
    _number("of_periods", 1, "Last periods that are looked at, at least over_periods."),
    _number(
        "short_half_life_s", 1, "Seconds after which a measurement counts half in the recent mean."
    ),
    _number(
        "long_half_life_s",
        1,
        "Seconds after which a measurement counts half in the usual mean and the spread.",
    ),
    _number(
        "deviations",
        0,
        "Standard deviations above the expected use that a host has to be ready for. With more, there are more moves sooner.",
    ),
    _number(
        "stale_after_s",
        1,
        "Age of a report, in seconds, from which its host gives and takes nothing.",
    ),
    _number("task_cooldown_s", 0, "Seconds after a move in which its task is not moved again."),
    _number(
        "host_cooldown_s",
        0,
        "Seconds after a move in which the host that gave takes none and the host that took gives none.",
    ),
    _number("most_per_host", 1, "Moves under way at once from and to one host."),
    _number("most_in_cluster", 1, "Moves under way at once in the cluster."),
    _number("link_bps", 1, "Bytes per second at which the memory of a guest is copied."),
    _number("restart_penalty_s", 0, "Seconds that the restart of a container counts for."),
    _number("payback_s", 1, "Seconds within which a move has to earn what it costs."),
    _number(
        "emptying_gain",
        0.01,
        "What a task that leaves a host which is to be emptied lowers the imbalance score by.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Add the group to the options of a program of ours."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


def parameters(conf: cfg.ConfigOpts) -> Parameters:
    """Read what the policy is given.

    :raises BadOption: when an option cannot be used.
    """
    options = conf.watchdog
    given: dict[str, Any] = {name: options[name] for name in _DEFAULTS if name not in _VECTORS}
    given |= {name: _vector_of(name, options[name]) for name in _VECTORS}
    try:
        return Parameters(**given)
    except BadParameter as fault:
        raise BadOption(f"[watchdog] {fault}") from None


def executors(conf: cfg.ConfigOpts) -> dict[str, str]:
    """Read the name of the executor of each framework.

    :raises BadOption: when a framework is unknown.
    """
    named: dict[str, str] = dict(conf.watchdog.executors)
    for framework in named:
        if framework not in FRAMEWORKS:
            known = " or ".join(FRAMEWORKS)
            raise BadOption(f"[watchdog] executors: {framework!r} is unknown: give {known}")
    return named


def _vector_of(name: str, given: dict[str, str]) -> tuple[float, ...]:
    parts = dict(zip(Resources._fields, _DEFAULTS[name], strict=True))
    for resource, text in given.items():
        if resource not in parts:
            known = ", ".join(Resources._fields)
            raise BadOption(f"[watchdog] {name}: {resource!r} is unknown: give some of {known}")
        try:
            parts[resource] = float(text)
        except ValueError:
            raise BadOption(
                f"[watchdog] {name}: {text!r} of {resource} is not a number: give a part such as 0.8"
            ) from None
    return tuple(parts.values())
