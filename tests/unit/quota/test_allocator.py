# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from values import Clock

from hybrid_sched.conf.quota import SharingRules
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Framework, Host, Snapshot, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request
from hybrid_sched.core.shares import SharePolicy
from hybrid_sched.quota.allocator import Allocator
from hybrid_sched.quota.ledger import Ledger
from hybrid_sched.quota.statistics import Statistics
from hybrid_sched.rpc.messages import HostReport

HALF, QUARTER = Fraction(1, 2), Fraction(1, 4)
EQUAL = SharingRules((SharePolicy(HYPERVISOR), SharePolicy(CONTAINER)), {})
NOTHING = Resources()


class Site:
    """An allocator with all that it reads, and the two clocks."""

    def __init__(self):
        self.now = Clock()
        self.unix = Clock()
        self.unix.now_s = 1_700_000_000.0
        self.statistics = Statistics(30.0, 600.0, self.now)
        self.reservations = Ledger(self.now)
        self.pending = Ledger(self.now)
        self.allocator = Allocator(self.statistics, self.reservations, self.pending, self.unix)
        self._sequence = 0

    def report(self, host, *tasks, capacity=Resources(8, 80)):  # noqa: B008 - it is immutable
        self._sequence += 1
        self.statistics.accept(HostReport(host, "boot", self._sequence, capacity, tasks))


@pytest.fixture
def site():
    return Site()


def guest(uuid, vcpu, memory_mb=0):
    return Task(uuid, HYPERVISOR, Resources(vcpu, memory_mb))


def container(uuid, vcpu, memory_mb=0):
    return Task(uuid, CONTAINER, Resources(vcpu, memory_mb))


def request(uuid, vcpu, framework=HYPERVISOR, count=1):
    return Request(uuid, framework, Resources(vcpu=vcpu), count)


