# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from clusters import host, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, Host, Pool, Snapshot
from hybrid_sched.core.resources import (
    Number,
    Resources,
    Vector,
    add,
    dominant_share,
    fits,
    scale,
    total,
)
from hybrid_sched.core.share_gate import Refusal, Request, Rule, ShareGate, Verdict
from hybrid_sched.core.shares import SharePolicy, charge, effective_pool, frameworks_of


def request(memory_mb: int, framework: str = CONTAINER, **changes: object) -> Request:
    made = Request("r", framework, Resources(memory_mb=memory_mb))
    return dataclasses.replace(made, **changes)


def judge(made: Snapshot, asked: Request, *, allow_unreported: bool = True) -> dict[str, str]:
    """Give a word for each host: admitted, or the rule that refused it."""
    verdict = ShareGate(made, allow_unreported=allow_unreported).judge(asked, [*made.hosts, "new"])
    return dict.fromkeys(verdict.admitted, "admitted") | {
        name: refusal.rule.value for name, refusal in verdict.refused.items()
    }


def test_a_host_needs_room_beside_both_frameworks() -> None:
    made = snapshot([host("a", guests_mb=50, containers_mb=20), host("b", guests_mb=20)])
    assert judge(made, request(30)) == {"a": "admitted", "b": "admitted", "new": "admitted"}
    assert judge(made, request(31)) == {"a": "host_room", "b": "admitted", "new": "admitted"}


def test_the_reason_names_host_resource_and_amounts() -> None:
    made = snapshot([host("a", guests_mb=70), host("b")])
    refused = ShareGate(made).judge(request(31), ["a"]).refused["a"]
    assert (
        refused.text == "host a has 30 of 100 memory_mb free of guests and containers, 31 is asked"
    )


def test_a_resource_that_the_host_does_not_declare_is_not_rationed() -> None:
    made = snapshot([host("a")])
    asked = dataclasses.replace(request(1), demand=Resources(vcpu=4, memory_mb=1))
    assert ShareGate(made).judge(asked, ["a"]).admitted == ("a",)


@pytest.mark.parametrize(("asked_mb", "word"), [(50, "admitted"), (51, "framework_share")])
def test_a_framework_may_fill_its_share_and_no_more(asked_mb: int, word: str) -> None:
    hosts = [host("a", containers_mb=50), host("b")]
    made = snapshot(hosts, lending={HYPERVISOR: 0})
    assert judge(made, request(asked_mb))["b"] == word


def test_the_reason_tells_shares_and_what_can_be_lent() -> None:
    made = snapshot([host("a", containers_mb=50), host("b")], lending={HYPERVISOR: 0})
    refused = ShareGate(made).judge(request(60), ["b"]).refused["b"]
    assert refused.rule is Rule.FRAMEWORK_SHARE
    assert refused.text == (
        "framework container would hold 55.0 % of memory_mb; its share by weight is 50.0 % "
        "and 0.0 % more can be lent now, so it is 5.0 % over"
    )


def test_what_is_lent_may_be_filled_too() -> None:
    made = snapshot([host("a", containers_mb=100), host("b", guests_mb=20)])
    assert judge(made, request(80))["b"] == "admitted"


def test_tasks_asked_for_at_once_are_counted_together() -> None:
    made = snapshot([host("a"), host("b")], lending={HYPERVISOR: 0})
    assert judge(made, request(25, count=4))["a"] == "admitted"
    assert judge(made, request(25, count=5))["a"] == "framework_share"


def test_a_move_is_neutral_to_the_share_but_needs_room() -> None:
    hosts = [host("a", containers_mb=100), host("b", guests_mb=40), host("c", guests_mb=90)]
    made = snapshot(hosts, lending={HYPERVISOR: 0})
    moving = request(60, is_move=True)
    assert judge(made, moving) == {
        "a": "host_room",
        "b": "admitted",
        "c": "host_room",
        "new": "admitted",
    }


def test_a_task_on_a_slower_host_charges_less() -> None:
    hosts = [host("fast", containers_mb=60), host("slow", score=Fraction(1, 2))]
    made = snapshot(hosts, lending={HYPERVISOR: 0})
    # 75 of 150 are the containers' share; 60 are held.
    assert judge(made, request(30)) == {
        "fast": "framework_share",
        "slow": "admitted",
        "new": "framework_share",
    }


