# SPDX-License-Identifier: Apache-2.0
"""The record of why a request went where it went, or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hybrid_sched.core.cluster import DEFAULT_POOL
from hybrid_sched.core.resources import Number, Resources


class Stage(StrEnum):
    """The step of scheduling that a decision was taken in."""

    SHARE_GATE = "share_gate"
    ORDER = "order"


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
