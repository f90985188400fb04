# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from values import Clock, report

from hybrid_sched.core.cluster import (
    CONTAINER,
    DEFAULT_POOL,
    HYPERVISOR,
    Framework,
    Host,
    Pool,
    ReserveMode,
    Rung,
    Snapshot,
    Task,
)
from hybrid_sched.core.ladder import LadderRules
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.core.shares import SharePolicy
from hybrid_sched.quota.allocator import Allocator, CycleRules
from hybrid_sched.quota.cluster_state import ClusterState, Placing
from hybrid_sched.quota.ledger import Ledger
from hybrid_sched.quota.statistics import ReportLimits, Statistics

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)
NOTHING = Resources()
UNIX_S = 1_700_000_000.0
LADDER = LadderRules(squeeze_after_s=10, relieve_after_s=20, least_squeeze=Fraction(1, 10))


def weighed(guests: Any = 1, containers: Any = 1, **pools: tuple[Any, Any]) -> CycleRules:
    """Make rules with a weight for each framework, in the default pool and in others."""
    return CycleRules(
        policies={
            pool: (SharePolicy(HYPERVISOR, of_guests), SharePolicy(CONTAINER, of_containers))
            for pool, (of_guests, of_containers) in {
                DEFAULT_POOL: (guests, containers),
                **pools,
            }.items()
        },
        ladder=LADDER,
    )


class Site:
    """An allocator with all that it reads, and the two clocks."""

    def __init__(self, term: int = 3) -> None:
        self.now, self.unix = Clock(), Clock()
        self.unix.now_s = UNIX_S
        limits = ReportLimits(max_age_s=30, clock_skew_s=10, forget_after_s=600)
        self.statistics = Statistics(limits, self.now, self.unix)
        self.state = ClusterState(self.statistics)
        self.reservations, self.pending = Ledger(self.unix), Ledger(self.unix)
        self.allocator = Allocator(
            term, self.state, self.reservations, self.pending, self.now, self.unix
        )
        self.scores: dict[str, Any] = {}
        self.pools: dict[str, str] = {}
        self._sequence = 0

    def report(self, host: str, *tasks: Task, capacity: Resources = Resources(8, 80)) -> None:  # noqa: B008 - immutable
        self._sequence += 1
        self.statistics.accept(
            report(
                host,
                *tasks,
                sequence=self._sequence,
                capacity=capacity,
                sampled_at_s=self.unix.now_s,
            )
        )
        self.state.update(host)

    def wait(self, seconds: float) -> None:
        self.now.now_s += seconds
        self.unix.now_s += seconds

    def cycle(self, rules: CycleRules | None = None, *, everything: bool = False) -> Snapshot:
        placing = Placing(lambda record: self.scores.get(record.report.host, 1), self.pools)
        return self.allocator.cycle(rules or weighed(), placing, everything=everything)

    def used(self, framework: str = HYPERVISOR, pool: str = DEFAULT_POOL) -> tuple[Any, Any]:
        """Run a cycle; gives cores that are charged and cores that are wanted."""
        found = self.cycle().pools[pool].frameworks[framework]
        return found.used[0], found.wanted[0]


@pytest.fixture
def site() -> Site:
    return Site()


def guest(uuid: str, vcpu: Any, memory_mb: int = 0) -> Task:
    return Task(uuid, HYPERVISOR, Resources(vcpu, memory_mb))


def container(uuid: str, vcpu: Any, memory_mb: int = 0) -> Task:
    return Task(uuid, CONTAINER, Resources(vcpu, memory_mb))


def request(uuid: str, vcpu: Any, framework: str = HYPERVISOR, count: int = 1) -> Request:
    return Request(uuid, framework, Resources(vcpu=vcpu), count)