def test_a_host_without_a_fresh_report_is_refused_where_the_option_says_so() -> None:
    made = snapshot([host("a"), host("old", fresh=False)])
    words = judge(made, request(1), allow_unreported=False)
    assert words == {"a": "admitted", "old": "no_fresh_report", "new": "no_fresh_report"}
    assert set(judge(made, request(1)).values()) == {"admitted"}


@pytest.mark.parametrize("is_move", [False, True])
def test_a_drained_host_takes_nothing_whatever_room_it_has(is_move: bool) -> None:
    made = snapshot([dataclasses.replace(host("a"), drained=True), host("b")])
    asked = request(1, is_move=is_move)
    assert judge(made, asked) == {"a": "host_drained", "b": "admitted", "new": "admitted"}
    assert "drain a --undo" in ShareGate(made).judge(asked, ["a"]).refused["a"].text


def test_the_share_counts_where_the_room_of_a_host_is_unknown() -> None:
    made = snapshot([host("a"), host("b", containers_mb=100)], lending={HYPERVISOR: 0})
    assert judge(made, request(1))["new"] == "framework_share"


def test_without_any_host_every_request_passes() -> None:
    assert judge(snapshot([]), request(1)) == {"new": "admitted"}


_LOADS = st.tuples(st.integers(0, 60), st.integers(0, 40))


@given(st.lists(_LOADS, min_size=1, max_size=4), st.integers(1, 120), st.integers(1, 4))
def test_what_is_admitted_fits_the_host_and_leaves_the_others_share_alone(
    loads: list[tuple[int, int]], asked_mb: int, weight: int
) -> None:
    hosts = [host(str(i), guests, containers) for i, (guests, containers) in enumerate(loads)]
    made = snapshot(hosts, weights={CONTAINER: weight}, lending={HYPERVISOR: 0})
    held = sum(containers for _, containers in loads)
    for name in ShareGate(made).judge(request(asked_mb), list(made.hosts)).admitted:
        guests, containers = loads[int(name)]
        assert guests + containers + asked_mb <= 100
        limit = 1 - made.pools[DEFAULT_POOL].frameworks[HYPERVISOR].floor
        assert Fraction(held + asked_mb, 100 * len(loads)) <= limit


ROOMY = Resources(vcpu=10, memory_mb=1000)
EQUAL = (SharePolicy(HYPERVISOR), SharePolicy(CONTAINER))


def taken(
    *hosts: Host,
    policies: Sequence[SharePolicy] = EQUAL,
    pending: Mapping[str, Vector] | None = None,
) -> Snapshot:
    """Take a snapshot of hosts of any shape."""
    pool = effective_pool(hosts)
    used = {policy.name: charge(hosts, policy.name) for policy in policies}
    frameworks = frameworks_of(pool, policies, used, pending or {}, {})
    home = Pool(DEFAULT_POOL, pool, frameworks)
    return Snapshot(1, 1, 0.0, {DEFAULT_POOL: home}, {host.name: host for host in hosts})


def guest(vcpu: Number = 0, memory_mb: Number = 0, **changes: object) -> Request:
    return dataclasses.replace(Request("g", HYPERVISOR, Resources(vcpu, memory_mb)), **changes)


def test_hosts_are_admitted_in_the_order_they_were_asked_for() -> None:
    gate = ShareGate(taken(Host("a", ROOMY), Host("b", ROOMY), Host("c", ROOMY)))
    assert gate.judge(guest(vcpu=1), ("c", "a", "b")) == Verdict(("c", "a", "b"), {})
    assert gate.judge(guest(vcpu=1), ("b",)) == Verdict(("b",), {})
    assert gate.judge(guest(vcpu=1), ()) == Verdict((), {})


