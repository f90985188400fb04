# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.limits import RATES, Aspect, HostShape, Limits, Resident, plan

TWO_NODES = HostShape((frozenset(range(4)), frozenset(range(4, 8))))


def resident(name: str, framework: str = CONTAINER, cpus: object = None, **declared) -> Resident:
    declared = {"cpus": 1, "memory_mb": 64, **declared}
    return Resident(name, framework, Declaration(**declared), cpus)


def limits_of(host: HostShape, *residents: Resident) -> dict[str, Limits]:
    planned = plan(host, residents)
    assert planned.faults == ()
    return dict(planned.limits)


def test_cpu_time_is_the_slice_of_each_cpu_and_the_weight_follows_the_cpus():
    limits = limits_of(
        TWO_NODES,
        resident("half", cpu_percent=50),
        replace(resident("three"), declaration=Declaration(3, 64, cpu_percent=20)),
        replace(resident("small"), declaration=Declaration(Fraction(1, 4), 64)),
        replace(resident("heavy"), declaration=Declaration(1, 64, cpu_shares=4096)),
    )
    assert {name: (each.cpu_quota, each.cpu_weight) for name, each in limits.items()} == {
        "half": (Fraction(1, 2), 1024),
        "three": (Fraction(3, 5), 3072),
        "small": (Fraction(1, 4), 256),
        "heavy": (1, 4096),
    }


def test_a_container_has_a_limit_of_memory_and_a_guest_is_only_protected():
    limits = limits_of(TWO_NODES, resident("c"), resident("g", HYPERVISOR, memory_mb=2048))
    assert (limits["c"].memory_mb, limits["c"].memory_low_mb) == (64, 64)
    assert (limits["g"].memory_mb, limits["g"].memory_low_mb) == (None, 2048)


def test_shared_tasks_stay_on_one_node_and_spread_over_the_nodes():
    limits = limits_of(TWO_NODES, *(resident(name) for name in "abcd"))
    assert [limits[name].cpus for name in "abcd"] == [
        *(TWO_NODES.nodes[0], TWO_NODES.nodes[1]),
        *(TWO_NODES.nodes[0], TWO_NODES.nodes[1]),
    ]


def test_a_task_larger_than_a_node_may_run_on_all():
    wide = Resident("wide", HYPERVISOR, Declaration(6, 64))
    assert limits_of(TWO_NODES, wide)["wide"].cpus == TWO_NODES.cpus


def test_cpus_of_its_own_are_on_the_node_that_has_least_left_and_nobody_else_runs_there():
    first = Resident("first", HYPERVISOR, Declaration(3, 64, cpu_policy="dedicated"))
    second = Resident("second", CONTAINER, Declaration(1, 64, cpu_policy="dedicated"))
    limits = limits_of(TWO_NODES, resident("shared"), first, second)
    assert limits["first"].cpus == {0, 1, 2}
    assert limits["second"].cpus == {3}
    assert limits["shared"].cpus == TWO_NODES.nodes[1]


def test_who_was_there_first_keeps_its_cpus_and_the_other_gets_new_ones():
    # Nova and Zun know nothing of each other's pins.
    first = Resident(
        "first", HYPERVISOR, Declaration(2, 64, cpu_policy="dedicated"), frozenset({1, 2})
    )
    second = replace(first, uuid="second", framework=CONTAINER)
    limits = limits_of(TWO_NODES, first, second)
    assert limits["first"].cpus == {1, 2}
    assert limits["second"].cpus == {0, 3}


def test_cpus_of_their_own_that_are_not_there_are_said_and_one_is_left_for_the_others():
    host = HostShape((frozenset({0, 1}),))
    wants = Resident("wants", HYPERVISOR, Declaration(2, 64, cpu_policy="dedicated"))
    alone = plan(host, [wants])
    assert alone.limits["wants"].cpus == {0, 1}
    assert alone.faults == ()
    crowded = plan(host, [replace(wants, cpus=frozenset({0, 1})), resident("shared")])
    assert crowded.limits["wants"].cpus == {0, 1}
    assert crowded.limits["shared"].cpus == {0, 1}
    assert len(crowded.faults) == 1
    assert "wants" in crowded.faults[0]


def test_rates_above_the_rated_speed_are_cut_alike_and_said():
    host = HostShape(TWO_NODES.nodes, {Aspect.DISK_READ: 1000}, Fraction(1, 10))
    planned = plan(host, [resident("a", disk_read_bps=1200), resident("b", disk_read_bps=600)])
    assert {name: each.disk_read_bps for name, each in planned.limits.items()} == {
        "a": 600,
        "b": 300,
    }
    assert "1800 bytes/s" in planned.faults[0]
    assert "50%" in planned.faults[0]


def test_who_declared_no_rate_gets_a_part_of_the_rest_once_somebody_did():
    host = HostShape(TWO_NODES.nodes, {Aspect.NET_IN: 1000})
    silent = [resident("a"), resident("b")]
    assert {each.net_in_bps for each in limits_of(host, *silent).values()} == {None}
    limits = limits_of(host, *silent, resident("c", net_in_bps=400))
    assert [limits[name].net_in_bps for name in "abc"] == [300, 300, 400]


