# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from agents import BackEnd, Clock, conf, seen

from hybrid_sched.agent.host_shape import Ground
from hybrid_sched.agent.reconcile import Reconciler
from hybrid_sched.agent.release import PutBack, isolators_of, release
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.squeeze import Squeezer
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.limits import Aspect, HostShape, Limits

CPUS = frozenset({0, 1})
BEFORE = Limits(cpu_weight=77, cpus=frozenset({1}), memory_mb=64)


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path, "a")


def hold(replica: Replica, *isolators: tuple[str, BackEnd], squeeze: str | None = None) -> None:
    """Do what an agent does in a round."""
    tasks = [
        seen(uuid, next(iter(back_end.frameworks)), cpus=1)
        for _, back_end in isolators
        for uuid in back_end.limits
    ]
    ground = Ground(HostShape((CPUS,)), CPUS)
    outcome = Reconciler(conf(), isolators, replica, lambda _: ground).reconcile(tasks)
    if squeeze:
        squeezer = Squeezer(conf(), isolators, replica, Clock())
        squeezer.take_order(1, {CONTAINER: squeeze})
        squeezer.apply(outcome.weights)


@pytest.mark.parametrize("squeeze", [None, "1/2"])
def test_every_limit_is_put_back_to_what_it_was(replica: Replica, squeeze: str | None) -> None:
    docker, guests = BackEnd(one=BEFORE, two=Limits()), BackEnd(HYPERVISOR, guest=Limits())
    isolators = [("docker", docker), ("libvirt", guests)]
    hold(replica, *isolators, squeeze=squeeze)
    assert docker.limits["one"].cpu_weight == (512 if squeeze else 1024)
    assert isolators_of(replica.state) == ["docker", "libvirt"]

    would, faults = release(isolators, replica, dry_run=True)
    assert docker.limits["one"].cpu_weight != 77
    done, faults = release(isolators, replica, dry_run=False)
    assert (done, faults) == (would, [])
    assert PutBack("docker", "one", Aspect.CPUS, CPUS, frozenset({1})) in done
    assert Aspect.MEMORY not in {each.aspect for each in done if each.uuid == "one"}
    assert docker.limits == {"one": BEFORE, "two": Limits()}
    assert guests.limits == {"guest": Limits()}
    state = replica.state
    assert (state.records, state.squeezes, state.order.factors) == ({}, {}, {})
    # The term still fences.
    assert state.order.term == (1 if squeeze else 0)
    assert release(isolators, replica, dry_run=False) == ([], [])


def test_a_squeeze_alone_is_put_back(replica: Replica) -> None:
    docker = BackEnd(one=Limits(cpu_weight=300))
    squeezer = Squeezer(conf(), [("docker", docker)], replica, Clock())
    squeezer.take_order(1, {CONTAINER: "1/3"})
    squeezer.apply()
    done, _ = release([("docker", docker)], replica, dry_run=False)
    assert done == [PutBack("docker", "one", Aspect.CPU_WEIGHT, 100, 300)]
    assert docker.limits["one"].cpu_weight == 300


def test_what_fails_is_kept_for_the_next_trial_and_keeps_no_other(replica: Replica) -> None:
    docker, guests = BackEnd(one=BEFORE, two=Limits()), BackEnd(HYPERVISOR, guest=Limits())
    isolators = [("docker", docker), ("libvirt", guests)]
    hold(replica, *isolators, squeeze="1/2")
    docker.refused, guests.away = {"one"}, True
    done, faults = release(isolators, replica, dry_run=False)
    assert {each.uuid for each in done} == {"two"}
    assert faults == ["docker: one refused.", "libvirt: away."]
    assert {name: set(each) for name, each in replica.state.records.items()} == {
        "docker": {"one"},
        "libvirt": {"guest"},
    }
    docker.refused, guests.away = set(), False
    release(isolators, replica, dry_run=False)
    assert docker.limits["one"] == BEFORE
    assert guests.limits["guest"] == Limits()
    assert isolators_of(replica.state) == []


def test_a_container_that_is_stopped_is_put_back_too(replica: Replica) -> None:
    docker = BackEnd(one=BEFORE)
    hold(replica, ("docker", docker))
    # It is not read, and Docker would start it with what was set.
    docker.stopped = {"one"}
    assert release([("docker", docker)], replica, dry_run=False) == ([], [])
    assert docker.limits["one"] == BEFORE
