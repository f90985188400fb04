# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest
from clusters import host, snapshot
from queues import held, in_turn, plan, queued, starts

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, Host, Pool, Snapshot
from hybrid_sched.core.packing.base import Packer
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.queue_plan import NamedPacker
from hybrid_sched.core.queue_room import Occupant
from hybrid_sched.core.queued import Hold, QueuedTask
from hybrid_sched.core.resources import Resources


def on(where: str, memory_mb: int, ends_at_s: float | None, framework: str = CONTAINER) -> Occupant:
    return Occupant(framework, where, Resources(memory_mb=memory_mb), ends_at_s)


def test_what_fits_starts_in_turns_of_the_smallest_share_over_weight() -> None:
    tasks = in_turn(
        *[queued(f"c{i}", 10) for i in range(4)],
        *[queued(f"g{i}", 10, HYPERVISOR) for i in range(4)],
    )
    made = plan(snapshot([host("a")], weights={HYPERVISOR: 2}), tasks)
    # Of equal keys the one with fewer grants comes first, then the first framework.
    assert [start.task for start in made.starts] == ["g0", "c0", "g1", "c1", "g2", "g3", "c2", "c3"]
    assert not made.waits


def test_a_start_says_whose_turn_it_is_who_chose_the_host_and_how_long() -> None:
    made = plan(snapshot([host("a", containers_mb=10)]), [queued("c", 10, duration_s=40)])
    assert made.starts[0].text == (
        "It is the turn of framework container (share over weight 10.00%); packer cross_fill put it there; "
        "its duration is 40 s as declared."
    )


def test_the_first_that_does_not_fit_gets_the_room_that_opens_first() -> None:
    cluster = snapshot([host("a", containers_mb=80), host("b", containers_mb=70)])
    occupants = [on("a", 80, 1500), on("b", 70, 1400)]
    made = plan(cluster, in_turn(queued("big", 90), queued("small", 30)), occupants)
    assert held(made) == {"big": ("b", 1400)}
    assert made.holds[0].text == (
        "No host has room for it now; room is held on b from 1970-01-01 00:23:20 UTC, when a task has ended there by the "
        "estimates."
    )
    # It fits on b alone, and would be there for longer than anybody knows.
    assert made.waits["small"] == (
        "No host has room for it beside what is held; task big is the first of framework container to wait for room."
    )


@pytest.mark.parametrize(
    ("small", "duration_s", "starts_on"),
    [
        (20, None, "a"),
        (30, None, None),
        (30, 400, "b"),
        (30, 401, None),
        (10, 9999, "a"),
        (31, 1, None),
    ],
)
def test_back_filling_is_on_another_host_beside_the_held_room_or_over_in_time(
    small: int, duration_s: float | None, starts_on: str | None
) -> None:
    cluster = snapshot([host("a", containers_mb=80), host("b", containers_mb=70)])
    occupants = [on("a", 80, 1500), on("b", 70, 1400)]
    tasks = in_turn(queued("big", 90), queued("small", small, duration_s=duration_s))
    assert starts(plan(cluster, tasks, occupants)).get("small") == starts_on


def test_back_filling_may_use_what_is_left_beside_the_held_room_once() -> None:
    cluster = snapshot([host("a", containers_mb=70)])
    tasks = in_turn(queued("big", 80), *[queued(f"s{i}", 10) for i in range(3)])
    made = plan(cluster, tasks, [on("a", 70, 1400)])
    assert starts(made) == {"s0": "a", "s1": "a"}


def test_where_no_end_is_known_the_host_that_needs_fewest_ends_is_left_to_drain() -> None:
    cluster = snapshot([host("a", containers_mb=90), host("b", containers_mb=90)])
    occupants = [*[on("a", 30, None)] * 3, on("b", 80, None), on("b", 10, None)]
    made = plan(
        cluster,
        in_turn(queued("big", 80), queued("s0", 10), queued("s1", 10, duration_s=1)),
        occupants,
    )
    assert held(made) == {"big": ("b", 0)}
    assert starts(made) == {"s0": "a"}
    assert made.waits["big"] == (
        "No host has room for it now; room is held on b until a task has ended there, and nobody can tell when that is."
    )


def test_what_the_queue_did_not_start_is_the_last_to_be_waited_for() -> None:
    cluster = snapshot([host("a", guests_mb=90), host("b", containers_mb=90)])
    made = plan(cluster, [queued("big", 80)], [*[on("b", 10, None)] * 9])
    assert held(made) == {"big": ("b", 0)}


