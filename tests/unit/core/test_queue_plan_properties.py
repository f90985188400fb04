# SPDX-License-Identifier: Apache-2.0
"""What the planner promises, over queues of any kind and over time."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

from clusters import host, snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from queues import Cluster, in_turn, plan, queued, starts

from hybrid_sched.core.cluster import CONTAINER, DEFAULT_POOL, HYPERVISOR, Host
from hybrid_sched.core.queue_order import urgency
from hybrid_sched.core.queue_room import Occupant
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources, add, scale
from hybrid_sched.core.share_gate import Request, ShareGate

FRAMEWORKS = st.sampled_from([HYPERVISOR, CONTAINER])


@st.composite
def queues(draw: st.DrawFn) -> tuple[QueuedTask, ...]:
    """Draw tasks of any size, some with a duration."""
    lengths = st.none() | st.integers(1, 50)
    rows = draw(
        st.lists(
            st.tuples(FRAMEWORKS, st.integers(1, 110), lengths, st.integers(0, 1)), max_size=14
        )
    )
    return in_turn(
        *[
            queued(f"t{i}", size, framework, duration_s=length, priority=priority)
            for i, (framework, size, length, priority) in enumerate(rows)
        ]
    )


@st.composite
def busy_hosts(draw: st.DrawFn) -> tuple[list[Host], list[Occupant]]:
    """Draw hosts of two scores with queued tasks on them, some on their way, of which the ends are known or not."""
    hosts, occupants = [], []
    for index in range(draw(st.integers(1, 4))):
        name = f"h{index}"
        held = {HYPERVISOR: 0, CONTAINER: 0}
        room = 100
        for framework, size, end_s, counted in draw(
            st.lists(
                st.tuples(
                    FRAMEWORKS,
                    st.integers(1, 60),
                    st.none() | st.integers(1001, 1050),
                    st.booleans(),
                ),
                max_size=4,
            )
        ):
            if size > room:
                continue
            room -= size
            held[framework] += size if counted else 0
            occupants.append(Occupant(framework, name, Resources(memory_mb=size), end_s, counted))
        score = draw(st.sampled_from([1, Fraction(1, 2)]))
        hosts.append(host(name, held[HYPERVISOR], held[CONTAINER], score=score))
    return hosts, occupants


LENDING = st.fixed_dictionaries(
    {HYPERVISOR: st.sampled_from([0, Fraction(1, 2), 1]), CONTAINER: st.sampled_from([0, 1])}
)


@given(busy_hosts(), queues(), LENDING)
def test_what_starts_fits_its_host_and_passes_the_share_gate_with_all_before_it(
    busy: tuple[list[Host], list[Occupant]], tasks: Sequence[QueuedTask], lending: dict[str, int]
) -> None:
    hosts, occupants = busy
    now = snapshot(hosts, lending=lending)
    made = plan(now, tasks, occupants)
    assert made == plan(now, tasks, occupants)
    by_uuid = {task.uuid: task for task in tasks}
    coming = [
        (each.framework, each.host, each.demand) for each in occupants if not each.counted
    ] + [(by_uuid[s.task].framework, s.host, by_uuid[s.task].demand) for s in made.starts]
    pool = now.pools[DEFAULT_POOL]
    for number, (framework, name, demand) in enumerate(coming):
        if number >= len(coming) - len(made.starts):
            verdict = ShareGate(dataclasses.replace(now, pools={DEFAULT_POOL: pool})).judge(
                Request("", framework, demand), [name]
            )
            assert verdict.admitted == (name,)
        there = now.hosts[name]
        used = {
            **there.used,
            framework: Resources(*add(there.used.get(framework, Resources()), demand)),
        }
        now = dataclasses.replace(
            now, hosts={**now.hosts, name: dataclasses.replace(there, used=used)}
        )
        cost = scale(there.score, demand)
        known = pool.frameworks[framework]
        charged = dataclasses.replace(
            known, used=add(known.used, cost), wanted=add(known.wanted, cost)
        )
        pool = dataclasses.replace(pool, frameworks={**pool.frameworks, framework: charged})
    assert all(min(each.free) >= 0 for each in now.hosts.values())


@given(busy_hosts(), queues())
def test_nobody_overtakes_within_a_framework_but_by_back_filling(
    busy: tuple[list[Host], list[Occupant]], tasks: Sequence[QueuedTask]
) -> None:
    hosts, occupants = busy
    made = plan(snapshot(hosts), tasks, occupants)
    started = starts(made)
    promised = {hold.task: hold for hold in made.holds}
    for framework in (HYPERVISOR, CONTAINER):
        line = sorted((task for task in tasks if task.framework == framework), key=urgency)
        # What no host could ever hold, and what no share could, keeps nobody waiting.
        waiting = [
            task
            for task in line
            if task.uuid not in started and not made.waits[task.uuid].startswith("It asks for")
        ]
        if not waiting:
            continue
        later = [task for task in line[line.index(waiting[0]) :] if task.uuid in started]
        assert not later or waiting[0].uuid in promised


@given(busy_hosts(), queues())
def test_room_that_would_harm_nobody_is_used(
    busy: tuple[list[Host], list[Occupant]], tasks: Sequence[QueuedTask]
) -> None:
    hosts, occupants = busy
    made = plan(snapshot(hosts), tasks, occupants)
    free = {
        each.name: 100 - sum(o.demand.memory_mb for o in occupants if o.host == each.name)
        for each in hosts
    }
    sizes = {task.uuid: task.demand.memory_mb for task in tasks}
    for task, where in starts(made).items():
        free[where] -= sizes[task]
    held_on = {hold.host for hold in made.holds}
    for task, text in made.waits.items():
        if "share" in text or "held for task" in text:
            continue
        for name, room in free.items():
            assert name in held_on or sizes[task] > room


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(5, 40), st.integers(5, 40), st.integers(1, 3)
)
def test_keys_of_backlogged_frameworks_differ_by_one_task_at_most(
    weight_h: int, weight_c: int, size_h: int, size_c: int, count: int
) -> None:
    hosts = [host(f"h{index}", memory_mb=1000) for index in range(count)]
    weights = {HYPERVISOR: weight_h, CONTAINER: weight_c}
    tasks = [
        *[queued(f"g{i}", size_h, HYPERVISOR, i) for i in range(80)],
        *[queued(f"c{i}", size_c, CONTAINER, i) for i in range(80)],
    ]
    made = plan(snapshot(hosts, weights=weights), tasks, max_starts=25 * count)
    used = {HYPERVISOR: 0, CONTAINER: 0}
    sizes = {HYPERVISOR: size_h, CONTAINER: size_c}
    for start in made.starts:
        used[HYPERVISOR if start.task[0] == "g" else CONTAINER] += sizes[
            HYPERVISOR if start.task[0] == "g" else CONTAINER
        ]
        keys = {name: Fraction(used[name], 1000 * count) / weights[name] for name in used}
        step = max(Fraction(sizes[name], 1000 * count) / weights[name] for name in used)
        assert abs(keys[HYPERVISOR] - keys[CONTAINER]) <= step


@st.composite
def mixed_queues(draw: st.DrawFn) -> tuple[QueuedTask, ...]:
    """Draw tasks of two resources that all say how long they run."""
    rows = draw(
        st.lists(
            st.tuples(
                FRAMEWORKS,
                st.integers(0, 12),
                st.integers(1, 70),
                st.integers(1, 30),
                st.integers(0, 1),
            ),
            max_size=20,
        )
    )
    return in_turn(
        *[
            dataclasses.replace(
                queued(f"t{i}", 0, framework, duration_s=length, priority=priority),
                demand=Resources(vcpu=vcpu, memory_mb=memory_mb),
            )
            for i, (framework, vcpu, memory_mb, length, priority) in enumerate(rows)
        ]
    )


MIXED_HOSTS = st.lists(
    st.tuples(
        st.sampled_from([8, 16]), st.sampled_from([50, 100]), st.sampled_from([1, Fraction(1, 2)])
    ),
    min_size=1,
    max_size=3,
).map(
    lambda rows: [
        Host(f"h{i}", Resources(vcpu=vcpu, memory_mb=memory_mb), score)
        for i, (vcpu, memory_mb, score) in enumerate(rows)
    ]
)


@given(MIXED_HOSTS, mixed_queues())
@settings(deadline=None)
def test_with_true_estimates_nobody_starts_later_than_the_room_held_for_it_promised(
    hosts: list[Host], tasks: Sequence[QueuedTask]
) -> None:
    cluster = Cluster(hosts)
    cluster.submit(tasks)
    promised: dict[str, float] = {}
    cluster.step()
    while True:
        for hold in cluster.holds:
            # A hold may only get earlier.
            assert cluster.now_s <= hold.from_s <= promised.get(hold.task, hold.from_s)
            promised[hold.task] = hold.from_s
        if not cluster.running:
            break
        cluster.go_to(cluster.next_end_s())
        cluster.step()
    for task, from_s in promised.items():
        assert cluster.started_s[task] <= from_s


@given(MIXED_HOSTS, mixed_queues(), LENDING, st.booleans(), st.data())
@settings(deadline=None)
def test_whatever_the_estimates_all_run_that_ever_can(
    hosts: list[Host],
    tasks: Sequence[QueuedTask],
    lending: dict[str, int],
    told: bool,
    data: st.DataObject,
) -> None:
    cluster = Cluster(hosts, picture=lambda shown: snapshot(shown, lending=lending))
    cluster.lasts_s = {task.uuid: data.draw(st.integers(1, 60)) for task in tasks}
    cluster.submit(
        dataclasses.replace(task, duration_s=task.duration_s if told else None) for task in tasks
    )
    made = cluster.step()
    while cluster.running:
        cluster.go_to(cluster.next_end_s())
        made = cluster.step()
    assert all(text.startswith("It asks for") for text in made.waits.values())


@given(
    st.integers(50, 100),
    st.integers(1, 49),
    st.integers(1, 9),
    FRAMEWORKS,
    st.booleans(),
    st.integers(1, 3),
)
@settings(deadline=None)
def test_a_large_task_does_not_starve_behind_an_endless_stream_of_small_ones(
    large: int, small: int, length: int, framework: str, told: bool, count: int
) -> None:
    cluster = Cluster([host(f"h{index}") for index in range(count)])
    stream = 0

    def fill() -> None:
        nonlocal stream
        lasting: dict[str, float] = dict(cluster.lasts_s)
        for _ in range(6 * count):
            name = f"s{stream:05}"
            lasting[name] = length + stream % 3
            made = queued(
                name, small, CONTAINER, stream, duration_s=lasting[name] if told else None
            )
            cluster.submit([made])
            stream += 1
        cluster.lasts_s = lasting

    fill()
    cluster.step()
    cluster.lasts_s = {**cluster.lasts_s, "large": 1}
    # Alone it would start when the tasks that run by then have ended.
    last_end_s = max((cluster.end_s(task) for task in cluster.running.values()), default=1000)
    # It comes before the waiting ones if it is of their framework.
    cluster.submit([queued("large", large, framework, -1)])
    cluster.step()
    while "large" in cluster.waiting:
        assert cluster.now_s <= last_end_s + length + 2
        fill()
        cluster.go_to(cluster.next_end_s())
        cluster.step()
    assert cluster.started_s["large"] <= last_end_s + length + 2


def test_memory_for_half_of_36_tasks_runs_them_all_in_the_promised_order() -> None:
    guests = [queued(f"g{i:02}", 2048, HYPERVISOR, i, duration_s=60) for i in range(12)]
    containers = [
        queued(f"c{i:02}", 512, CONTAINER, 12 + i, duration_s=20 + i % 3) for i in range(24)
    ]
    # 36 GiB are asked for.
    cluster = Cluster([host("a", memory_mb=9216), host("b", memory_mb=9216)])
    cluster.submit([*guests, *containers])
    cluster.run()
    while cluster.running:
        cluster.go_to(cluster.next_end_s())
    for kind, tasks in (("g", guests), ("c", containers)):
        assert [name for name in cluster.order if name[0] == kind] == [task.uuid for task in tasks]
    # Turns: a guest costs as much of the share as four containers, and of equal keys the one with fewer grants comes first.
    turns = [
        "g00",
        *[f"c{i:02}" for i in range(4)],
        "g01",
        *[f"c{i:02}" for i in range(4, 8)],
        "g02",
    ]
    assert cluster.order[:11] == turns
    # Guests alone need 24 GiB for 60 s, of 18 GiB that there are.
    assert cluster.now_s <= 1000 + 180
