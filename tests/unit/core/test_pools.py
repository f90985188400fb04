# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.pools import DEFAULT_POOL, POOL_METADATA, Aggregate, PoolsFrom, pools_of

HOSTS = ["h1", "h2", "h3", "h4"]
names = st.sampled_from(["", "a", "b"])
aggregates = st.lists(
    st.builds(
        Aggregate,
        name=st.sampled_from(["p", "q", "r", "s"]),
        availability_zone=st.none() | names,
        hosts=st.lists(st.sampled_from([*HOSTS, "gone"]), unique=True).map(tuple),
        metadata=st.dictionaries(st.sampled_from([POOL_METADATA, "note"]), names),
    ),
    unique_by=lambda each: each.name,
    max_size=4,
)


def named_by(aggregate: Aggregate, source: PoolsFrom) -> str | None:
    return {
        PoolsFrom.AGGREGATE: aggregate.metadata.get(POOL_METADATA),
        PoolsFrom.AVAILABILITY_ZONE: aggregate.availability_zone,
    }.get(source)


def test_an_aggregate_puts_its_hosts_into_the_pool_that_it_names() -> None:
    made = [
        Aggregate("fast", "az1", ("h1", "h2"), {POOL_METADATA: "gold"}),
        Aggregate("other", "az2", ("h3",), {"ssd": "true"}),
    ]
    assert pools_of(HOSTS, made, PoolsFrom.AGGREGATE).of == {
        "h1": "gold",
        "h2": "gold",
        "h3": "",
        "h4": "",
    }
    assert pools_of(HOSTS, made, PoolsFrom.AVAILABILITY_ZONE).of == {
        "h1": "az1",
        "h2": "az1",
        "h3": "az2",
        "h4": "",
    }


def test_a_host_in_two_pools_is_named_and_counts_to_that_of_the_first_aggregate() -> None:
    made = [
        Aggregate("q", hosts=("h1", "h2"), metadata={POOL_METADATA: "silver"}),
        Aggregate("p", hosts=("h2",), metadata={POOL_METADATA: "gold"}),
        Aggregate("r", hosts=("h1",), metadata={POOL_METADATA: "silver"}),
    ]
    pools = pools_of(["h1", "h2"], made, PoolsFrom.AGGREGATE)
    assert pools.of == {"h1": "silver", "h2": "gold"}
    assert pools.conflicts == (
        "host h2 is in aggregates of different pools (p: gold, q: silver); it counts to pool gold: "
        "take it out of all but one",
    )


@given(aggregates, st.sampled_from(PoolsFrom), st.randoms(use_true_random=False))
def test_each_host_has_the_pool_of_one_of_its_aggregates_in_whatever_order_they_come(
    made: list[Aggregate], source: PoolsFrom, shuffler: random.Random
) -> None:
    pools = pools_of(HOSTS, made, source)
    assert list(pools.of) == HOSTS
    conflicts = 0
    for host, pool in pools.of.items():
        possible = {
            named_by(each, source) for each in made if host in each.hosts if named_by(each, source)
        }
        assert pool in (possible or {DEFAULT_POOL})
        conflicts += len(possible) > 1
    assert len(pools.conflicts) == conflicts
    shuffled = list(made)
    shuffler.shuffle(shuffled)
    assert pools_of(HOSTS, shuffled, source) == pools


@given(aggregates)
def test_without_pools_all_hosts_are_shared_together(made: list[Aggregate]) -> None:
    pools = pools_of(HOSTS, made, PoolsFrom.NONE)
    assert set(pools.of.values()) == {DEFAULT_POOL}
    assert pools.conflicts == ()
