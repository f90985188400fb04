# SPDX-License-Identifier: Apache-2.0
"""Claims on an emulated Placement, for faults and many cases; functional/placement has the real one."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import Clock

from hybrid_sched.clients.nova import Migration
from hybrid_sched.clients.placement import Provider
from hybrid_sched.clients.session import ServiceFault
from hybrid_sched.core.claims import Claim, ClaimKind
from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.resources import Resources
from hybrid_sched.quota.claims import Claims, ClaimsUnavailable
from hybrid_sched.quota.consumers import MOST_TYPES

HELD = {"VCPU": 1, "MEMORY_MB": 10}


class EmulatedPlacement:
    """Claims of hosts; generations change as the real one's do."""

    def __init__(self, *hosts: str) -> None:
        self.generations = dict.fromkeys(hosts, 1)
        self.first_generations = itertools.count(10**6, 10**3)
        self.held: dict[str, dict[str, dict[str, int]]] = {}
        self.types: dict[str, str] = {}
        self.gone: set[str] = set()
        self.read: list[str] = []
        self.asked_types: list[str] = []
        self.before_reading: Callable[[str], None] = lambda _host: None

    def write(self, consumer: str, held: dict[str, dict[str, int]]) -> None:
        touched = held or self.held.get(consumer, {})
        for host in touched:
            self.generations[host] += 1
        self.held[consumer] = held

    def delete(self, consumer: str) -> None:
        self.held.pop(consumer, None)

    def providers(self) -> tuple[Provider, ...]:
        return tuple(
            Provider(host, host, generation, host) for host, generation in self.generations.items()
        )

    def allocations(self, host: str) -> dict[str, dict[str, int]] | None:
        self.before_reading(host)
        self.read.append(host)
        if host in self.gone:
            return None
        return {consumer: dict(held[host]) for consumer, held in self.held.items() if host in held}

    def consumer_type(self, consumer: str) -> str | None:
        self.asked_types.append(consumer)
        return self.types.get(consumer)


class EmulatedNova:
    def __init__(self) -> None:
        self.moves: dict[str, str] = {}
        self.fault: Exception | None = None
        self.calls = 0

    def migrations_in_progress(self) -> tuple[Migration, ...]:
        self.calls += 1
        if self.fault:
            raise self.fault
        return tuple(Migration(uuid, guest, None, None, "x") for uuid, guest in self.moves.items())


def claims_of(placement: Any, nova: Any = None, **settings: Any) -> Claims:
    values = {"framework_of": {}.get, "now_s": Clock(), **settings}
    return Claims(placement, nova, **values)


def everything(claims: Claims) -> dict[str, dict[str, Claim]]:
    return {host: dict(claims.of(host)) for host in claims.known_hosts() or ()}


def framework_of_guests(uuid: str) -> str | None:
    return HYPERVISOR if uuid.startswith("guest") else None


def test_before_the_first_reading_nothing_is_known() -> None:
    claims = claims_of(EmulatedPlacement("a"))
    assert claims.known_hosts() is None
    assert claims.age_s() is None
    assert claims.of("a") == {}
    assert claims.unknown_consumers() == frozenset()


def test_a_failing_placement_changes_nothing() -> None:
    placement = EmulatedPlacement("a", "b")
    clock = Clock()
    claims = claims_of(placement, framework_of=framework_of_guests, now_s=clock)
    placement.write("guest", {"a": HELD})
    claims.refresh()
    before = everything(claims)
    clock.now_s += 5

    def fail(host: str) -> None:
        if host == "b":
            raise ServiceFault("GET /b of placement: it burns")

    placement.before_reading = fail
    placement.write("guest", {"b": HELD})
    placement.write("guest2", {"a": HELD})
    with pytest.raises(ClaimsUnavailable) as fault:
        claims.refresh()
    assert str(fault.value) == "claims stay as they were: GET /b of placement: it burns"
    assert everything(claims) == before
    assert claims.age_s() == 5
    placement.before_reading = lambda _host: None
    assert claims.refresh() == {"a", "b"}
    assert set(claims.of("a")) == {"guest2"}
    assert claims.age_s() == 0


def test_a_placement_that_does_not_answer_in_time_changes_nothing() -> None:
    placement = EmulatedPlacement("a")
    hung = threading.Event()
    placement.before_reading = lambda _host: hung.wait(30) and None
    claims = claims_of(placement, deadline_s=0.05)
    try:
        with pytest.raises(ClaimsUnavailable, match=r"not read within 0\.05 s"):
            claims.refresh()
    finally:
        hung.set()
    assert claims.known_hosts() is None


def test_no_more_calls_are_under_way_than_there_are_threads() -> None:
    placement = EmulatedPlacement(*map(str, range(12)))
    lock = threading.Lock()
    trio = threading.Barrier(3)
    under_way: list[int] = [0]
    most: list[int] = [0]

    def hold(_host: str) -> None:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        trio.wait(10)
        with lock:
            under_way[0] -= 1

    placement.before_reading = hold
    claims_of(placement, threads=3).refresh()
    assert most == [3]
    assert sorted(placement.read) == sorted(map(str, range(12)))


