# SPDX-License-Identifier: Apache-2.0
"""The allocation cycle of level 1 (paper 4.2): what is known of hosts and wants, to a new snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from hybrid_sched.core.cluster import DEFAULT_POOL, Arrival, Pool, ReserveMode, Snapshot
from hybrid_sched.core.ladder import Ladder, LadderRules
from hybrid_sched.core.resources import Vector, add
from hybrid_sched.core.shares import SharePolicy, frameworks_of, rationed
from hybrid_sched.quota.cluster_state import ClusterState, Placing
from hybrid_sched.quota.ledger import Ledger


@dataclass(frozen=True, slots=True)
class CycleRules:
    """What decides the shares of a cycle.

    :param policies: weights and lending of the frameworks, by pool; pools that are not named go by the default pool's.
    :param ladder: grace periods of the reclaim ladder.
    :param reserve: whether the plug-ins ask for reservations.
    :param arrivals: containers on their way, by the uuid of their move.
    """

    policies: Mapping[str, tuple[SharePolicy, ...]]
    ladder: LadderRules
    reserve: ReserveMode = ReserveMode.NONE
    arrivals: Mapping[str, Arrival] = field(default_factory=dict)

    def policies_of(self, pool: str) -> tuple[SharePolicy, ...]:
        """Give weights and lending in one pool."""
        return self.policies.get(pool, self.policies[DEFAULT_POOL])


class Allocator:
    """Make snapshots, each with a version of its own within a term.

    :param term: fencing token of this leader.
    :param state: hosts and their charges.
    :param reservations: demand that was granted and is not on a host yet; charged like use.
    :param pending: demand that was refused lately; counts as wanted.
    :param now_s: the monotonic clock.
    :param clock_s: Unix time.
    """

    def __init__(  # noqa: PLR0917
        self,
        term: int,
        state: ClusterState,
        reservations: Ledger,
        pending: Ledger,
        now_s: Callable[[], float],
        clock_s: Callable[[], float],
    ) -> None:
        self._state = state
        self._reservations = reservations
        self._pending = pending
        self._now_s = now_s
        self._clock_s = clock_s
        self._ladders: dict[str, Ladder] = {}
        # The version in which each host came, changed or went last.
        self._changed_in: dict[str, int] = {}
        self.snapshot = Snapshot(term, 0, clock_s(), {DEFAULT_POOL: Pool("", (), {})}, {})

    def cycle(self, rules: CycleRules, placing: Placing, *, everything: bool = False) -> Snapshot:
        """Run one cycle.

        :param rules: weights, lending and grace periods as they are now.
        :param placing: scores and pools as they are now.
        :param everything: look at every host and sum up anew, because scores or pools changed.
        :returns: the new snapshot.
        """
        changed = self._state.refresh(placing, everything=everything)
        self._reservations.settle(self._state.is_placed)
        self._pending.settle(self._state.is_placed)
        pools = {name: self._pool(name, rules) for name in sorted(self._state.tallies)}
        hosts = dict(self._state.hosts) if changed else self.snapshot.hosts
        made = replace(
            self.snapshot, pools=pools, hosts=hosts, reserve=rules.reserve, arrivals=rules.arrivals
        )
        return self._publish(made, changed)

    def charged(self, pool: str, framework: str, demand: Vector) -> Snapshot:
        """Charge a framework with a reservation between two cycles.

        :param pool: in which it counts.
        :param framework: whose reservation it is.
        :param demand: of the whole reservation; its host is not known, so it is charged as on the best one.
        :returns: a newer snapshot. Entitlements stay as they are until the next cycle.
        """
        home = self.snapshot.pools[pool]
        demand = rationed(demand, home.capacity)
        before = home.frameworks[framework]
        after = replace(before, used=add(before.used, demand), wanted=add(before.wanted, demand))
        home = replace(home, frameworks={**home.frameworks, framework: after})
        return self._publish(replace(self.snapshot, pools={**self.snapshot.pools, pool: home}), ())

    def changed_since(self, version: int) -> list[str]:
        """Name the hosts that came, changed or went after a version of this term."""
        return [name for name, changed_in in self._changed_in.items() if changed_in > version]

    def _pool(self, name: str, rules: CycleRules) -> Pool:
        tally = self._state.tallies[name]
        capacity = tally.capacity()
        policies = rules.policies_of(name)
        names = [policy.name for policy in policies]
        frameworks = frameworks_of(
            capacity,
            policies,
            {each: add(tally.charge(each), self._reserved(each, name)) for each in names},
            {each: self._pending.demand_of(each, name) for each in names},
            {
                each: self._state.recent_demands(name, each).head_threshold(capacity)
                for each in names
            },
        )
        ladder = self._ladders.setdefault(name, Ladder())
        return Pool(name, capacity, ladder.climb(frameworks, rules.ladder, self._now_s()))

    def _reserved(self, framework: str, pool: str) -> Vector:
        return self._reservations.demand_of(framework, pool)

    def _publish(self, snapshot: Snapshot, changed: Iterable[str]) -> Snapshot:
        version = self.snapshot.version + 1
        for name in changed:
            self._changed_in[name] = version
        self.snapshot = replace(snapshot, version=version, taken_at_s=self._clock_s())
        return self.snapshot