@pytest.mark.parametrize(("b_ends_s", "stays_on"), [(1900, "a"), (1800, "a"), (1700, "b")])
def test_a_hold_stays_where_it_is_unless_another_host_is_clearly_earlier(
    b_ends_s: float, stays_on: str
) -> None:
    cluster = snapshot([host("a", containers_mb=90), host("b", containers_mb=90)])
    occupants = [on("a", 90, 2000), on("b", 90, b_ends_s)]
    before = Hold("big", "a", 2000, "")
    made = plan(cluster, [queued("big", 80)], occupants, holds=[before])
    assert held(made)["big"][0] == stays_on


def test_held_room_that_came_free_is_for_nobody_else_even_before_the_turn_of_its_task() -> None:
    cluster = snapshot([host("a"), host("b", containers_mb=100)])
    guests = [queued(f"g{i}", 40, HYPERVISOR, i) for i in range(3)]
    made = plan(
        cluster, [queued("big", 90, position=9), *guests], holds=[Hold("big", "a", 1000, "")]
    )
    assert starts(made) == {"big": "a"}
    assert made.starts[0].text.count("the room held for it on a is free now") == 1


def test_an_earlier_task_of_the_framework_may_take_the_room_held_for_a_later_one() -> None:
    cluster = snapshot([host("a")])
    tasks = [queued("big", 90), queued("urgent", 40, priority=1, position=1)]
    made = plan(cluster, tasks, holds=[Hold("big", "a", 1000, "")])
    assert starts(made) == {"urgent": "a"}
    assert held(made).keys() == {"big"}


def test_each_framework_gets_a_hold_of_its_own() -> None:
    cluster = snapshot([host("a", containers_mb=90)])
    tasks = in_turn(queued("c", 60, duration_s=50), queued("g", 70, HYPERVISOR), queued("late", 80))
    made = plan(cluster, tasks, [on("a", 90, 1400)])
    assert held(made) == {"g": ("a", 1400), "c": ("a", 0)}


def test_what_the_share_stops_waits_and_does_not_keep_the_other_framework_waiting() -> None:
    cluster = snapshot([host("a", containers_mb=45), host("b")], lending={HYPERVISOR: 0})
    tasks = in_turn(queued("c0", 60), queued("c1", 10), queued("g", 10, HYPERVISOR))
    made = plan(cluster, tasks)
    assert set(starts(made)) == {"g"}
    assert not made.holds
    assert made.waits == {
        "c0": "It waits for the share: framework container would hold 52.5 % of memory_mb; its share by weight is 50.0 % and "
        "0.0 % more can be lent now, so it is 2.5 % over.",
        "c1": "Task c0 of framework container comes first and waits for the share.",
    }


def test_what_starts_in_a_call_is_charged_in_it() -> None:
    cluster = snapshot([host("a"), host("b")], lending={HYPERVISOR: 0})
    made = plan(cluster, [queued(f"c{i}", 30, position=i) for i in range(6)])
    assert list(starts(made)) == ["c0", "c1", "c2"]


def test_the_share_of_the_task_that_waits_for_room_is_kept_from_later_ones() -> None:
    cluster = snapshot([host("a", guests_mb=80), host("b", guests_mb=20)], lending={HYPERVISOR: 0})
    tasks = in_turn(queued("big", 90), queued("s0", 10), queued("s1", 10))
    made = plan(cluster, tasks, [on("b", 20, 1400, HYPERVISOR)])
    assert held(made) == {"big": ("b", 1400)}
    assert starts(made) == {"s0": "a"}
    assert made.waits["s1"].startswith("With what is kept for task big, for which room is held: ")


def test_a_task_on_its_way_is_charged_to_its_host_and_its_framework() -> None:
    cluster = snapshot([host("a"), host("b")], lending={HYPERVISOR: 0})
    flying = dataclasses.replace(on("a", 90, None), counted=False)
    assert starts(plan(cluster, [queued("c", 20)], [flying])) == {}
    assert starts(plan(cluster, [queued("c", 10)], [flying])) == {"c": "b"}
    counted = snapshot([host("a", containers_mb=60), host("b", guests_mb=95)])
    assert starts(plan(counted, [queued("c", 40)], [on("a", 60, None)])) == {"c": "a"}


def test_a_task_larger_than_any_host_waits_and_holds_nothing() -> None:
    made = plan(snapshot([host("a"), host("b")]), in_turn(queued("huge", 101), queued("c", 60)))
    assert starts(made).keys() == {"c"}
    assert not made.holds
    assert made.waits["huge"] == (
        "It asks for 101 memory_mb, for which no host with a fresh report would have room even if it were empty: "
        "ask for less, or add a larger host."
    )


def test_a_task_larger_than_its_framework_can_ever_hold_waits_and_stops_nobody() -> None:
    cluster = snapshot([host("a")], lending={HYPERVISOR: 0})
    made = plan(cluster, in_turn(queued("much", 60), queued("c", 40)))
    assert starts(made) == {"c": "a"}
    assert made.waits["much"].startswith("It asks for more than framework container could hold")


