# SPDX-License-Identifier: Apache-2.0
"""What each host has and what it is charged with, from reports and claims; kept up to date change by change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Protocol

from hybrid_sched.core.cluster import DEFAULT_POOL, Host, Task
from hybrid_sched.core.resources import NOTHING, Number, Resources
from hybrid_sched.core.tally import RecentDemands, Tally
from hybrid_sched.quota.statistics import HostRecord, Statistics

_LENGTH = len(Resources._fields)
_NOBODY: frozenset[str] = frozenset()


class ClaimOnHost(Protocol):
    """One consumer's claim on a host, as Placement tells it."""

    @property
    def framework(self) -> str | None:
        """Give the framework that it belongs to; None when that is unknown."""

    @property
    def demand(self) -> Resources:
        """Give the amounts."""

    @property
    def counts_for_share(self) -> bool:
        """Say whether it is charged to the framework, or takes room only (the far end of a move)."""

    @property
    def moves(self) -> str | None:
        """Give the task that a migration moves away from the host; None for others, and while that is unknown."""


ClaimsOf = Callable[[str], Mapping[str, ClaimOnHost]]


@dataclass(frozen=True, slots=True)
class Placing:
    """How the hosts are to be seen: what may change without a report.

    :param score_of: the score of a host.
    :param pool_of: name of its pool, for hosts that are not in the default pool.
    :param drained: hosts that are being emptied.
    """

    score_of: Callable[[HostRecord], Number]
    pool_of: Mapping[str, str]
    drained: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Charge:
    """What one host is charged with.

    :param demands: how many tasks of each framework hold each demand.
    :param by_agent: uuids of the tasks that are charged to whom the agent says: those without a claim, or with one of nobody.
    :param elsewhere: uuids of the tasks that the agent sees and that are claimed on other hosts alone.
    :param doubtful: whether there is a claim of which the agent sees no task.
    """

    capacity: Resources
    used: Mapping[str, Resources]
    other: Resources
    task_count: int
    demands: Mapping[tuple[str, Resources], int]
    by_agent: frozenset[str]
    elsewhere: frozenset[str]
    doubtful: bool


