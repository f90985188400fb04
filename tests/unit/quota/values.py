# SPDX-License-Identifier: Apache-2.0
"""Values and a clock for tests of the quota service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.cluster import CONTAINER, Snapshot, Task
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Number, Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.rpc.messages import HostReport

START_S = 1000.0


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = START_S

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class HeldClaim:
    """A claim as Placement tells it."""

    framework: str | None
    demand: Resources
    counts_for_share: bool = True
    moves: str | None = None


def claim(
    memory_mb: int, framework: str | None = CONTAINER, *, counts: bool | None = None
) -> HeldClaim:
    """Make a claim; one of unknown origin counts for no share unless it is said to."""
    known = framework is not None
    return HeldClaim(framework, Resources(memory_mb=memory_mb), known if counts is None else counts)


def by_host(
    claims: Mapping[str, Mapping[str, HeldClaim]],
) -> Callable[[str], Mapping[str, HeldClaim]]:
    """Give claims as the cluster's state asks for them; what is changed afterwards is seen."""
    return lambda host: claims.get(host, {})


def quota_conf(**options: Any) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    # A group of its own: what is set in a shared one stays set for others.
    conf.register_opts(quota_options.OPTIONS, group=cfg.OptGroup("quota"))
    conf([], default_config_files=[])
    for name, value in options.items():
        conf.set_override(name, value, group="quota")
    return conf


def task(uuid: str, memory_mb: int, framework: str = CONTAINER, **changes: Any) -> Task:
    return Task(uuid, framework, Resources(memory_mb=memory_mb), **changes)


def report(host: str, *tasks: Task, sequence: int = 1, **changes: Any) -> HostReport:
    """Make the report of a host of 100 MiB."""
    values = {
        "boot_id": "boot",
        "sampled_at_s": START_S,
        "capacity": Resources(memory_mb=100),
        "cpus": 8,
        "memory_mb": 100,
        **changes,
    }
    return HostReport(host=host, sequence=sequence, tasks=tasks, **values)


def request(uuid: str, memory_mb: int, framework: str = CONTAINER, **changes: Any) -> Request:
    return Request(uuid, framework, Resources(memory_mb=memory_mb), **changes)


def decision(uuid: str, stage: Stage = Stage.SHARE_GATE, **changes: Any) -> Decision:
    values = {
        "framework": CONTAINER,
        "demand": Resources(memory_mb=10),
        "decided_at_s": 1.0,
        "snapshot_version": 1,
        "snapshot_age_s": 0.1,
        **changes,
    }
    return Decision(request_uuid=uuid, stage=stage, **values)


def used_mb(snapshot: Snapshot, framework: str = CONTAINER, pool: str = "") -> Number:
    """Give the scored charge of a framework in a pool."""
    return snapshot.pools[pool].frameworks[framework].used[1]


def as_made(decision: Decision) -> Callable[[], Decision]:
    """Give a decision to whoever asks for it in the background."""
    return lambda: decision