def test_a_cycle_turns_what_is_known_into_a_snapshot(site: Site) -> None:
    site.report("rich", guest("g1", 2), guest("g2", 1), container("c1", 1, 40))
    site.report("poor", guest("g3", 4), capacity=Resources(16, 160))
    site.scores["poor"] = HALF
    site.reservations.hold(request("g4", HALF, count=2), DEFAULT_POOL, ttl_s=60)
    site.pending.hold(request("c2", 3, CONTAINER), DEFAULT_POOL, ttl_s=60)
    policies = (SharePolicy(HYPERVISOR, 3, HALF), SharePolicy(CONTAINER))
    rules = CycleRules({DEFAULT_POOL: policies}, LADDER, ReserveMode.STRICT)
    site.wait(7)
    snapshot = site.cycle(rules)
    guests, containers = snapshot.pools[DEFAULT_POOL].frameworks.values()
    assert snapshot == Snapshot(
        term=3,
        version=1,
        taken_at_s=UNIX_S + 7,
        reserve=ReserveMode.STRICT,
        hosts={
            "poor": Host("poor", Resources(16, 160), HALF, {HYPERVISOR: Resources(vcpu=4)}, 1),
            "rich": Host(
                "rich",
                Resources(8, 80),
                1,
                {HYPERVISOR: Resources(vcpu=3), CONTAINER: Resources(1, 40)},
                3,
            ),
        },
        pools={
            DEFAULT_POOL: Pool(
                DEFAULT_POOL,
                capacity=Resources(vcpu=16, memory_mb=160),
                frameworks={
                    HYPERVISOR: Framework(
                        name=HYPERVISOR,
                        weight=3,
                        # Three cores, four at half, and two halves that are reserved.
                        used=Resources(vcpu=6),
                        wanted=Resources(vcpu=6),
                        fair_share=guests.fair_share,
                        entitlement=Fraction(6, 16),
                        floor=guests.fair_share / 2,
                        # The upper median of 1, 2 and 4 cores of 16.
                        head_threshold=Fraction(2, 16),
                    ),
                    CONTAINER: Framework(
                        name=CONTAINER,
                        weight=1,
                        used=Resources(1, 40),
                        wanted=Resources(4, 40),
                        fair_share=containers.fair_share,
                        entitlement=QUARTER,
                        floor=0,
                        head_threshold=QUARTER,
                    ),
                },
            )
        },
    )
    # Cores are the bottleneck, of which both need as much as their dominant share: 3 to 1.
    assert (guests.fair_share, containers.fair_share) == (Fraction(3, 4), QUARTER)


def test_versions_grow_within_the_term(site: Site) -> None:
    before_the_first = site.allocator.snapshot
    snapshots = [site.cycle()]
    site.wait(5)
    snapshots.append(site.cycle())
    snapshots.append(site.allocator.charged(DEFAULT_POOL, HYPERVISOR, Resources(vcpu=1)))
    site.wait(5)
    snapshots.append(site.cycle())
    assert [each.stamp for each in (before_the_first, *snapshots)] == [(3, n) for n in range(5)]
    assert [each.taken_at_s - UNIX_S for each in snapshots] == [0, 5, 5, 10]
    assert site.allocator.snapshot is snapshots[-1]


def test_without_reports_there_is_an_empty_pool_and_no_share(site: Site) -> None:
    snapshot = site.cycle()
    assert snapshot.hosts == {}
    (pool,) = snapshot.pools.values()
    assert pool.capacity == NOTHING
    assert [
        (each.name, each.fair_share, each.head_threshold) for each in pool.frameworks.values()
    ] == [(HYPERVISOR, 0, 0), (CONTAINER, 0, 0)]


def test_weights_and_scores_are_those_of_the_cycle(site: Site) -> None:
    site.report("one")
    assert site.cycle().pools[DEFAULT_POOL].frameworks[HYPERVISOR].fair_share == HALF
    site.scores["one"] = HALF
    snapshot = site.cycle(weighed(1, 3), everything=True)
    pool = snapshot.pools[DEFAULT_POOL]
    assert pool.frameworks[HYPERVISOR].fair_share == QUARTER
    assert pool.capacity == Resources(vcpu=4, memory_mb=40)
    assert snapshot.hosts["one"].score == HALF


def test_each_pool_is_shared_by_its_own_weights_use_and_wants(site: Site) -> None:
    site.report("one", guest("g1", 2))
    site.report("two", container("c1", 3), container("c2", 4), capacity=Resources(16, 160))
    site.report("three")
    site.pools = {"two": "fast", "three": "plain"}
    site.reservations.hold(request("g2", 1), "fast", ttl_s=60)
    site.pending.hold(request("c3", 2, CONTAINER), "plain", ttl_s=60)
    snapshot = site.cycle(weighed(1, 1, fast=(1, 3)), everything=True)
    assert {name: pool.capacity[0] for name, pool in snapshot.pools.items()} == {
        DEFAULT_POOL: 8,
        "fast": 16,
        "plain": 8,
    }

    def amounts(pool: str) -> dict[str, tuple[Any, Any]]:
        frameworks = snapshot.pools[pool].frameworks.values()
        return {each.name: (each.used[0], each.wanted[0]) for each in frameworks}

    assert amounts(DEFAULT_POOL) == {HYPERVISOR: (2, 2), CONTAINER: (0, 0)}
    assert amounts("fast") == {HYPERVISOR: (1, 1), CONTAINER: (7, 7)}
    assert amounts("plain") == {HYPERVISOR: (0, 0), CONTAINER: (0, 2)}
    weights = {
        name: [each.weight for each in pool.frameworks.values()]
        for name, pool in snapshot.pools.items()
    }
    # A pool that nobody weighed goes by the default pool's.
    assert weights == {DEFAULT_POOL: [1, 1], "fast": [1, 3], "plain": [1, 1]}
    assert snapshot.hosts["two"].pool == "fast"


