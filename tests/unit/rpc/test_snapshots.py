# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.cluster import (
    CONTAINER,
    DEFAULT_POOL,
    HYPERVISOR,
    Arrival,
    Framework,
    Host,
    Pool,
    ReserveMode,
    Rung,
    Snapshot,
)
from hybrid_sched.core.resources import Resources
from hybrid_sched.rpc.snapshots import (
    MissedSnapshot,
    change_to_wire,
    snapshot_from_wire,
    snapshot_to_wire,
    stamp_of,
)
from hybrid_sched.rpc.wire import BadMessage

numbers = st.integers(0, 2**40) | st.sampled_from(
    [Fraction(1, 3), Fraction(7, 2), Fraction(2**40, 3)]
)
vectors = st.builds(Resources, memory_mb=numbers, net_out_bps=numbers)
names = st.text(max_size=3)


def by_name(values: st.SearchStrategy[Any], keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Make named values, in an order of their own."""
    made = st.dictionaries(keys, values, max_size=2)
    return made.map(lambda each: {name: replace(one, name=name) for name, one in each.items()})


def host_named(name: str) -> st.SearchStrategy[Host]:
    return st.builds(
        Host,
        name=st.just(name),
        capacity=vectors,
        score=numbers,
        used=st.dictionaries(st.sampled_from([HYPERVISOR, CONTAINER]), vectors),
        task_count=st.integers(0, 9),
        fresh=st.booleans(),
        pool=names,
        other=vectors,
    )


hosts_of = st.fixed_dictionaries({}, optional={name: host_named(name) for name in "ab"})
frameworks = st.builds(
    Framework,
    name=st.just(""),
    used=vectors,
    wanted=vectors,
    rung=st.sampled_from(Rung),
    **dict.fromkeys(
        (
            "weight",
            "fair_share",
            "entitlement",
            "floor",
            "head_threshold",
            "borrowed",
            "owed",
            "squeeze",
        ),
        numbers,
    ),
)
pools = st.builds(
    Pool,
    name=st.just(""),
    capacity=vectors,
    frameworks=by_name(frameworks, st.sampled_from([CONTAINER, HYPERVISOR])),
)
snapshots = st.builds(
    Snapshot,
    term=st.integers(1, 2**53),
    version=st.integers(0, 2**53),
    taken_at_s=st.floats(0, 2e9),
    pools=by_name(pools, names).flatmap(
        lambda others: pools.map(lambda default: {**others, DEFAULT_POOL: default})
    ),
    hosts=hosts_of,
    reserve=st.sampled_from(ReserveMode),
)


def over_the_wire(message: Any) -> Any:
    return json.loads(json.dumps(message))


def orders(snapshot: Snapshot) -> dict[str, list[str]]:
    """Give the frameworks of each pool in their order, which breaks ties."""
    return {name: list(pool.frameworks) for name, pool in snapshot.pools.items()}


@given(snapshots)
@settings(max_examples=50, deadline=None)
def test_a_snapshot_comes_back_exactly(snapshot: Snapshot) -> None:
    read = snapshot_from_wire(over_the_wire(snapshot_to_wire(snapshot)))
    assert read == snapshot
    assert orders(read) == orders(snapshot)
    assert list(read.pools) == list(snapshot.pools)


few_hosts = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 3)).map(
    lambda sizes: {name: Host(name, Resources(vcpu=size)) for name, size in sizes.items()}
)


@given(few_hosts, few_hosts, few_hosts, st.sets(st.sampled_from("abcd")))
def test_a_change_leads_from_the_held_snapshot_to_the_new_one(
    went: dict[str, Host], came: dict[str, Host], stay: dict[str, Host], also: set[str]
) -> None:
    pool = Pool(DEFAULT_POOL, Resources(vcpu=9), {})
    held = snapshot(hosts={**went, **stay})
    later = snapshot(version=9, pools={DEFAULT_POOL: pool}, hosts={**came, **stay})
    # To name one that did not change does no harm.
    changed = (held.hosts.keys() | later.hosts.keys()) - stay.keys() | also
    wire = over_the_wire(change_to_wire(later, held.version, changed))
    assert wire["hosts"].keys() == changed
    before = copy.deepcopy(held)
    assert snapshot_from_wire(wire, held) == later
    # Others may be using what is held.
    assert held == before


def snapshot(**changes: Any) -> Snapshot:
    host = Host("a", Resources(8, 100), Fraction(1, 2), {CONTAINER: Resources(1, 10)})
    framework = Framework(CONTAINER, 1, Resources(1), Resources(2), 1, 1, 0, 0)
    values = {
        "term": 3,
        "version": 7,
        "taken_at_s": 1.5,
        "pools": {DEFAULT_POOL: Pool(DEFAULT_POOL, Resources(4, 50), {CONTAINER: framework})},
        "hosts": {"a": host},
        **changes,
    }
    return Snapshot(**values)


@pytest.mark.parametrize(
    "held",
    [None, snapshot(version=6), snapshot(version=8), snapshot(term=2), snapshot(term=4)],
)
def test_a_change_to_another_snapshot_than_the_held_one_is_missed(held: Snapshot | None) -> None:
    wire = change_to_wire(snapshot(version=9), since=7, changed=["a"])
    with pytest.raises(MissedSnapshot):
        snapshot_from_wire(wire, held)


def test_a_whole_snapshot_needs_no_held_one_and_takes_nothing_from_it() -> None:
    held = snapshot(hosts={**snapshot().hosts, "gone": Host("gone", Resources())})
    assert snapshot_from_wire(snapshot_to_wire(snapshot(version=8)), held) == snapshot(version=8)


def test_a_host_that_went_without_ever_being_held_is_no_fault() -> None:
    wire = change_to_wire(snapshot(version=8), since=7, changed=["never"])
    assert snapshot_from_wire(wire, snapshot()) == snapshot(version=8)


def test_resources_that_a_newer_quota_service_adds_are_left_out() -> None:
    wire = snapshot_to_wire(snapshot())
    wire["hosts"]["a"]["capacity"]["gpu"] = 4
    assert snapshot_from_wire(wire) == snapshot()


_GONE = object()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *[((name,), _GONE) for name in ("term", "version", "since", "pools", "hosts", "reserve")],
        (("term",), "3"),
        (("term",), True),
        (("term",), -1),
        (("version",), None),
        (("version",), 1.5),
        (("pools",), []),
        (("pools",), 7),
        (("pools", 0, "name"), "other"),
        (("pools", 0, "capacity"), []),
        (("pools", 0, "frameworks", 0, "rung"), "top"),
        (("pools", 0, "frameworks", 0, "weight"), "much"),
        (("pools", 0, "frameworks", 0, "owed"), _GONE),
        (("reserve",), "sometimes"),
        (("hosts",), []),
        (("hosts", "a"), "gone"),
        (("hosts", "a", "score"), float("nan")),
        (("hosts", "a", "used"), [1]),
        (("hosts", "a", "capacity", "vcpu"), None),
        (("hosts", "a", "other"), _GONE),
    ],
)
def test_a_snapshot_of_another_form_is_refused(path: tuple[Any, ...], value: object) -> None:
    wire = snapshot_to_wire(snapshot())
    place: Any = wire
    for step in path[:-1]:
        place = place[step]
    if value is _GONE:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with pytest.raises(BadMessage):
        snapshot_from_wire(wire)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_whatever_comes_is_refused_by_a_bad_message_alone(message: Any) -> None:
    with pytest.raises(BadMessage):
        snapshot_from_wire(message)
    with pytest.raises(BadMessage):
        stamp_of(message)


def test_the_stamp_is_read_without_the_rest() -> None:
    assert stamp_of({"term": 3, "version": 7, "hosts": 1}) == snapshot().stamp == (3, 7)


def test_a_drained_host_is_told_and_earlier_releases_tell_of_none() -> None:
    hosts = {name: Host(name, Resources(), drained=name == "a") for name in "ab"}
    pools = {DEFAULT_POOL: Pool(DEFAULT_POOL, Resources(), {})}
    made = Snapshot(1, 1, 0.0, pools, hosts)
    message = json.loads(json.dumps(snapshot_to_wire(made)))
    assert snapshot_from_wire(message).hosts == hosts
    del message["hosts"]["a"]["drained"]
    assert not snapshot_from_wire(message).hosts["a"].drained


def test_containers_on_their_way_are_told_and_earlier_releases_tell_of_none() -> None:
    pools = {DEFAULT_POOL: Pool(DEFAULT_POOL, Resources(), {})}
    arrivals = {"m": Arrival("b", Resources(Fraction(1, 3), 20))}
    made = Snapshot(1, 1, 0.0, pools, {}, arrivals=arrivals)
    message = json.loads(json.dumps(snapshot_to_wire(made)))
    assert snapshot_from_wire(message).arrivals == arrivals
    del message["arrivals"]
    assert snapshot_from_wire(message).arrivals == {}
