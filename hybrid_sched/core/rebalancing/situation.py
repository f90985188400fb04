# SPDX-License-Identifier: Apache-2.0
"""All that a decision of the watchdog depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.core.rebalancing.history import History
from hybrid_sched.core.rebalancing.moves import Move
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.readings import HostReading


@dataclass(frozen=True, slots=True)
class Situation:
    """The cluster at one time.

    :param snapshot: as the schedulers see it.
    :param readings: the last report of each host, by name.
    :param history: with these reports taken in.
    :param now_s: Unix time.
    :param parameters: of the watchdog.
    :param moves: the ledger: all in flight, and those that ended within the longest cooldown.
    :param excluded: uuids of tasks that are never moved, such as the one in which the mover itself runs.
    :param apart: groups of uuids of which no two may share a host (anti-affinity).
    :param closed: why, as a phrase, a host takes no more tasks of a framework, by framework and host.
    :param drained: names of hosts that are to be emptied.
    :param named: uuids of tasks that the reclaim ladder names to be moved before others.
    """

    snapshot: Snapshot
    readings: Mapping[str, HostReading]
    history: History
    now_s: float
    parameters: Parameters = field(default_factory=Parameters)
    moves: tuple[Move, ...] = ()
    excluded: frozenset[str] = frozenset()
    apart: tuple[frozenset[str], ...] = ()
    closed: Mapping[tuple[str, str], str] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
