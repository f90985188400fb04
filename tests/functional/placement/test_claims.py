# SPDX-License-Identifier: Apache-2.0
"""Claims on the real Placement: what they show at each step of what Nova and Zun write, and what reading it costs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from cloud import EmulatedNova, PlacementCloud
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hybrid_sched.core.claims import Claim, ClaimKind
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.claims import Claims

AMOUNTS = {"VCPU": 2, "MEMORY_MB": 512}
DEMAND = Resources(vcpu=2, memory_mb=512)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Reader:
    """Claims of a cloud, with a clock that stands still and frameworks that a test tells."""

    def __init__(self, cloud: PlacementCloud, *, nova: bool = True, **settings: Any) -> None:
        self.cloud = cloud
        self.nova = EmulatedNova()
        self.frameworks: dict[str, str] = {}
        self.clock = Clock()
        self.claims = Claims(
            cloud.client,
            self.nova if nova else None,  # type: ignore[arg-type]
            self.frameworks.get,
            now_s=self.clock,
            **settings,
        )

    def consumer(self, framework: str | None = None) -> str:
        made = str(uuid.uuid4())
        if framework:
            self.frameworks[made] = framework
        return made

    def refresh(self, *doubted: str) -> tuple[set[str], int]:
        """Refresh; gives the hosts that changed and how many providers were read."""
        self.cloud.reader.asked.clear()
        changed = self.claims.refresh(doubted)
        read = sum(
            count
            for asked, count in self.cloud.reader.asked.items()
            if asked.endswith("/allocations")
        )
        assert self.cloud.reader.asked["GET /resource_providers"] == 1
        return changed, read

    def view(self) -> dict[str, dict[str, Claim]]:
        return {host: dict(self.claims.of(host)) for host in self.claims.known_hosts() or ()}

    def counted(self) -> list[tuple[str, str]]:
        """Give host and consumer of each claim that counts for a share."""
        return sorted(
            (host, uuid)
            for host, claims in self.view().items()
            for uuid, claim in claims.items()
            if claim.counts_for_share
        )

    def room_taken(self, host: str) -> int:
        return sum(int(claim.demand.memory_mb) for claim in self.claims.of(host).values())


@pytest.fixture
def reader(cloud: PlacementCloud) -> Reader:
    return Reader(cloud)


def test_a_refresh_reads_only_hosts_that_were_written_to(
    cloud: PlacementCloud, reader: Reader
) -> None:
    hosts = {f"host{number}": cloud.start_host(f"host{number}") for number in range(20)}
    assert reader.claims.known_hosts() is None
    assert reader.claims.age_s() is None
    assert reader.refresh() == (set(hosts), 20)
    assert reader.claims.known_hosts() == set(hosts)
    assert reader.refresh() == (set(), 0)
    guest = reader.consumer(HYPERVISOR)
    container = reader.consumer(CONTAINER)
    cloud.claim(guest, {hosts["host3"]: AMOUNTS | {"DISK_GB": 1}})
    cloud.claim(container, {hosts["host7"]: AMOUNTS})
    assert reader.refresh() == ({"host3", "host7"}, 2)
    assert reader.claims.of("host3") == {
        guest: Claim(guest, HYPERVISOR, DEMAND, ClaimKind.TASK, counts_for_share=True)
    }
    assert reader.claims.of("host7")[container].framework == CONTAINER
    assert reader.claims.of("elsewhere") == {}
    reader.clock.now_s += 7
    assert reader.claims.age_s() == 7


def test_hosts_come_and_go(cloud: PlacementCloud, reader: Reader) -> None:
    one = cloud.start_host("one")
    reader.refresh()
    two = cloud.start_host("two")
    assert reader.refresh() == ({"two"}, 1)
    cloud.remove_host(one)
    assert reader.refresh() == ({"one"}, 0)
    assert reader.claims.known_hosts() == {"two"}
    cloud.remove_host(two)
    cloud.start_host("two")
    reader.refresh()
    assert reader.claims.known_hosts() == {"two"}


def test_a_deleted_claim_is_noticed_where_it_is_doubted_and_everywhere_in_turn(
    cloud: PlacementCloud, reader: Reader
) -> None:
    hosts = {name: cloud.start_host(name) for name in ("one", "two", "three", "four")}
    guests = {}
    for name, provider in hosts.items():
        guests[name] = reader.consumer(HYPERVISOR)
        cloud.claim(guests[name], {provider: AMOUNTS})
    reader.refresh()
    for guest in guests.values():
        cloud.delete(guest)
    assert reader.refresh() == (set(), 0)
    assert reader.refresh("two") == ({"two"}, 1)
    # A quarter of the minute in which all are read: one of four.
    for _ in range(4):
        reader.clock.now_s += 15
        changed, read = reader.refresh()
        assert read == 1
        assert len(changed) <= 1
    assert all(not claims for claims in reader.view().values())


@pytest.mark.parametrize("failing", [False, True], ids=["completes", "is rolled back"])
def test_a_guest_counts_once_at_each_step_of_a_live_migration(
    cloud: PlacementCloud, reader: Reader, *, failing: bool
) -> None:
    source, target = cloud.start_host("source"), cloud.start_host("target")
    guest, migration = reader.consumer(HYPERVISOR), reader.consumer()
    neighbour = reader.consumer(CONTAINER)
    cloud.write({guest: {source: AMOUNTS}, neighbour: {target: AMOUNTS}})
    reader.refresh()
    beside = ("target", neighbour)
    assert reader.counted() == [("source", guest), beside]
    assert reader.nova.calls == 0

    reader.nova.moves[migration] = guest
    cloud.write({guest: {}, migration: {source: AMOUNTS}})
    assert reader.refresh()[0] == {"source"}
    assert reader.counted() == [("source", migration), beside]
    moving = reader.claims.of("source")[migration]
    assert (moving.kind, moving.framework) == (ClaimKind.MIGRATION, HYPERVISOR)

    cloud.write({guest: {target: AMOUNTS}})
    assert reader.refresh()[0] == {"source", "target"}
    assert reader.counted() == sorted([("target", guest), beside])
    assert (reader.room_taken("source"), reader.room_taken("target")) == (512, 1024)

    reader.nova.moves.clear()
    if failing:
        cloud.write({migration: {}, guest: {source: AMOUNTS}})
        end, room = "source", (512, 512)
    else:
        reader.refresh()
        assert reader.counted() == sorted([("target", guest), beside])
        cloud.write({migration: {}})
        end, room = "target", (0, 1024)
    reader.refresh()
    assert reader.counted() == sorted([(end, guest), beside])
    assert (reader.room_taken("source"), reader.room_taken("target")) == room
    assert reader.nova.calls == 1


def test_a_guest_that_moves_is_charged_to_no_share_for_a_moment_where_nova_is_not_asked(
    cloud: PlacementCloud,
) -> None:
    reader = Reader(cloud, nova=False)
    source, target = cloud.start_host("source"), cloud.start_host("target")
    guest, migration = reader.consumer(HYPERVISOR), reader.consumer()
    cloud.claim(guest, {source: AMOUNTS})
    reader.refresh()
    cloud.write({guest: {}, migration: {source: AMOUNTS}})
    reader.refresh()
    assert reader.counted() == []
    assert reader.room_taken("source") == 512
    assert reader.claims.unknown_consumers() == {migration}
    cloud.write({guest: {target: AMOUNTS}})
    reader.refresh()
    assert reader.counted() == [("target", guest)]


def test_an_evacuated_guest_takes_room_on_both_hosts_and_counts_once(
    cloud: PlacementCloud, reader: Reader
) -> None:
    dead, target = cloud.start_host("dead"), cloud.start_host("target")
    guest = reader.consumer(HYPERVISOR)
    cloud.claim(guest, {dead: AMOUNTS, target: AMOUNTS})
    reader.refresh()
    assert (reader.room_taken("dead"), reader.room_taken("target")) == (512, 512)
    assert len(reader.counted()) == 1
    # When the dead host is back, Nova takes its part out: no generation tells so.
    cloud.claim(guest, {target: AMOUNTS})
    reader.refresh()
    assert reader.counted() == [("target", guest)]
    assert reader.room_taken("dead") == 0


def test_whom_nobody_knows_is_found_out_by_the_type_of_the_consumer(
    cloud: PlacementCloud, reader: Reader
) -> None:
    host = cloud.start_host("one")
    guest, migration, odd = (reader.consumer() for _ in range(3))
    cloud.claim(guest, {host: AMOUNTS}, "INSTANCE")
    cloud.claim(migration, {host: AMOUNTS}, "MIGRATION")
    cloud.claim(odd, {host: AMOUNTS}, "BICYCLE")
    reader.refresh()
    claims = reader.claims.of("one")
    assert (claims[guest].framework, claims[guest].kind) == (HYPERVISOR, ClaimKind.TASK)
    assert (claims[migration].framework, claims[migration].kind) == (
        HYPERVISOR,
        ClaimKind.MIGRATION,
    )
    assert claims[odd].framework is None
    assert reader.counted() == [("one", guest)]
    assert reader.claims.unknown_consumers() == {odd}
    assert reader.room_taken("one") == 3 * 512


def test_whom_nobody_knows_becomes_known_when_its_agent_reports_it(
    cloud: PlacementCloud, reader: Reader
) -> None:
    host = cloud.start_host("one")
    container = reader.consumer()
    cloud.claim(container, {host: AMOUNTS})
    reader.refresh()
    assert reader.counted() == []
    reader.frameworks[container] = CONTAINER
    assert reader.refresh() == ({"one"}, 0)
    assert reader.counted() == [("one", container)]


def test_parts_of_a_host_count_to_the_host(cloud: PlacementCloud, reader: Reader) -> None:
    host = cloud.start_host("one", MEMORY_MB=10_000)
    cells = [cloud.start_host(f"one_{cell}", host, VCPU=8, PCPU=8) for cell in "ab"]
    card = cloud.start_host("one_card", host, VGPU=4)
    assert reader.refresh() == ({"one"}, 4)
    guest = reader.consumer(HYPERVISOR)
    cloud.claim(
        guest,
        {host: {"MEMORY_MB": 512}, cells[0]: {"VCPU": 1}, cells[1]: {"PCPU": 3}, card: {"VGPU": 1}},
    )
    reader.refresh()
    assert reader.claims.known_hosts() == {"one"}
    assert reader.claims.of("one")[guest].demand == Resources(vcpu=4, memory_mb=512)
    assert reader.counted() == [("one", guest)]
    cloud.claim(guest, {host: {"MEMORY_MB": 256}, cells[0]: {"VCPU": 2}})
    reader.refresh()
    assert reader.claims.of("one")[guest].demand == Resources(vcpu=2, memory_mb=256)


HOSTS = 3
CONSUMERS = 4
held = st.dictionaries(
    st.integers(0, HOSTS - 1),
    st.fixed_dictionaries({"VCPU": st.integers(1, 3), "MEMORY_MB": st.integers(1, 3)}),
    max_size=2,
)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"), st.dictionaries(st.integers(0, CONSUMERS - 1), held, min_size=1)
        ),
        st.tuples(st.just("delete"), st.integers(0, CONSUMERS - 1)),
        st.tuples(st.just("refresh"), st.none()),
    ),
    max_size=12,
)


@settings(
    max_examples=15,
    deadline=None,
    # Each example costs seconds of a real service: one that fails is shown as it is.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps)
def test_what_was_kept_up_to_date_is_what_is_read_anew(
    cloud: PlacementCloud, steps: list[tuple[str, Any]]
) -> None:
    """Whatever is written in between; hosts are doubted where a consumer was known that is deleted."""
    names = [str(uuid.uuid4()) for _ in range(HOSTS)]
    hosts = [cloud.start_host(name) for name in names]
    kept = Reader(cloud)
    consumers = [kept.consumer(HYPERVISOR) for _ in range(CONSUMERS)]
    deleted: set[str] = set()
    kept.refresh()
    for step, what in [*steps, ("refresh", None)]:
        match step:
            case "write":
                cloud.write(
                    {
                        consumers[index]: {hosts[host]: amounts for host, amounts in each.items()}
                        for index, each in what.items()
                    }
                )
            case "delete":
                cloud.delete(consumers[what])
                deleted.add(consumers[what])
            case "refresh":
                kept.refresh(*(host for host, each in kept.view().items() if deleted & each.keys()))
                deleted.clear()
    anew = Claims(cloud.client, None, kept.frameworks.get)
    anew.refresh()
    assert kept.view() == {host: dict(anew.of(host)) for host in anew.known_hosts() or ()}
    for name, host in zip(names, hosts, strict=True):
        assert {uuid: claim.demand._asdict() for uuid, claim in anew.of(name).items()} == {
            uuid: Resources(each["VCPU"], each["MEMORY_MB"])._asdict()
            for uuid, each in cloud.claimed(host).items()
        }
    for consumer in consumers:
        cloud.delete(consumer)
    for host in hosts:
        cloud.remove_host(host)
