# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import pytest

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.decision import Decision, Stage
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.why import Attempt, attempts

GATE = Decision(
    "r",
    HYPERVISOR,
    Resources(vcpu=1),
    Stage.SHARE_GATE,
    1.0,
    7,
    0.5,
    hosts=("a", "b", "c"),
    refused={"d": "host_room: host d is full"},
    text="framework hypervisor would hold 10.0 % of vcpu",
)
ORDER = replace(
    GATE,
    stage=Stage.ORDER,
    decided_at_s=2.0,
    hosts=("b", "a"),
    weights=(5, 3),
    refused={},
    text="head",
)
CLAIMED = replace(ORDER, stage=Stage.CLAIMED, decided_at_s=3.0, hosts=("b",), weights=(), text="")
NOBODY = replace(
    GATE, hosts=(), refused={"a": "framework_share: over"}, refused_by_share=True, text=""
)


@pytest.mark.parametrize("framework", [HYPERVISOR, CONTAINER])
def test_the_steps_of_one_attempt_are_put_together(framework: str) -> None:
    steps = [replace(step, framework=framework) for step in (GATE, ORDER, CLAIMED)]
    (found,) = attempts(steps)
    assert (found.gate, found.order, found.claimed) == tuple(steps)
    assert found.candidates == 4
    assert found.refused == {"d": "host_room: host d is full"}
    assert found.dropped == ("c",)
    assert found.weights == (("b", 5), ("a", 3))
    assert (found.chosen, found.claimed_on) == ("b", "b")
    assert found.share_text.startswith("framework hypervisor would hold")
    assert found.outcome == "it was claimed on host b, the first of the order"


def test_what_is_asked_of_the_gate_again_is_a_new_attempt() -> None:
    later = [replace(step, decided_at_s=step.decided_at_s + 10) for step in (GATE, ORDER)]
    first, second = attempts([GATE, ORDER, *later])
    assert (first.order, second.gate) == (ORDER, later[0])
    assert [each.gate for each in attempts([GATE, GATE])] == [GATE, GATE]


def test_an_order_without_gate_and_a_claim_alone_are_attempts_too() -> None:
    assert attempts([ORDER, CLAIMED, ORDER]) == [
        Attempt(order=ORDER, claimed=CLAIMED),
        Attempt(order=ORDER),
    ]
    (alone,) = attempts([CLAIMED])
    assert (alone.first, alone.candidates, alone.outcome) == (
        CLAIMED,
        0,
        "it was claimed on host b",
    )
    assert attempts([]) == []


@pytest.mark.parametrize(
    ("attempt", "share", "order", "outcome"),
    [
        (
            Attempt(NOBODY),
            "no host, for the share alone",
            "nothing was left to be ordered",
            "no host passed the share gate",
        ),
        (
            Attempt(replace(NOBODY, refused_by_share=False)),
            "no host passed: see",
            "nothing was left",
            "no host passed the share gate",
        ),
        (Attempt(GATE), "framework", "the order was not asked", "hosts passed the share gate, and"),
        (
            Attempt(order=ORDER),
            "the share gate was not asked",
            "head",
            "host b was the first of the order, and the task was not seen",
        ),
        (
            Attempt(GATE, ORDER, replace(CLAIMED, hosts=("a",))),
            "framework",
            "head",
            "it was claimed on host a, although host b was the first",
        ),
    ],
)
def test_each_outcome_is_said(attempt: Attempt, share: str, order: str, outcome: str) -> None:
    assert attempt.share_text.startswith(share)
    assert attempt.order_text.startswith(order)
    assert attempt.outcome.startswith(outcome)


def test_hosts_that_are_left_out_of_the_record_are_counted_and_blamed_on_nobody() -> None:
    cut = Attempt(replace(GATE, more_hosts=10, more_refused=5), ORDER)
    assert cut.candidates == 19
    assert cut.dropped == ()


def test_the_only_host_that_passed_is_the_chosen_one_although_nobody_ordered_it() -> None:
    alone = Attempt(replace(GATE, hosts=("b",)), None, CLAIMED)
    assert alone.chosen == "b"
    assert alone.order_text.startswith("host b alone passed the share gate")
    assert Attempt(GATE).chosen == Attempt(replace(GATE, hosts=("b",), more_hosts=1)).chosen == ""
