# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from clusters import host, snapshot
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Snapshot
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.share_gate import Request, Rule, ShareGate


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
        limit = 1 - made.frameworks[HYPERVISOR].floor
        assert Fraction(held + asked_mb, 100 * len(loads)) <= limit
