# SPDX-License-Identifier: Apache-2.0
"""What an operator sets of the migration watchdog."""

from __future__ import annotations

from dataclasses import dataclass, fields

from hybrid_sched.core.rebalancing.readings import LENGTH, Use
from hybrid_sched.core.resources import Resources


class BadParameter(ValueError):
    """A parameter that cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the watchdog judges and how much it may do.

    The vectors are in the order of :class:`~hybrid_sched.core.resources.Resources`.

    :param limits: part of a host's capacity after its reserve, in (0, 1]; a host above it is exhausted.
    :param targets: part up to which moves may fill a host, below its limit. The gap keeps a host that has just been relieved,
        or has just taken a task, from being exhausted by the next small rise.
    :param stall_limits: part of the time, in (0, 1], for which tasks may wait for the resource.
    :param over_periods: n: of the last ``of_periods`` periods, those over a limit that make a host exhausted.
    :param of_periods: m.
    :param short_half_life_s: seconds after which a measurement counts half in the recent mean.
    :param long_half_life_s: the same for the usual mean and for the spread.
    :param deviations: N: a target must hold the expected use plus N standard deviations.
    :param stale_after_s: age in seconds from which a report is not acted on.
    :param task_cooldown_s: seconds after a move ended in which its task is not moved again.
    :param host_cooldown_s: seconds after a move ended in which the host that gave takes none and the host that took gives none.
    :param most_per_host: moves at once from and to one host.
    :param most_in_cluster: moves at once.
    :param link_bps: bytes per second at which the memory of a guest is copied.
    :param restart_penalty_s: seconds that the restart of a container counts for.
    :param payback_s: seconds within which a move has to earn what it costs.
    :param emptying_gain: what a task that leaves a host which is to be emptied lowers the score by.
    """

    limits: Use = (0.8, 0.9, 0.8, 0.8, 0.8, 0.8)
    targets: Use = (0.7, 0.85, 0.7, 0.7, 0.7, 0.7)
    stall_limits: Use = (0.4, 0.2, 0.4, 0.4, 1.0, 1.0)
    over_periods: int = 2
    of_periods: int = 3
    short_half_life_s: float = 300.0
    long_half_life_s: float = 14400.0
    deviations: float = 2.0
    stale_after_s: float = 900.0
    task_cooldown_s: float = 3600.0
    host_cooldown_s: float = 1800.0
    most_per_host: int = 2
    most_in_cluster: int = 20
    link_bps: float = 125e6
    restart_penalty_s: float = 30.0
    payback_s: float = 3600.0
    emptying_gain: float = 4.0

    def __post_init__(self) -> None:
        """Check each.

        :raises BadParameter: when one cannot be used.
        """
        for name in ("limits", "targets", "stall_limits"):
            vector = getattr(self, name)
            if len(vector) != LENGTH or not all(0 < part <= 1 for part in vector):
                raise BadParameter(
                    f"{name}: {vector} must be {LENGTH} parts above 0 and at most 1, for {', '.join(Resources._fields)}"
                )
        for resource, target, limit in zip(
            Resources._fields, self.targets, self.limits, strict=True
        ):
            if target >= limit:
                raise BadParameter(
                    f"targets: {target:g} of {resource} is not below its limit {limit:g}; give less"
                )
        if not 1 <= self.over_periods <= self.of_periods:
            raise BadParameter(
                f"over_periods: {self.over_periods} must be from 1 to of_periods, which is {self.of_periods}"
            )
        for name in ("short_half_life_s", "long_half_life_s", "stale_after_s", "link_bps"):
            self._at_least(name, 0, exclusive=True)
        self._at_least("payback_s", 0, exclusive=True)
        self._at_least("emptying_gain", 0, exclusive=True)
        for name in ("deviations", "task_cooldown_s", "host_cooldown_s", "restart_penalty_s"):
            self._at_least(name, 0)
        self._at_least("most_per_host", 1)
        self._at_least("most_in_cluster", 1)

    def _at_least(self, name: str, least: float, *, exclusive: bool = False) -> None:
        value = getattr(self, name)
        # Written so that a value which is no number is refused too.
        if not (value > least if exclusive else value >= least):
            bound = "above" if exclusive else "at least"
            raise BadParameter(f"{name}: {value!r} must be {bound} {least:g}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Give the names of the parameters."""
        return tuple(each.name for each in fields(cls))