def test_what_is_declared_of_reading_and_writing_together_counts_and_is_left_to_libvirt():
    host = HostShape(TWO_NODES.nodes, {Aspect.DISK_READ: 1000, Aspect.DISK_WRITE: 1000})
    limits = limits_of(host, resident("both", HYPERVISOR, disk_total_bps=700), resident("other"))
    assert (limits["both"].disk_read_bps, limits["both"].disk_write_bps) == (None, None)
    assert (limits["other"].disk_read_bps, limits["other"].disk_write_bps) == (300, 300)


def test_limits_tell_in_what_they_differ():
    one, other = Limits(cpu_quota=1, memory_mb=5), Limits(cpu_quota=1, memory_mb=6, net_in_bps=1)
    assert one.differing(other, Aspect) == {Aspect.MEMORY, Aspect.NET_IN}
    assert one.differing(other, {Aspect.CPU_QUOTA, Aspect.MEMORY}) == {Aspect.MEMORY}


hosts = st.builds(
    lambda sizes, speed, reserve: HostShape(
        tuple(
            frozenset(range(sum(sizes[:index]), sum(sizes[: index + 1])))
            for index in range(len(sizes))
        ),
        dict.fromkeys(RATES, speed) if speed else {},
        Fraction(reserve, 100),
    ),
    st.lists(st.integers(1, 8), min_size=1, max_size=4),
    st.integers(0, 10**9),
    st.integers(0, 90),
)
tasks = st.lists(
    st.tuples(
        st.sampled_from([HYPERVISOR, CONTAINER]),
        st.builds(
            Declaration,
            cpus=st.integers(1, 6),
            memory_mb=st.integers(1, 4096),
            cpu_percent=st.integers(1, 100),
            cpu_policy=st.sampled_from(["shared", "dedicated"]),
            disk_read_bps=st.integers(0, 10**9),
            net_out_bps=st.integers(0, 10**9),
        ),
        st.none() | st.frozensets(st.integers(0, 31), min_size=1, max_size=6),
    ),
    max_size=12,
).map(lambda drawn: [Resident(str(index), *each) for index, each in enumerate(drawn)])


@given(hosts, tasks)
def test_together_the_limits_are_within_the_host(host: HostShape, residents: list[Resident]):
    planned = plan(host, residents)
    assert set(planned.limits) == {each.uuid for each in residents}
    alone: set[int] = set()
    for each in residents:
        cpus = planned.limits[each.uuid].cpus
        assert cpus
        assert cpus <= host.cpus
        if each.declaration.cpu_policy == "dedicated" and each.uuid not in " ".join(planned.faults):
            assert len(cpus) == each.declaration.cpus
            assert not cpus & alone
            alone |= cpus
    for each in residents:
        if each.declaration.cpu_policy == "shared":
            assert not planned.limits[each.uuid].cpus & alone
    for aspect in RATES:
        rates = [getattr(limits, aspect) for limits in planned.limits.values()]
        available = host.available(aspect)
        if available is not None and any(rates):
            # A limit is one byte a second at least.
            assert sum(rate or 0 for rate in rates) <= available + len(rates)


@given(hosts, tasks)
def test_what_holds_stays_when_nothing_changes(host: HostShape, residents: list[Resident]):
    before = plan(host, residents)
    settled = [replace(each, cpus=before.limits[each.uuid].cpus) for each in residents]
    again = plan(host, settled)
    assert again.limits.keys() == before.limits.keys()
    own = [each for each in residents if each.declaration.cpu_policy == "dedicated"]
    for each in own:
        assert again.limits[each.uuid].cpus == before.limits[each.uuid].cpus


def test_a_task_for_which_no_cpu_is_left_runs_beside_others_and_takes_nobodys_place() -> None:
    host = HostShape((frozenset({0, 1}),))
    dedicated = Declaration(2, 64, cpu_policy="dedicated")
    late = Resident("late", HYPERVISOR, dedicated)
    has = Resident("has", HYPERVISOR, dedicated, frozenset({0, 1}))
    for _ in range(2):
        planned = plan(host, [late, has])
        assert planned.limits["has"].cpus == {0, 1}
        assert planned.limits["late"].cpus == {0}
        assert len(planned.faults) == 1
        late = replace(late, cpus=planned.limits["late"].cpus)


def test_a_task_that_shares_one_cpu_takes_no_place_of_one_that_has_its_own() -> None:
    host = HostShape((frozenset({0, 1}),))
    shared, dedicated = (
        Declaration(cpus=1, memory_mb=1, cpu_policy=policy) for policy in ("shared", "dedicated")
    )
    residents = [
        Resident("beside", HYPERVISOR, shared),
        Resident("late", HYPERVISOR, dedicated),
        Resident("owner", HYPERVISOR, dedicated, frozenset({0})),
    ]
    for _ in range(3):
        planned = plan(host, residents)
        assert planned.limits["owner"].cpus == {0}
        assert planned.limits["late"].cpus == {1}
        assert [fault.split(" declared")[0] for fault in planned.faults] == ["hypervisor task late"]
        residents = [replace(each, cpus=planned.limits[each.uuid].cpus) for each in residents]