@pytest.mark.parametrize(
    ("demand", "admitted"),
    [
        (Resources(vcpu=2, memory_mb=10), True),
        (Resources(vcpu=2, memory_mb=11), False),
        (Resources(vcpu=Fraction(201, 100)), False),
        # Over-full of disk reads, which only matters to who wants some.
        (Resources(vcpu=1), True),
        (Resources(vcpu=1, disk_read_bps=1), False),
        (Resources(vcpu=1, net_in_bps=10**9), True),
        (Resources(), True),
    ],
)
def test_room_is_asked_for_each_resource_that_is_wanted(demand: Resources, admitted: bool) -> None:
    capacity = Resources(vcpu=4, memory_mb=100, disk_read_bps=5)
    used = {CONTAINER: Resources(vcpu=2, memory_mb=90, disk_read_bps=6)}
    made = taken(Host("one", capacity, used=used))
    verdict = ShareGate(made).judge(Request("g", HYPERVISOR, demand, is_move=True), ["one"])
    assert verdict.admitted == (("one",) if admitted else ())
    assert {refusal.rule for refusal in verdict.refused.values()} == (
        set() if admitted else {Rule.HOST_ROOM}
    )


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            guest(vcpu=Fraction(21, 2), memory_mb=2000),
            "host one has 7.5 of 10 vcpu free of guests and containers, 10.5 is asked",
        ),
        (
            guest(vcpu=1, memory_mb=2000),
            "host one has 1000 of 1000 memory_mb free of guests and containers, 2000 is asked",
        ),
    ],
)
def test_the_first_resource_that_is_short_is_the_one_named(asked: Request, text: str) -> None:
    made = taken(Host("one", ROOMY, used={CONTAINER: Resources(vcpu=Fraction(5, 2))}))
    assert ShareGate(made).judge(asked, ["one"]) == Verdict(
        (), {"one": Refusal(Rule.HOST_ROOM, text)}
    )


@pytest.mark.parametrize(
    ("policies", "waiting", "demand", "text"),
    [
        (
            EQUAL,
            Resources(vcpu=10, memory_mb=1000),
            Resources(vcpu=6),
            "framework hypervisor would hold 60.0 % of vcpu; its share by weight is 50.0 % "
            "and 0.0 % more can be lent now, so it is 10.0 % over",
        ),
        (
            EQUAL,
            Resources(vcpu=3),
            Resources(vcpu=8, memory_mb=10),
            "framework hypervisor would hold 80.0 % of vcpu; its share by weight is 50.0 % "
            "and 20.0 % more can be lent now, so it is 10.0 % over",
        ),
        (
            (SharePolicy(HYPERVISOR, 2), SharePolicy(CONTAINER)),
            Resources(vcpu=10, memory_mb=1000),
            Resources(vcpu=1, memory_mb=700),
            "framework hypervisor would hold 70.0 % of memory_mb; its share by weight is 66.7 % "
            "and 0.0 % more can be lent now, so it is 3.3 % over",
        ),
        (
            (SharePolicy(HYPERVISOR), SharePolicy(CONTAINER, lending=Fraction(1, 4))),
            Resources(),
            Resources(vcpu=7),
            "framework hypervisor would hold 70.0 % of vcpu; its share by weight is 50.0 % "
            "and 12.5 % more can be lent now, so it is 7.5 % over",
        ),
    ],
)
def test_a_framework_that_would_exceed_its_share_is_refused_with_resource_and_percentages(
    policies: Sequence[SharePolicy], waiting: Resources, demand: Resources, text: str
) -> None:
    made = taken(Host("one", ROOMY), policies=policies, pending={CONTAINER: waiting})
    verdict = ShareGate(made).judge(Request("g", HYPERVISOR, demand), ["one"])
    assert verdict == Verdict((), {"one": Refusal(Rule.FRAMEWORK_SHARE, text)})


def test_what_is_lent_is_given_back_as_soon_as_it_is_asked_for() -> None:
    idle = ShareGate(taken(Host("one", ROOMY)))
    wanted = ShareGate(taken(Host("one", ROOMY), pending={CONTAINER: ROOMY}))
    assert idle.judge(guest(vcpu=10), ["one"]).admitted == ("one",)
    assert wanted.judge(guest(vcpu=5), ["one"]).admitted == ("one",)
    assert wanted.judge(guest(vcpu=6), ["one"]).admitted == ()


def test_several_tasks_need_room_for_one_each_on_a_host() -> None:
    gate = ShareGate(taken(Host("a", ROOMY), Host("b", ROOMY)))
    assert gate.judge(guest(vcpu=10, count=2), ["a", "b"]).admitted == ("a", "b")
    verdict = gate.judge(guest(vcpu=10, count=3), ["a"])
    assert "would hold 150.0 % of vcpu" in verdict.refused["a"].text