def test_hosts_without_a_fresh_report_get_nothing() -> None:
    made = plan(snapshot([host("a", fresh=False)]), [queued("c", 1)], holds=[Hold("c", "a", 0, "")])
    assert not made.starts
    assert not made.holds
    assert made.waits["c"].startswith("No host with a fresh report may take it")


def test_a_resource_that_a_host_does_not_declare_is_not_rationed() -> None:
    task = dataclasses.replace(queued("c", 1), demand=Resources(memory_mb=10, disk_read_bps=5))
    assert starts(plan(snapshot([host("a")]), [task])) == {"c": "a"}
    declares = Host("b", Resources(memory_mb=5, disk_read_bps=100))
    assert starts(plan(snapshot([host("a"), declares]), [task])) == {"c": "a"}


def test_a_limit_of_starts_leaves_the_rest_for_the_next_call_and_keeps_promises() -> None:
    tasks = [queued(f"c{i}", 1, position=i) for i in range(5)]
    big = queued("big", 90, HYPERVISOR)
    cluster = snapshot([host("a"), host("b", guests_mb=50)])
    made = plan(
        cluster,
        [*tasks, big],
        [on("b", 50, 1900, HYPERVISOR)],
        max_starts=2,
        holds=[Hold("big", "b", 0, "")],
    )
    assert list(starts(made)) == ["c0", "c1"]
    assert made.waits["c2"] == "It waits for its turn: at most 2 tasks start at a time."
    assert "big" in held(made)


class Last(Packer):
    """Places all tasks on the last host, or none there."""

    def pack(self, tasks, hosts):  # type: ignore[no-untyped-def]
        last = len(hosts) - 1
        shifted = CrossFill().pack(tasks, [hosts[last]])
        return dataclasses.replace(shifted, bins={last: shifted.bins.get(0, ())})


def two_pools() -> Snapshot:
    left, right = snapshot([host("l1"), host("l2")]), snapshot([host("r1"), host("r2")])
    hosts = {
        **left.hosts,
        **{n: dataclasses.replace(h, pool="right") for n, h in right.hosts.items()},
    }
    home = right.pools[DEFAULT_POOL]
    pools = {**left.pools, "right": Pool("right", home.capacity, home.frameworks)}
    return dataclasses.replace(left, pools=pools, hosts=hosts)


def zoned(name: str, memory_mb: int, zone: str, **changes: object) -> QueuedTask:
    return queued(name, memory_mb, spec={"availability_zone": zone}, **changes)


def test_each_pool_has_its_packer_and_the_others_go_by_that_of_the_default_pool() -> None:
    packers = {
        DEFAULT_POOL: NamedPacker("cross_fill", CrossFill()),
        "right": NamedPacker("last", Last()),
    }
    tasks = [zoned("r", 10, "right"), zoned("any", 10, "nowhere")]
    made = plan(two_pools(), tasks, packers=packers)
    assert starts(made) == {"any": "l1", "r": "r2"}
    assert "packer last" in next(start.text for start in made.starts if start.task == "r")
    assert starts(plan(two_pools(), tasks)) == {"any": "l1", "r": "r1"}


def test_a_task_for_any_pool_goes_to_the_next_pool_with_room_or_is_held_in_the_earliest() -> None:
    cluster = two_pools()
    full = {
        name: dataclasses.replace(each, used={HYPERVISOR: Resources(memory_mb=50)})
        for name, each in cluster.hosts.items()
        if name != "r2"
    }
    cluster = dataclasses.replace(cluster, hosts={**cluster.hosts, **full})
    made = plan(
        cluster, in_turn(queued("big", 90), queued("next", 95)), [on("l2", 50, 1600, HYPERVISOR)]
    )
    assert starts(made) == {"big": "r2"}
    assert held(made) == {"next": ("l2", 1600)}


def test_a_slower_host_costs_the_share_less() -> None:
    slow = host("slow", score=Fraction(1, 2))
    cluster = snapshot([host("fast", containers_mb=60), slow], lending={HYPERVISOR: 0})
    assert starts(plan(cluster, [queued("c", 30)])) == {"c": "slow"}


def test_no_room_is_held_that_no_share_will_be_there_to_use() -> None:
    hosts = [host("a", guests_mb=100), host("b", containers_mb=50)]
    cluster = snapshot(hosts, lending={HYPERVISOR: 0})
    occupants = [on("a", 100, 1400, HYPERVISOR), on("b", 50, None)]
    made = plan(cluster, [queued("c", 60)], occupants)
    assert not made.holds
    assert made.waits["c"].startswith(
        "It waits for the share: framework container would hold 55.0 %"
    )
    # What will have ended by then is taken off.
    occupants[1] = on("b", 50, 1300)
    assert held(plan(cluster, [queued("c", 60)], occupants)) == {"c": ("b", 1300)}