def test_a_host_that_goes_while_it_is_read_holds_nothing() -> None:
    placement = EmulatedPlacement("a", "b")
    placement.write("guest", {"a": HELD})
    placement.gone.add("a")
    claims = claims_of(placement)
    claims.refresh()
    assert claims.of("a") == {}


def test_a_provider_that_is_made_anew_is_read() -> None:
    placement = EmulatedPlacement("a")
    placement.write("guest", {"a": HELD})
    claims = claims_of(placement)
    claims.refresh()
    placement.delete("guest")
    placement.generations["a"] = 0
    assert claims.refresh() == {"a"}
    assert claims.of("a") == {}


def test_what_is_written_while_it_is_read_is_read_again() -> None:
    placement = EmulatedPlacement("a")
    claims = claims_of(placement)
    placement.before_reading = lambda _host: placement.write("guest", {"a": HELD})
    claims.refresh()
    placement.before_reading = lambda _host: None
    placement.delete("guest")
    claims.refresh()
    assert claims.of("a") == {}


def test_all_hosts_are_read_in_turn_within_the_time_and_evenly() -> None:
    hosts = [f"h{number}" for number in range(10)]
    placement = EmulatedPlacement(*hosts)
    clock = Clock()
    claims = claims_of(placement, reread_s=60, now_s=clock)
    claims.refresh()
    reads = []
    seen: set[str] = set()
    for _ in range(12):
        placement.read.clear()
        clock.now_s += 5
        claims.refresh()
        reads.append(len(placement.read))
        seen.update(placement.read)
    assert seen == set(hosts)
    assert sum(reads) == 10
    assert max(reads) == 1


def test_nova_that_cannot_be_asked_is_told_of_once_and_asked_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    placement, nova = EmulatedPlacement("a"), EmulatedNova()
    claims = claims_of(placement, nova)
    nova.fault = ServiceFault("GET /os-migrations of compute was refused (403): it needs more")
    nova.moves["move"] = "guest"
    placement.write("move", {"a": HELD})
    for _ in range(3):
        claims.refresh()
    assert nova.calls == 3
    assert claims.of("a")["move"].counts_for_share is False
    assert [
        each.message for each in caplog.records if "guests on their way" in each.message.lower()
    ] == [
        "Guests on their way may be missing from the share: GET /os-migrations of compute was "
        "refused (403): it needs more."
    ]
    assert placement.asked_types == ["move"]
    nova.fault = None
    assert claims.refresh() == {"a"}
    move = claims.of("a")["move"]
    assert (move.framework, move.kind, move.counts_for_share) == (
        HYPERVISOR,
        ClaimKind.MIGRATION,
        True,
    )
    claims.refresh()
    assert nova.calls == 4


def test_nova_is_not_asked_while_everybody_is_known() -> None:
    placement, nova = EmulatedPlacement("a"), EmulatedNova()
    claims = claims_of(placement, nova, framework_of=framework_of_guests)
    for number in range(3):
        placement.write(f"guest{number}", {"a": HELD})
        claims.refresh()
    assert nova.calls == 0


def test_a_stranger_is_asked_about_at_each_change_and_not_in_between() -> None:
    placement, nova = EmulatedPlacement("a"), EmulatedNova()
    claims = claims_of(placement, nova, framework_of=framework_of_guests)
    placement.write("stranger", {"a": HELD})
    for _ in range(3):
        claims.refresh()
    assert (nova.calls, placement.asked_types) == (1, ["stranger"])
    placement.write("guest", {"a": HELD})
    claims.refresh()
    assert (nova.calls, placement.asked_types) == (2, ["stranger"] * 2)


def test_the_guest_of_a_migration_is_known_by_it() -> None:
    placement, nova = EmulatedPlacement("a", "b"), EmulatedNova()
    claims = claims_of(placement, nova)
    nova.moves["move"] = "server"
    placement.write("move", {"a": HELD})
    placement.write("server", {"b": HELD})
    claims.refresh()
    assert claims.of("b")["server"].framework == HYPERVISOR
    assert claims.of("b")["server"].counts_for_share
    assert not claims.of("a")["move"].counts_for_share


def test_a_migration_by_type_waits_for_the_name_of_its_guest() -> None:
    placement, nova = EmulatedPlacement("a"), EmulatedNova()
    claims = claims_of(placement, nova)
    placement.types["move"] = "MIGRATION"
    placement.write("move", {"a": HELD})
    claims.refresh()
    assert claims.of("a")["move"].kind is ClaimKind.MIGRATION
    assert not claims.of("a")["move"].counts_for_share
    nova.moves["move"] = "server"
    assert claims.refresh() == {"a"}
    assert claims.of("a")["move"].counts_for_share