def test_hosts_of_one_score_are_refused_in_the_same_words() -> None:
    slow = Host("slow", Resources(*scale(4, ROOMY)), Fraction(1, 4))
    hosts = (Host("fast", ROOMY), slow, Host("twin", ROOMY))
    policies = (SharePolicy(HYPERVISOR), SharePolicy(CONTAINER, 4))
    made = taken(*hosts, policies=policies, pending={CONTAINER: Resources(30, 3000)})
    assert ShareGate(made).judge(guest(vcpu=9), ["fast", "slow"]).admitted == ("slow",)
    refused = ShareGate(made).judge(guest(vcpu=8, count=4), made.hosts).refused
    assert refused["fast"] == refused["twin"]
    assert "would hold 106.7 % of vcpu" in refused["fast"].text
    assert "would hold 26.7 % of vcpu" in refused["slow"].text


def test_the_reason_tells_that_a_report_is_missing() -> None:
    made = taken(Host("silent", ROOMY, fresh=False))
    assert ShareGate(made, allow_unreported=False).judge(guest(vcpu=1), ["silent"]) == Verdict(
        (),
        {
            "silent": Refusal(
                Rule.NO_FRESH_REPORT,
                "host silent has no fresh report: check hybrid-sched-agent on it",
            )
        },
    )


def test_an_old_report_says_nothing_of_the_room_of_its_host() -> None:
    silent = Host("silent", ROOMY, used={HYPERVISOR: ROOMY}, fresh=False)
    made = taken(silent, Host("one", ROOMY))
    assert ShareGate(made).judge(guest(vcpu=10), ["silent"]).admitted == ("silent",)


def test_room_and_report_are_looked_at_before_the_share() -> None:
    made = taken(
        Host("full", ROOMY, used={HYPERVISOR: ROOMY}),
        Host("one", ROOMY),
        pending={CONTAINER: Resources(20, 2000)},
    )
    gate = ShareGate(made, allow_unreported=False)
    refused = gate.judge(guest(vcpu=1), ["full", "one", "gone"]).refused
    assert [(name, refusal.rule) for name, refusal in refused.items()] == [
        ("full", Rule.HOST_ROOM),
        ("one", Rule.FRAMEWORK_SHARE),
        ("gone", Rule.NO_FRESH_REPORT),
    ]


def test_a_framework_without_policy_is_refused_for_room_alone() -> None:
    gate = ShareGate(taken(Host("one", ROOMY), pending={CONTAINER: ROOMY}))
    asked = Request("b", "bare_metal", Resources(vcpu=10))
    assert gate.judge(asked, ["one"]).admitted == ("one",)
    too_much = dataclasses.replace(asked, demand=Resources(vcpu=11))
    assert gate.judge(too_much, ["one"]).refused["one"].rule is Rule.HOST_ROOM


