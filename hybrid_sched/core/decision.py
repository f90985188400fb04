# SPDX-License-Identifier: Apache-2.0
"""The record of why a request went where it went, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice

from hybrid_sched.core.cluster import DEFAULT_POOL
from hybrid_sched.core.resources import Number, Resources


class Stage(StrEnum):
    """The step of scheduling that a decision was taken in."""

    SHARE_GATE = "share_gate"
    ORDER = "order"
    #: Not taken by a scheduler, but seen afterwards: where Placement or the agents show the task.
    CLAIMED = "claimed"


@dataclass(frozen=True, slots=True)
class Decision:
    """One step of one request.

    :param request_uuid: the guest or container.
    :param framework: who asked.
    :param demand: of one task, unscored.
    :param stage: the step.
    :param decided_at_s: Unix time.
    :param snapshot_version: of the snapshot that was used; None without one.
    :param snapshot_age_s: how old it was.
    :param hosts: hosts that passed, best first where the step orders them.
    :param refused: a sentence for each host that did not pass.
    :param refused_by_share: True when nothing but the framework's share kept it from a host.
    :param text: one sentence on the rule that was used.
    :param pool: the pool whose share refused it.
    :param weights: of ``hosts``, one each, where the step weighs them.
    :param more_hosts: hosts that passed and are left out of ``hosts``, which keeps the best ones.
    :param more_refused: hosts that did not pass and are left out of ``refused``.
    """

    request_uuid: str
    framework: str
    demand: Resources
    stage: Stage
    decided_at_s: float
    snapshot_version: int | None
    snapshot_age_s: float | None
    hosts: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    refused_by_share: bool = False
    text: str = ""
    pool: str = DEFAULT_POOL
    weights: tuple[Number, ...] = ()
    more_hosts: int = 0
    more_refused: int = 0

    @property
    def key(self) -> tuple[str, float, str]:
        """Give what tells one step from all others: the request, the time and the step."""
        return self.request_uuid, self.decided_at_s, self.stage.value


def shortened(decision: Decision, most_hosts: int) -> Decision:
    """Leave out the hosts beyond a number and count them, so that a record stays small in a large cluster.

    :param decision: any.
    :param most_hosts: kept of those that passed, the best first, and of those that did not.
    """
    hosts, refused = len(decision.hosts), len(decision.refused)
    if max(hosts, refused) <= most_hosts:
        return decision
    return replace(
        decision,
        hosts=decision.hosts[:most_hosts],
        weights=decision.weights[:most_hosts],
        refused=dict(islice(decision.refused.items(), most_hosts)),
        more_hosts=decision.more_hosts + max(0, hosts - most_hosts),
        more_refused=decision.more_refused + max(0, refused - most_hosts),
    )