class ClusterState:
    """The hosts, charged with the union of what agents report and what Placement holds.

    A claim counts before a report, since it is what was promised. A task that no claim names is charged as its agent
    declares it. One that two agents see, as during a move, is charged to its share once and takes room on both.

    :param statistics: the reports.
    :param recent_tasks: newest tasks of a framework in a pool whose demands say what a large task is.
    """

    def __init__(self, statistics: Statistics, recent_tasks: int = 1000) -> None:
        self._statistics = statistics
        self._claims_of: ClaimsOf = _no_claims
        # Every consumer with a claim, and on how many hosts.
        self._claimed: Counter[str] = Counter()
        self._claimed_on: dict[str, frozenset[str]] = {}
        self._charges: dict[str, _Charge] = {}
        # Of the tasks that are charged to whom agents say: the host that is charged, and the others that see it too.
        self._holder: dict[str, str] = {}
        self._also_on: dict[str, set[str]] = {}
        self._outdated: set[str] = set()
        self._dirty: set[str] = set()
        self._stale: frozenset[str] = frozenset()
        self.hosts: dict[str, Host] = {}
        self.tallies: dict[str, Tally] = {DEFAULT_POOL: Tally()}
        self._recent_tasks = recent_tasks
        self._recent: dict[tuple[str, str], RecentDemands] = {}
        # By host: how many tasks of each framework with each demand came (or went, if negative) since the last refresh.
        self._came: dict[str, Counter[tuple[str, Resources]]] = {}

    def recent_demands(self, pool: str, framework: str) -> RecentDemands:
        """Give the demands of the newest tasks of a framework in a pool."""
        key = pool, framework
        if key not in self._recent:
            self._recent[key] = RecentDemands(self._recent_tasks)
        return self._recent[key]

    def is_placed(self, uuid: str) -> bool:
        """Say whether a task is on a host."""
        return uuid in self._holder or self._claimed[uuid] > 0

    def framework_of(self, uuid: str) -> str | None:
        """Give the framework of a task that is charged to whom its agent says; None for others."""
        record = self._statistics.get(self._holder.get(uuid, ""))
        task = record.tasks.get(uuid) if record is not None else None
        return None if task is None else task.framework

    def whereabouts(
        self, uuids: Set[str], hosts: Iterable[str] | None = None
    ) -> list[tuple[str, str]]:
        """Give each of some tasks that is on a host, with the host; one that is on several comes several times.

        :param uuids: of the tasks.
        :param hosts: where claims are looked for; None for all. What agents alone know is found everywhere.
        """
        if not uuids:
            return []
        found = [(uuid, host) for uuid in uuids if (host := self._holder.get(uuid)) is not None]
        for host in self._claimed_on if hosts is None else hosts:
            found += [(uuid, host) for uuid in self._claimed_on.get(host, _NOBODY) & uuids]
        return found

    def tasks_on(self, host: str) -> list[Task]:
        """Give the tasks that a host is charged with and its agent sees, each with the demand that it is charged."""
        record = self._statistics.get(host)
        if record is None:
            return []
        claims, tasks = self._claims_of(host), []
        for uuid, task in record.tasks.items():
            claim = claims.get(uuid)
            if claim is not None and claim.counts_for_share:
                tasks.append(
                    task if claim.demand == task.demand else replace(task, demand=claim.demand)
                )
            elif self._holder.get(uuid) == host:
                tasks.append(task)
        return tasks

    def doubted(self) -> set[str]:
        """Name the hosts with a claim of which their agent sees no task: it may be over."""
        return {name for name, charge in self._charges.items() if charge.doubtful}

    def update(self, host: str) -> None:
        """Take in that a host's record changed or went."""
        self._recharge(host)

    def update_claims(self, claims_of: ClaimsOf, hosts: Iterable[str]) -> None:
        """Take in that claims on these hosts changed.

        :param claims_of: gives the claims on a host by consumer.
        """
        self._claims_of = claims_of
        hosts = list(hosts)
        ended: set[str] = set()
        for host in hosts:
            now, before = frozenset(claims_of(host)), self._claimed_on.get(host, frozenset())
            for uuid in before - now:
                self._claimed[uuid] -= 1
                if not self._claimed[uuid]:
                    del self._claimed[uuid]
            ended |= before - now
            self._claimed.update(now - before)
            # A task that was known from agents alone is charged as claimed from now on.
            for uuid in (now - before) & self._holder.keys():
                self._outdated |= {self._holder[uuid], *self._also_on.get(uuid, ())}
            if now:
                self._claimed_on[host] = now
            else:
                self._claimed_on.pop(host, None)
        for host in hosts:
            self._recharge(host)
        ended -= self._claimed.keys()
        if ended:
            # From now on agents have the only word on such a task.
            self._outdated.update(
                host
                for host, charge in self._charges.items()
                if not charge.elsewhere.isdisjoint(ended)
            )

    def refresh(self, placing: Placing, *, everything: bool = False) -> set[str]:
        """Bring ``hosts`` and the sums up to date.

        :param placing: scores and pools.
        :param everything: look at every host and sum up anew, because scores or pools changed.
        :returns: names of the hosts that came, changed or went.
        """
        while self._outdated:
            self._recharge(self._outdated.pop())
        self._take_in_what_came(placing.pool_of)
        stale = frozenset(self._statistics.stale())
        self._dirty |= stale ^ self._stale
        self._stale = stale
        names = self._charges.keys() | self.hosts.keys() if everything else self._dirty
        changed = {}
        for name in names:
            before, host = self.hosts.get(name), self._host(name, placing)
            if host != before:
                changed[name] = before
                if host is None:
                    del self.hosts[name]
                else:
                    self.hosts[name] = host
        self._dirty = set()
        self._sum_up(changed, everything=everything)
        if everything:
            self._take_in_what_new_pools_hold()
        return set(changed)

    def _sum_up(self, changed: Mapping[str, Host | None], *, everything: bool) -> None:
        """Bring the sums up to date.

        :param changed: the hosts that changed, as they were before.
        :param everything: take no sum over from before.
        """
        if everything:
            self.tallies = {DEFAULT_POOL: Tally()}
        for name in self.hosts if everything else changed:
            before, host = changed.get(name), self.hosts.get(name)
            if before is not None and not everything:
                self.tallies[before.pool].remove(before)
            if host is not None:
                self.tallies.setdefault(host.pool, Tally()).add(host)

    def _host(self, name: str, placing: Placing) -> Host | None:
        charge, record = self._charges.get(name), self._statistics.get(name)
        if charge is None or record is None:
            return None
        return Host(
            name=name,
            capacity=charge.capacity,
            score=placing.score_of(record),
            used=charge.used,
            task_count=charge.task_count,
            fresh=self._statistics.is_fresh(record),
            pool=placing.pool_of.get(name, DEFAULT_POOL),
            other=charge.other,
            drained=name in placing.drained,
        )

    def _recharge(self, host: str) -> None:
        before, record = self._charges.get(host), self._statistics.get(host)
        if record is None:
            if before is not None:
                self._release(host, before.by_agent)
                self._count(host, before.demands, -1)
                del self._charges[host]
                self._dirty.add(host)
            return
        charge = self._charge(host, record)
        if before is not None:
            self._release(host, before.by_agent - charge.by_agent)
        if before is None or charge.demands != before.demands:
            if before is not None:
                self._count(host, before.demands, -1)
            self._count(host, charge.demands, 1)
        self._charges[host] = charge
        # Whether it is fresh may have changed even where the charge did not.
        self._dirty.add(host)

    def _charge(self, host: str, record: HostRecord) -> _Charge:
        claims = self._claims_of(host)
        sums: dict[str | None, list[Number]] = {}
        demands: dict[tuple[str, Resources], int] = {}
        task_count, by_agent, elsewhere = len(claims), [], []

        def charge(framework: str | None, demand: Resources) -> None:
            held = sums.get(framework)
            if held is None:
                sums[framework] = list(demand)
            else:
                for index, amount in enumerate(demand):
                    if amount:
                        held[index] += amount
            if framework is not None:
                key = framework, demand
                demands[key] = demands.get(key, 0) + 1

        for uuid, claim in claims.items():
            if claim.framework is None and (task := record.tasks.get(uuid)) is not None:
                # The agent knows what nobody else does.
                by_agent.append(uuid)
                charge(task.framework if self._take_hold(uuid, host) else None, claim.demand)
            else:
                charge(claim.framework if claim.counts_for_share else None, claim.demand)
        moved = {claim.moves for claim in claims.values()}
        for uuid, task in record.tasks.items():
            if uuid not in self._claimed:
                if uuid in moved:
                    # Until it is claimed elsewhere, the claim of its move stands for it.
                    continue
                task_count += 1
                by_agent.append(uuid)
                charge(task.framework if self._take_hold(uuid, host) else None, task.demand)
            elif uuid not in claims:
                # Its room here is held by the claim of its move.
                elsewhere.append(uuid)
        other = sums.pop(None, None)
        return _Charge(
            capacity=record.report.capacity,
            used={name: Resources(*held) for name, held in sums.items() if name is not None},
            other=Resources(*other) if other else NOTHING,
            task_count=task_count,
            demands=demands,
            by_agent=frozenset(by_agent),
            elsewhere=frozenset(elsewhere),
            doubtful=not claims.keys() <= record.tasks.keys(),
        )

    def _take_hold(self, uuid: str, host: str) -> bool:
        """Say whether a host is the one that is charged for a task."""
        holder = self._holder.setdefault(uuid, host)
        if holder != host:
            self._also_on.setdefault(uuid, set()).add(host)
        return holder == host

    def _release(self, host: str, uuids: Iterable[str]) -> None:
        for uuid in uuids:
            others = self._also_on.get(uuid, set())
            if self._holder.get(uuid) != host:
                others.discard(host)
            elif others:
                heir = self._holder[uuid] = min(others)
                others.discard(heir)
                self._outdated.add(heir)
            else:
                del self._holder[uuid]
            if not others:
                self._also_on.pop(uuid, None)

    def _count(self, host: str, demands: Mapping[tuple[str, Resources], int], sign: int) -> None:
        came = self._came.setdefault(host, Counter())
        for key, tasks in demands.items():
            came[key] += sign * tasks

    def _take_in_what_came(self, pool_of: Mapping[str, str]) -> None:
        """Remember the demands of tasks that came; one that went from a host of a pool to another did not come."""
        by_pool: dict[str, Counter[tuple[str, Resources]]] = {}
        for host, came in self._came.items():
            of_pool = by_pool.setdefault(pool_of.get(host, DEFAULT_POOL), Counter())
            for key, tasks in came.items():
                of_pool[key] += tasks
        self._came = {}
        for pool, came in by_pool.items():
            for (framework, demand), tasks in came.items():
                if tasks > 0:
                    self.recent_demands(pool, framework).add(demand, tasks)

    def _take_in_what_new_pools_hold(self) -> None:
        """Begin with what runs there, where hosts were put into a pool to which nothing has come yet."""
        known = {pool for pool, _ in self._recent}
        for name, host in self.hosts.items():
            if host.pool not in known:
                for (framework, demand), tasks in self._charges[name].demands.items():
                    self.recent_demands(host.pool, framework).add(demand, tasks)


def _no_claims(_host: str) -> Mapping[str, ClaimOnHost]:
    return {}