Story = tuple[list[Host], list[SharePolicy], dict[str, Resources], list[Request]]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Hosts, policies, what each framework waits for, and requests one after the other."""
    length = draw(st.integers(1, 3))

    def vector(least: int, most: int) -> st.SearchStrategy[Resources]:
        amounts = st.lists(st.integers(least, most), min_size=length, max_size=length)
        return amounts.map(lambda drawn: Resources(*drawn))

    scores = st.sampled_from([1, Fraction(3, 4), Fraction(1, 2), Fraction(1, 4)])
    hosts = [
        Host(f"h{index}", draw(vector(1, 12)), draw(scores))
        for index in range(draw(st.integers(1, 3)))
    ]
    weights, lending = (
        st.sampled_from([1, 2, Fraction(3, 4)]),
        st.sampled_from([0, Fraction(1, 4), 1]),
    )
    policies = [SharePolicy(name, draw(weights), draw(lending)) for name in (HYPERVISOR, CONTAINER)]
    pending = {policy.name: draw(vector(0, 8)) for policy in policies}
    requests = st.builds(
        Request,
        st.just("r"),
        st.sampled_from([HYPERVISOR, CONTAINER]),
        vector(0, 4),
        st.integers(1, 2),
    )
    return hosts, policies, pending, draw(st.lists(requests, min_size=1, max_size=12))


def owed(made: Snapshot, name: str) -> Vector:
    """Say what a framework is sure of: what it wants or keeps, at most its part of the pool by weight."""
    framework = made.pools[DEFAULT_POOL].frameworks[name]
    whole = sum(each.weight for each in made.pools[DEFAULT_POOL].frameworks.values())
    wanted = dominant_share(framework.wanted, made.pools[DEFAULT_POOL].capacity)
    sure = min(max(wanted, framework.floor), Fraction(framework.weight) / whole)
    return (
        scale(Fraction(sure) / wanted, framework.wanted)
        if wanted
        else scale(sure, made.pools[DEFAULT_POOL].capacity)
    )


@given(stories())
@settings(deadline=None, max_examples=150)
def test_what_is_admitted_overfills_no_host_and_takes_no_more_than_share_and_loan(
    story: Story,
) -> None:
    hosts, policies, pending, requests = story
    for asked in requests:
        made = taken(*hosts, policies=policies, pending=pending)
        verdict = ShareGate(made, allow_unreported=False).judge(asked, made.hosts)
        assert {*verdict.admitted, *verdict.refused} == set(made.hosts)
        framework = made.pools[DEFAULT_POOL].frameworks[asked.framework]
        (other,) = set(made.pools[DEFAULT_POOL].frameworks) - {asked.framework}
        part = Fraction(framework.weight) / sum(policy.weight for policy in policies)
        for each in hosts:
            holds = add(total(each.used.values(), len(each.capacity)), asked.demand)
            charged = add(framework.used, scale(each.score * asked.count, asked.demand))
            if each.name in verdict.admitted:
                assert fits(holds, each.capacity)
                assert fits(add(charged, owed(made, other)), made.pools[DEFAULT_POOL].capacity)
            elif verdict.refused[each.name].rule is Rule.HOST_ROOM:
                assert not fits(holds, each.capacity)
            else:
                # Within its part by weight nobody is refused for the sake of the other.
                assert dominant_share(charged, made.pools[DEFAULT_POOL].capacity) > part
        if verdict.admitted:
            index = next(i for i, each in enumerate(hosts) if each.name == verdict.admitted[0])
            held = hosts[index].used.get(asked.framework, Resources())
            now = {asked.framework: Resources(*add(held, asked.demand))}
            hosts[index] = dataclasses.replace(hosts[index], used={**hosts[index].used, **now})


def two_pools() -> Snapshot:
    """Make a cluster of which half, the pool gold, has weights of its own."""
    base = snapshot([host("a", containers_mb=40)], lending={HYPERVISOR: 0})
    gold = snapshot([host("b", containers_mb=40)], weights={CONTAINER: 4}, lending={HYPERVISOR: 0})
    home = dataclasses.replace(gold.pools[DEFAULT_POOL], name="gold")
    hosts = {**base.hosts, "b": dataclasses.replace(gold.hosts["b"], pool="gold")}
    return dataclasses.replace(base, pools={**base.pools, "gold": home}, hosts=hosts)


def test_each_pool_has_a_share_of_its_own() -> None:
    verdict = ShareGate(two_pools()).judge(request(20), ["a", "b"])
    assert verdict.admitted == ("b",)
    assert "in pool" not in verdict.refused["a"].text
    verdict = ShareGate(two_pools()).judge(request(45), ["a", "b"])
    assert verdict.admitted == ()
    assert "would hold 85.0 % of memory_mb in pool gold" in verdict.refused["b"].text


def test_a_host_that_nobody_knows_counts_to_the_default_pool() -> None:
    assert ShareGate(two_pools()).judge(request(20), ["new"]).admitted == ()
    assert two_pools().pool_of("new").name == DEFAULT_POOL


def test_what_is_charged_to_nobody_takes_room_all_the_same() -> None:
    made = dataclasses.replace(host("a", guests_mb=30), other=Resources(memory_mb=50))
    assert judge(snapshot([made]), request(20))["a"] == "admitted"
    assert judge(snapshot([made]), request(21))["a"] == "host_room"


@given(stories())
@settings(deadline=None, max_examples=100)
def test_what_was_asked_before_of_a_snapshot_changes_no_answer(story: Story) -> None:
    hosts, policies, pending, requests = story
    made = taken(*hosts, policies=policies, pending=pending)
    for asked in requests:
        for names in (list(made.hosts)[:1], list(made.hosts), list(reversed(made.hosts))):
            fresh = taken(*hosts, policies=policies, pending=pending)
            expected = ShareGate(fresh).judge(asked, names)
            assert ShareGate(made).judge(asked, names) == expected
            assert ShareGate(made).shares(asked, names) == ShareGate(fresh).shares(asked, names)