def test_a_cycle_turns_what_is_known_into_a_snapshot(site):
    site.report("rich", guest("g1", 2), guest("g2", 1), container("c1", 1, 40))
    site.report("poor", guest("g3", 4), capacity=Resources(16, 160))
    site.reservations.hold(request("g4", HALF, count=2), ttl_s=60)
    site.pending.hold(request("c2", 3, CONTAINER), ttl_s=60)
    rules = SharingRules(
        (SharePolicy(HYPERVISOR, 3, HALF), SharePolicy(CONTAINER)), {"poor": HALF, "other": QUARTER}
    )
    site.now.now_s += 7
    snapshot = site.allocator.cycle(rules)
    guests, containers = snapshot.frameworks.values()
    assert snapshot == Snapshot(
        epoch=snapshot.epoch,
        version=1,
        taken_at_s=1_700_000_000.0,
        pool=Resources(vcpu=16, memory_mb=160),
        hosts={
            "poor": Host(
                "poor", Resources(16, 160), HALF, {HYPERVISOR: Resources(vcpu=4)}, 1, True
            ),
            "rich": Host(
                "rich",
                Resources(8, 80),
                1,
                {HYPERVISOR: Resources(vcpu=3), CONTAINER: Resources(1, 40)},
                3,
                True,
            ),
        },
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
    # Cores are the bottleneck, of which both need as much as their dominant share: 3 to 1.
    assert (guests.fair_share, containers.fair_share) == (Fraction(3, 4), QUARTER)


def test_versions_grow_within_the_life_of_an_allocator(site):
    snapshots = [site.allocator.cycle(EQUAL)]
    site.unix.now_s += 5
    snapshots.append(site.allocator.cycle(EQUAL))
    snapshots.append(site.allocator.charged(snapshots[-1], HYPERVISOR, Resources(vcpu=1)))
    site.unix.now_s += 5
    snapshots.append(site.allocator.cycle(EQUAL))
    assert [snapshot.version for snapshot in snapshots] == [1, 2, 3, 4]
    assert [snapshot.taken_at_s - 1_700_000_000 for snapshot in snapshots] == [0, 5, 5, 10]
    assert len({snapshot.epoch for snapshot in snapshots}) == 1
    assert Site().allocator.cycle(EQUAL).epoch != snapshots[0].epoch


def test_without_reports_there_is_an_empty_pool_and_no_share(site):
    snapshot = site.allocator.cycle(EQUAL)
    assert (snapshot.pool, snapshot.hosts) == (NOTHING, {})
    assert [
        (each.name, each.fair_share, each.head_threshold) for each in snapshot.frameworks.values()
    ] == [(HYPERVISOR, 0, 0), (CONTAINER, 0, 0)]


def test_weights_and_scores_are_those_of_the_cycle(site):
    site.report("one")
    assert site.allocator.cycle(EQUAL).frameworks[HYPERVISOR].fair_share == HALF
    rules = SharingRules((SharePolicy(HYPERVISOR), SharePolicy(CONTAINER, 3)), {"one": HALF})
    snapshot = site.allocator.cycle(rules)
    assert snapshot.frameworks[HYPERVISOR].fair_share == QUARTER
    assert snapshot.pool == Resources(vcpu=4, memory_mb=40)
    assert snapshot.hosts["one"].score == HALF


def test_a_silent_host_is_charged_and_not_fresh_and_at_last_left_out(site):
    site.report("silent", guest("g1", 2))
    site.report("one")
    site.now.now_s += 31
    site.report("one")
    snapshot = site.allocator.cycle(EQUAL)
    assert {name: host.fresh for name, host in snapshot.hosts.items()} == {
        "one": True,
        "silent": False,
    }
    assert snapshot.pool == Resources(16, 160)
    assert snapshot.frameworks[HYPERVISOR].used == Resources(vcpu=2)
    site.now.now_s += 570
    snapshot = site.allocator.cycle(EQUAL)
    assert list(snapshot.hosts) == ["one"]
    assert snapshot.pool == Resources(8, 80)
    assert snapshot.frameworks[HYPERVISOR].used == NOTHING


def test_a_reservation_is_charged_until_its_task_is_and_never_with_it(site):
    site.report("one")
    site.reservations.hold(request("g1", 2), ttl_s=60)
    site.pending.hold(request("g2", 3), ttl_s=60)

    def charged():
        framework = site.allocator.cycle(EQUAL).frameworks[HYPERVISOR]
        return framework.used[0], framework.wanted[0]

    assert charged() == (2, 5)
    site.report("one", guest("g1", 2))
    assert charged() == (2, 5)
    assert "g1" not in site.reservations
    # What was refused and then found its way is no longer asked for.
    site.report("one", guest("g1", 2), guest("g2", 3))
    assert charged() == (5, 5)
    assert "g2" not in site.pending


def test_reservations_and_refused_demand_end_with_their_time(site):
    site.report("one")
    site.reservations.hold(request("g1", 2), ttl_s=10)
    site.pending.hold(request("g2", 3), ttl_s=20)
    used = []
    for _ in range(3):
        framework = site.allocator.cycle(EQUAL).frameworks[HYPERVISOR]
        used.append((framework.used[0], framework.wanted[0]))
        site.now.now_s += 10
    assert used == [(2, 5), (0, 3), (0, 0)]


def test_a_reservation_between_two_cycles_charges_its_framework_alone(site):
    site.report("one", guest("g1", 1), container("c1", 1))
    before = site.allocator.cycle(EQUAL)
    site.unix.now_s += 2
    after = site.allocator.charged(before, HYPERVISOR, Resources(vcpu=2, memory_mb=5))
    guests = before.frameworks[HYPERVISOR]
    assert after == replace(
        before,
        version=2,
        taken_at_s=1_700_000_002.0,
        frameworks={
            HYPERVISOR: replace(guests, used=Resources(3, 5), wanted=Resources(3, 5)),
            CONTAINER: before.frameworks[CONTAINER],
        },
    )
    assert list(after.frameworks) == [HYPERVISOR, CONTAINER]
    assert guests.used == Resources(vcpu=1)