def test_a_silent_host_is_charged_and_not_fresh(site: Site) -> None:
    site.report("silent", guest("g1", 2))
    site.report("one")
    site.wait(31)
    site.report("one")
    snapshot = site.cycle()
    assert {name: host.fresh for name, host in snapshot.hosts.items()} == {
        "one": True,
        "silent": False,
    }
    pool = snapshot.pools[DEFAULT_POOL]
    assert pool.capacity == Resources(16, 160)
    assert pool.frameworks[HYPERVISOR].used == Resources(vcpu=2)


def test_a_reservation_is_charged_until_its_task_is_and_never_with_it(site: Site) -> None:
    site.report("one")
    site.reservations.hold(request("g1", 2), DEFAULT_POOL, ttl_s=60)
    site.pending.hold(request("g2", 3), DEFAULT_POOL, ttl_s=60)
    assert site.used() == (2, 5)
    site.report("one", guest("g1", 2))
    assert site.used() == (2, 5)
    assert site.reservations.entries() == ()
    # What was refused and then found its way is no longer asked for.
    site.report("one", guest("g1", 2), guest("g2", 3))
    assert site.used() == (5, 5)
    assert site.pending.entries() == ()


def test_reservations_and_refused_demand_end_with_their_time(site: Site) -> None:
    site.report("one")
    site.reservations.hold(request("g1", 2), DEFAULT_POOL, ttl_s=10)
    site.pending.hold(request("g2", 3), DEFAULT_POOL, ttl_s=20)
    used = []
    for _ in range(3):
        used.append(site.used())
        site.wait(10)
    assert used == [(2, 5), (0, 3), (0, 0)]


def test_a_reservation_between_two_cycles_charges_its_framework_and_pool_alone(site: Site) -> None:
    site.report("one", guest("g1", 1), container("c1", 1))
    site.report("two", guest("g2", 1))
    site.pools = {"two": "fast"}
    before = site.cycle(everything=True)
    site.wait(2)
    # No host declares a rate, so that it takes nothing from a share.
    after = site.allocator.charged(DEFAULT_POOL, HYPERVISOR, Resources(2, 5, disk_read_bps=9))
    home = before.pools[DEFAULT_POOL]
    guests = home.frameworks[HYPERVISOR]
    charged = replace(guests, used=Resources(3, 5), wanted=Resources(3, 5))
    assert after == replace(
        before,
        version=2,
        taken_at_s=UNIX_S + 2,
        pools={
            DEFAULT_POOL: replace(home, frameworks={**home.frameworks, HYPERVISOR: charged}),
            "fast": before.pools["fast"],
        },
    )
    assert list(after.pools[DEFAULT_POOL].frameworks) == [HYPERVISOR, CONTAINER]
    assert guests.used == Resources(vcpu=1)


def test_the_ladder_of_each_pool_goes_by_its_own_borrowers_and_the_clock(site: Site) -> None:
    site.report("one", *(container(str(n), 1) for n in range(8)))
    site.report("two", container("c", 1))
    site.pools = {"two": "fast"}
    site.pending.hold(request("g", 4), DEFAULT_POOL, ttl_s=600)
    seen = []
    for _ in range(4):
        pools = site.cycle(everything=True).pools
        borrower = pools[DEFAULT_POOL].frameworks[CONTAINER]
        seen.append((borrower.rung, borrower.squeeze))
        assert pools["fast"].frameworks[CONTAINER].rung is Rung.NONE
        site.now.now_s += 10
    assert seen == [
        (Rung.NO_GRANTS, 1),
        (Rung.SQUEEZE, HALF),
        (Rung.SQUEEZE, HALF),
        (Rung.RELIEVE, HALF),
    ]


def test_only_hosts_that_changed_after_a_version_are_named(site: Site) -> None:
    site.report("one")
    site.report("two")
    site.cycle()
    site.report("one", guest("g1", 1))
    site.cycle()
    site.allocator.charged(DEFAULT_POOL, HYPERVISOR, Resources(vcpu=1))
    site.cycle()
    named = {version: set(site.allocator.changed_since(version)) for version in range(5)}
    assert named == {0: {"one", "two"}, 1: {"one"}, 2: set(), 3: set(), 4: set()}