def test_types_are_asked_for_a_few_at_a_time() -> None:
    placement = EmulatedPlacement("a")
    claims = claims_of(placement)
    for number in range(2 * MOST_TYPES):
        placement.types[f"i{number}"] = "INSTANCE"
        placement.write(f"i{number}", {"a": HELD})
    claims.refresh()
    assert len(placement.asked_types) == MOST_TYPES
    claims.refresh()
    assert len(placement.asked_types) == len(set(placement.asked_types)) == 2 * MOST_TYPES
    assert claims.unknown_consumers() == frozenset()


def test_strangers_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    placement = EmulatedPlacement("a")
    claims = claims_of(placement, framework_of=framework_of_guests)
    placement.write("stranger", {"a": HELD})
    placement.write("guest", {"a": HELD})
    with caplog.at_level(logging.WARNING):
        claims.refresh()
        placement.write("guest", {"a": HELD})
        claims.refresh()
        placement.write("other", {"a": HELD})
        claims.refresh()
    told = [each.message for each in caplog.records]
    assert [each.rpartition(": ")[2] for each in told] == ["stranger.", "other."]
    assert claims.unknown_consumers() == {"stranger", "other"}


def test_claims_without_cpu_and_memory_are_left_out() -> None:
    placement = EmulatedPlacement("a")
    placement.write("volume", {"a": {"DISK_GB": 5}})
    claims = claims_of(placement)
    claims.refresh()
    assert claims.of("a") == {}
    assert placement.asked_types == []


def test_a_host_that_a_consumer_left_is_read_when_the_consumer_is_listed_elsewhere() -> None:
    placement = EmulatedPlacement("a", "b", "c")
    claims = claims_of(placement)
    placement.write("guest", {"a": HELD})
    claims.refresh()
    generation = placement.generations["a"]
    placement.write("guest", {"b": HELD})
    assert placement.generations["a"] == generation
    placement.read.clear()
    assert claims.refresh() == {"a", "b"}
    assert claims.of("a") == {}
    assert sorted(placement.read) == ["a", "b"]


def test_storage_that_all_hosts_share_does_not_have_all_of_them_read() -> None:
    placement = EmulatedPlacement("a", "b", "c", "storage")
    claims = claims_of(placement)
    for host in "abc":
        placement.write(f"guest on {host}", {host: HELD, "storage": {"DISK_GB": 5}})
    claims.refresh()
    placement.read.clear()
    placement.write("new guest", {"a": HELD, "storage": {"DISK_GB": 5}})
    claims.refresh()
    assert sorted(placement.read) == ["a", "storage"]


HOSTS = ["a", "b", "c"]
CONSUMERS = ["guest0", "guest1", "guest2", "container0", "move0"]
held = st.dictionaries(
    st.sampled_from(HOSTS),
    st.fixed_dictionaries({"VCPU": st.integers(1, 2), "MEMORY_MB": st.integers(1, 2)}),
    max_size=2,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.tuples(st.sampled_from(CONSUMERS), held)),
        st.tuples(st.just("delete"), st.sampled_from(CONSUMERS)),
        st.tuples(st.just("host"), st.sampled_from(HOSTS)),
        st.tuples(st.just("refresh"), st.none()),
    ),
    max_size=25,
)


@given(steps)
def test_what_was_kept_up_to_date_is_what_is_read_anew(steps: list[tuple[str, Any]]) -> None:
    """Whatever is written in between; hosts are doubted where a consumer was known that is deleted."""
    placement, nova = EmulatedPlacement(*HOSTS), EmulatedNova()
    nova.moves["move0"] = "guest0"
    settings: dict[str, Any] = {"framework_of": framework_of_guests, "reread_s": 1e9}
    kept = claims_of(placement, nova, **settings)
    deleted: set[str] = set()
    for step, what in [*steps, ("refresh", None)]:
        match step:
            case "write":
                consumer, on = what
                there = {host: each for host, each in on.items() if host in placement.generations}
                placement.write(consumer, there)
            case "delete":
                placement.delete(what)
                deleted.add(what)
            case "host":
                _turn(placement, what)
            case "refresh":
                known = everything(kept)
                changed = kept.refresh(
                    [host for host, each in known.items() if deleted & each.keys()]
                )
                now = everything(kept)
                assert changed == {
                    host for host in known.keys() | now.keys() if known.get(host) != now.get(host)
                }
                deleted.clear()
    anew = claims_of(placement, nova, **settings)
    anew.refresh()
    assert everything(kept) == everything(anew)
    assert {
        host: {uuid: claim.demand for uuid, claim in each.items()}
        for host, each in everything(kept).items()
    } == {
        host: {
            uuid: Resources(on[host]["VCPU"], on[host]["MEMORY_MB"])
            for uuid, on in placement.held.items()
            if host in on
        }
        for host in placement.generations
    }


def _turn(placement: EmulatedPlacement, host: str) -> None:
    """Remove a host with nothing on it, or make one that is missing; its provider is another one then."""
    if host not in placement.generations:
        placement.generations[host] = next(placement.first_generations)
    elif not any(host in on for on in placement.held.values()):
        del placement.generations[host]
