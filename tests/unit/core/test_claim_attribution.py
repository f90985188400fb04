# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.claims import ClaimKind, Consumer, attribute, demand_of
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.resources import Resources

DEMAND = Resources(vcpu=2, memory_mb=512)
GUEST = Consumer(HYPERVISOR)


def counted(held: dict[str, list[str]], consumers: dict[str, Consumer]) -> list[tuple[str, str]]:
    claims = attribute(
        {host: dict.fromkeys(uuids, DEMAND) for host, uuids in held.items()}, consumers
    )
    return [
        (host, uuid)
        for host, each in claims.items()
        for uuid, claim in each.items()
        if claim.counts_for_share
    ]


@pytest.mark.parametrize(
    ("amounts", "demand"),
    [
        ({}, Resources()),
        ({"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 7}, DEMAND),
        ({"PCPU": 2, "VCPU": 1, "VGPU": 1}, Resources(vcpu=3)),
    ],
)
def test_pinned_cpus_are_vcpus_and_other_classes_are_left_out(
    amounts: dict[str, int], demand: Resources
) -> None:
    assert demand_of(amounts) == demand


@pytest.mark.parametrize(
    ("held", "counts"),
    [
        ({"a": ["s"], "b": []}, [("a", "s")]),
        ({"a": ["m"], "b": []}, [("a", "m")]),
        ({"a": ["m"], "b": ["s"]}, [("b", "s")]),
        ({"a": ["m", "s"], "b": []}, [("a", "s")]),
        ({"a": ["s"], "b": ["s"]}, [("a", "s")]),
        ({"a": ["m"], "b": ["m2"]}, [("a", "m")]),
        ({"a": ["lost"], "b": ["stranger"]}, []),
        ({"a": ["c", "s"], "b": ["m"]}, [("a", "c"), ("a", "s")]),
    ],
)
def test_one_claim_of_a_guest_counts(
    held: dict[str, list[str]], counts: list[tuple[str, str]]
) -> None:
    moving = Consumer(HYPERVISOR, ClaimKind.MIGRATION, "s")
    consumers = {
        "s": GUEST,
        "c": Consumer(CONTAINER),
        "m": moving,
        "m2": moving,
        "lost": Consumer(HYPERVISOR, ClaimKind.MIGRATION),
        "stranger": Consumer(),
    }
    assert counted(held, consumers) == counts


tasks = ["t0", "t1", "t2"]
consumers_of = st.fixed_dictionaries(
    {uuid: st.sampled_from([Consumer(), GUEST, Consumer(CONTAINER)]) for uuid in tasks}
    | {
        uuid: st.sampled_from([None, *tasks, "t3"]).map(
            lambda guest: Consumer(HYPERVISOR, ClaimKind.MIGRATION, guest)
        )
        for uuid in ("m0", "m1")
    }
)
hosts_of = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.sampled_from([*tasks, "m0", "m1"]), unique=True)
)


@given(hosts_of, consumers_of)
def test_whoever_holds_anything_counts_exactly_once_and_all_claims_take_room(
    held: dict[str, list[str]], consumers: dict[str, Consumer]
) -> None:
    demands = {host: dict.fromkeys(found, DEMAND) for host, found in held.items()}
    claims = attribute(demands, consumers)
    assert {
        host: {uuid: claim.demand for uuid, claim in each.items()} for host, each in claims.items()
    } == demands
    times: Counter[str | None] = Counter()
    holders = set()
    for each in claims.values():
        for uuid, claim in each.items():
            consumer = consumers[uuid]
            assert (claim.framework, claim.kind) == (consumer.framework, consumer.kind)
            guest = uuid if claim.kind is ClaimKind.TASK else consumer.moves
            times[guest] += claim.counts_for_share
            if guest is not None and claim.framework is not None:
                holders.add(guest)
    assert +times == dict.fromkeys(holders, 1)
