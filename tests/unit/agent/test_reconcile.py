# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from agents import BackEnd, Clock, Killed, conf, seen

from hybrid_sched.agent.host_shape import Ground
from hybrid_sched.agent.reconcile import Outcome, Reconciler
from hybrid_sched.agent.records import Record
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.squeeze import Squeezer
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.limits import Aspect, HostShape, Limits
from hybrid_sched.interfaces.isolator import Ability
from hybrid_sched.interfaces.monitor import SeenTask

CPUS = frozenset(range(8))
#: What a container of one CPU and 64 MiB is held to on its own.
ONE = Limits(cpu_quota=1, cpu_weight=1024, cpus=CPUS, memory_mb=64, memory_low_mb=64)


class Site:
    """One agent's reconciler over its replica; it can be restarted."""

    def __init__(self, directory: Path, *isolators: tuple[str, BackEnd], **options: Any) -> None:
        self._directory = directory
        self.isolators = isolators
        self.conf = conf(**options)
        self.ground = Ground(HostShape((CPUS,)), CPUS)
        self.replica: Replica | None = None
        self.restart()

    def restart(self) -> None:
        if self.replica is not None:
            self.replica.close()
        self.replica = Replica(self._directory, "a")
        self.reconciler = Reconciler(
            self.conf, self.isolators, self.replica, lambda _conf: self.ground
        )

    def reconcile(self, *tasks: SeenTask, **how: Any) -> Outcome:
        return self.reconciler.reconcile(tasks, **how)

    def set(self, **options: Any) -> None:
        for name, value in options.items():
            self.conf.set_override(name, value, group="agent")

    def record(self, uuid: str, isolator: str = "docker") -> Record:
        return self.replica.state.records[isolator][uuid]

    @property
    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        return dict(self.replica.state.applied), dict(self.replica.state.repaired)


@pytest.fixture
def docker() -> BackEnd:
    return BackEnd(one=Limits())


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Site]:
    return lambda *isolators, **options: Site(tmp_path, *isolators, **options)


@pytest.fixture
def site(make: Callable[..., Site], docker: BackEnd) -> Site:
    return make(("docker", docker))


def test_a_task_is_held_to_what_it_declared_and_then_left_alone(
    site: Site, docker: BackEnd
) -> None:
    outcome = site.reconcile(seen("one", cpu_percent=50))
    assert docker.limits["one"] == replace(ONE, cpu_quota=Fraction(1, 2), cpus=None)
    assert outcome == Outcome(weights={"one": 1024})
    applied = {"cpu_quota": 1, "cpu_weight": 1, "memory_mb": 1, "memory_low_mb": 1}
    assert site.counts == (applied, {})
    state = site.replica.state
    site.reconcile(seen("one", cpu_percent=50))
    site.restart()
    site.reconcile(seen("one", cpu_percent=50))
    assert len(docker.held) == 1
    assert site.replica.state == state


def test_only_what_differs_is_set(site: Site, docker: BackEnd) -> None:
    docker.limits["one"] = replace(ONE, memory_mb=32)
    site.reconcile(seen("one"))
    assert docker.held == [("one", {Aspect.MEMORY})]


def test_what_something_else_changed_is_repaired_and_counted_also_after_a_restart(
    site: Site, docker: BackEnd, caplog: pytest.LogCaptureFixture
) -> None:
    site.reconcile(seen("one"))
    applied, _ = site.counts
    docker.limits["one"] = replace(docker.limits["one"], memory_mb=512)
    site.reconcile(seen("one"))
    assert docker.limits["one"].memory_mb == 64
    assert site.counts == (applied, {"memory_mb": 1})
    said = "memory_mb of container task one was 512, which something else had set; it is 64 again."
    assert said in caplog.text
    site.restart()
    docker.limits["one"] = replace(docker.limits["one"], cpu_quota=None, memory_mb=None)
    site.reconcile(seen("one"))
    assert site.counts == (applied, {"memory_mb": 2, "cpu_quota": 1})


def test_what_was_right_from_the_start_drifts_too(site: Site, docker: BackEnd) -> None:
    docker.limits["one"] = ONE
    site.reconcile(seen("one"))
    assert (docker.held, site.counts) == ([], ({}, {}))
    docker.limits["one"] = replace(ONE, cpu_weight=2)
    site.reconcile(seen("one"))
    assert site.counts == ({}, {"cpu_weight": 1})


def test_another_declaration_or_another_life_is_no_drift(site: Site, docker: BackEnd) -> None:
    site.reconcile(seen("one"))
    site.reconcile(seen("one", memory_mb=128))
    docker.limits["one"] = replace(docker.limits["one"], memory_low_mb=None)
    site.reconcile(seen("one", life="2", memory_mb=128))
    assert docker.limits["one"].memory_low_mb == 128
    assert site.counts[1] == {}


def test_what_was_before_is_kept_over_restarts_and_lives_and_forgotten_with_the_task(
    site: Site, docker: BackEnd
) -> None:
    docker.limits["one"] = before = Limits(cpu_weight=2, memory_mb=1000)
    docker.limits["two"] = ONE
    site.reconcile(seen("one"), seen("two"))
    site.restart()
    # Docker keeps what was set over a restart of the container.
    site.reconcile(seen("one", life="2"), seen("two"))
    record = site.record("one")
    assert record.before == before
    assert record.touched == {
        *(Aspect.CPU_QUOTA, Aspect.CPU_WEIGHT, Aspect.MEMORY, Aspect.MEMORY_LOW)
    }
    assert site.record("two").touched == set()
    # Those of a source that fails are not gone.
    site.reconcile(unknown=[CONTAINER])
    assert site.record("one") == record
    site.reconcile(seen("two"))
    assert site.replica.state.records["docker"].keys() == {"two"}


@pytest.mark.parametrize("framework", [CONTAINER, HYPERVISOR])
def test_a_task_that_is_made_anew_has_another_before(
    make: Callable[..., Site], framework: str
) -> None:
    back_end = BackEnd(framework, one=Limits(cpu_weight=5))
    site = make(("docker", back_end))
    made = {CONTAINER: ("first", "second"), HYPERVISOR: ("", "")}[framework]
    site.reconcile(seen("one", framework, made=made[0]))
    back_end.limits["one"] = Limits(cpu_weight=7)
    site.reconcile(seen("one", framework, life="2", made=made[1]))
    assert site.record("one").before.cpu_weight == 7


@pytest.mark.parametrize("kills_after", range(3))
def test_what_was_before_is_on_disk_before_anything_is_changed(
    site: Site, docker: BackEnd, kills_after: int
) -> None:
    befores = {name: Limits(cpu_weight=number) for number, name in enumerate("abc", 3)}
    docker.limits = dict(befores)
    tasks = [seen(name) for name in befores]
    docker.killed_at_hold = kills_after
    with pytest.raises(Killed):
        site.reconcile(*tasks)
    docker.killed_at_hold = None
    site.restart()
    site.reconcile(*tasks)
    assert {name: site.record(name).before for name in befores} == befores
    assert {limits.cpu_weight for limits in docker.limits.values()} == {1024}
    # Whatever the killed one had set already: nothing else has changed it.
    assert site.counts[1] == {}


def test_what_the_kernel_rounds_is_accepted_and_a_change_within_the_rounding_is_still_seen(
    site: Site, docker: BackEnd
) -> None:
    docker.rounded = lambda limits: replace(limits, cpu_weight=limits.cpu_weight // 10 * 10)
    assert site.reconcile(seen("one")).faults == ()
    assert docker.limits["one"].cpu_weight == 1020
    site.reconcile(seen("one"))
    assert len(docker.held) == 1
    docker.limits["one"] = replace(docker.limits["one"], cpu_weight=1010)
    site.reconcile(seen("one"))
    assert docker.limits["one"].cpu_weight == 1020
    assert site.counts[1] == {"cpu_weight": 1}


def test_what_does_not_hold_is_a_fault_said_once_and_tried_again_by_a_sweep_alone(
    site: Site, docker: BackEnd, caplog: pytest.LogCaptureFixture
) -> None:
    docker.deaf = {Aspect.MEMORY}
    said = "docker: memory_mb of container task one was set to 64 and is None."
    for again, holds in ((True, 1), (False, 1), (True, 2)):
        (fault,) = site.reconcile(seen("one"), again=again).faults
        assert fault.startswith(said)
        assert len(docker.held) == holds
    assert docker.held[-1] == ("one", {Aspect.MEMORY})
    assert caplog.text.count(said) == 1
    assert "memory_mb" not in site.counts[0]
    # What is new is set at any time.
    docker.limits["two"] = Limits()
    site.reconcile(seen("one"), seen("two"), again=False)
    assert docker.held[-1][0] == "two"
    docker.deaf = set()
    assert site.reconcile(seen("one"), seen("two")).faults == ()
    assert site.counts[0]["memory_mb"] == 2


def test_a_task_that_is_refused_keeps_no_other_and_is_a_fault_in_the_back_ends_words(
    site: Site, docker: BackEnd
) -> None:
    docker.limits["two"] = Limits()
    docker.refused = {"one"}
    assert site.reconcile(seen("one"), seen("two")).faults == ("docker: one refused.",)
    assert docker.limits["two"].memory_mb == 64


def test_the_first_isolator_that_can_holds_a_limit_and_one_that_cannot_is_passed_over(
    make: Callable[..., Site],
) -> None:
    docker = BackEnd(aspects={Aspect.MEMORY, Aspect.CPU_QUOTA}, one=Limits())
    kernel = BackEnd(
        aspects={Aspect.MEMORY, Aspect.MEMORY_LOW},
        missing={Aspect.CPU_WEIGHT: "the kernel has no cpu controller."},
        one=Limits(),
    )
    site = make(("docker", docker), ("cgroup", kernel))
    outcome = site.reconcile(seen("one", net_in_bps=10**6))
    assert docker.held == [("one", {Aspect.MEMORY, Aspect.CPU_QUOTA})]
    assert kernel.held == [("one", {Aspect.MEMORY_LOW})]
    assert sorted(outcome.missing) == [
        "cgroup: the kernel has no cpu controller.",
        "cpus of container tasks is held by none of [agent] isolators: add one that does.",
        "net_in_bps of container tasks is held by none of [agent] isolators: add one that does.",
    ]


def test_while_an_isolator_is_away_no_other_takes_over_its_limits(
    make: Callable[..., Site], docker: BackEnd
) -> None:
    kernel = BackEnd(one=Limits())
    site = make(("docker", docker), ("cgroup", kernel))
    site.reconcile(seen("one"))
    docker.away = True
    assert "docker: away." in site.reconcile(seen("one")).faults
    assert kernel.held == []


def test_what_another_isolator_had_set_is_not_what_was_before(
    make: Callable[..., Site], docker: BackEnd
) -> None:
    docker.limits["one"] = Limits(cpu_weight=5)
    kernel = BackEnd(one=ONE)
    site = make(("docker", docker), ("cgroup", kernel))
    site.reconcile(seen("one"))
    site.isolators = (("cgroup", kernel), ("docker", docker))
    site.restart()
    site.reconcile(seen("one", cpus=2))
    assert site.record("one", "cgroup").before.cpu_weight == 5


def test_observe_says_what_it_would_set_once_and_touches_and_keeps_nothing(
    site: Site, docker: BackEnd, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    site.set(isolation="observe")
    docker.limits["one"] = replace(ONE, memory_mb=512)
    for _ in range(2):
        outcome = site.reconcile(seen("one"))
        assert outcome == Outcome(pending={"memory_mb": 1})
    said = "memory_mb of container task one is 512 and would be set to 64 ([agent] isolation is observe)."
    assert caplog.text.count(said) == 1
    assert (docker.held, site.replica.state.records) == ([], {})
    site.set(isolation="enforce")
    site.reconcile(seen("one"))
    assert docker.limits["one"].memory_mb == 64


def test_off_asks_nothing_and_leaves_what_was_set(site: Site, docker: BackEnd) -> None:
    site.reconcile(seen("one"))
    site.set(isolation="off")
    docker.away = True
    docker.limits["one"] = Limits()
    assert site.reconcile(seen("one")) == Outcome()
    assert site.record("one").touched


def test_a_task_at_rest_is_left_alone_and_takes_nothing_from_others(
    site: Site, docker: BackEnd
) -> None:
    docker.limits["two"] = Limits()
    site.reconcile(seen("one", state="closed", cpu_policy="dedicated"), seen("two"))
    assert [uuid for uuid, _ in docker.held] == ["two"]
    assert docker.limits["two"].cpus is None


def test_a_squeezed_weight_is_left_to_the_squeeze_which_reduces_the_declared_one(
    site: Site, docker: BackEnd
) -> None:
    squeezer = Squeezer(conf(), site.isolators, site.replica, Clock())
    squeezer.take_order(1, {CONTAINER: "1/4"})

    def make_round() -> None:
        squeezer.apply(site.reconcile(seen("one", cpus=2)).weights)

    for _ in range(2):
        make_round()
        assert docker.limits["one"].cpu_weight == 512
    assert site.counts[1] == {}
    # One that is not seen yet waits for its declaration.
    docker.limits["late"] = Limits()
    make_round()
    assert docker.limits["late"] == Limits()
    squeezer.take_order(2, {})
    for _ in range(2):
        make_round()
        assert docker.limits["one"].cpu_weight == 2048
    assert site.counts[1] == {}


def test_pins_that_are_right_stay_and_the_others_leave_those_cpus(
    make: Callable[..., Site], docker: BackEnd
) -> None:
    guests = BackEnd(HYPERVISOR, pinned=Limits(cpus=frozenset({5, 6})))
    site = make(("libvirt", guests), ("docker", docker))
    site.reconcile(
        seen("one"), seen("pinned", HYPERVISOR, cpus=2, cpu_policy="dedicated", created_at_s=9)
    )
    assert guests.limits["pinned"].cpus == {5, 6}
    assert docker.limits["one"].cpus == CPUS - {5, 6}


def test_what_parts_of_a_guest_have_each_for_itself_is_left_alone_until_somebody_makes_it_so(
    make: Callable[..., Site],
) -> None:
    in_parts = Limits(cpus=frozenset(), disk_read_bps=0)
    guests = BackEnd(HYPERVISOR, guest=in_parts)
    site = make(("libvirt", guests))
    site.ground = Ground(HostShape((frozenset({1}),)), CPUS)
    task = seen("guest", HYPERVISOR, disk_read_bps=1000)
    said = site.reconcile(task).missing
    assert [sentence.split(":")[0] for sentence in said] == [
        "cpus of hypervisor task guest is left alone",
        "disk_read_bps of hypervisor task guest is left alone",
    ]
    assert (guests.limits["guest"].cpus, guests.limits["guest"].disk_read_bps) == (frozenset(), 0)
    # With its next life it is as it should be, and then one of its disks is given another limit.
    guests.limits["guest"] = Limits()
    task = replace(task, life="2")
    site.reconcile(task)
    guests.limits["guest"] = replace(guests.limits["guest"], cpus=frozenset(), disk_read_bps=0)
    site.reconcile(task)
    assert guests.limits["guest"].disk_read_bps == 1000
    assert site.counts[1] == {"disk_read_bps": 1, "cpus": 1}


def test_cpus_of_a_mixed_guest_are_novas(make: Callable[..., Site]) -> None:
    pins = frozenset({5, 6})
    guests = BackEnd(HYPERVISOR, mixed=Limits(cpus=pins))
    make(("libvirt", guests)).reconcile(seen("mixed", HYPERVISOR, cpus=2, cpu_policy="mixed"))
    assert guests.limits["mixed"].cpus == pins


@pytest.mark.parametrize("is_away", [True, False])
def test_nobody_gets_the_cpus_of_a_guest_that_cannot_be_seen(
    make: Callable[..., Site], docker: BackEnd, is_away: bool
) -> None:
    pinned = seen("pinned", HYPERVISOR, cpus=2, cpu_policy="dedicated")
    guests = BackEnd(HYPERVISOR, pinned=Limits(cpus=frozenset({5, 6})))
    site = make(("libvirt", guests), ("docker", docker))
    site.ground = Ground(HostShape((CPUS - {0},)), CPUS)
    # Before the first look at guests nothing is divided; what depends on no other is held.
    guests.away = is_away
    site.reconcile(seen("one"), unknown=[HYPERVISOR])
    assert docker.limits["one"] == replace(ONE, cpus=None)
    guests.away = False
    site.reconcile(seen("one"), pinned)
    assert docker.limits["one"].cpus == CPUS - {0, 5, 6}
    # Its back end is away, as when it is restarted.
    guests.away = True
    site.reconcile(seen("one"), unknown=[HYPERVISOR])
    site.reconcile(seen("one"), pinned)
    assert docker.limits["one"].cpus == CPUS - {0, 5, 6}
    assert site.counts[1] == {}


def test_a_declared_rate_bounds_the_others_also_while_its_guest_cannot_be_seen(
    make: Callable[..., Site], docker: BackEnd
) -> None:
    guests = BackEnd(HYPERVISOR, guest=Limits())
    site = make(("libvirt", guests), ("docker", docker))
    site.ground = Ground(HostShape((CPUS,), {Aspect.NET_IN: 1000}), CPUS)
    site.reconcile(seen("one"), seen("guest", HYPERVISOR, net_in_bps=600))
    assert docker.limits["one"].net_in_bps == 400
    guests.away = True
    site.reconcile(seen("one"), unknown=[HYPERVISOR])
    assert docker.limits["one"].net_in_bps == 400


def test_a_pass_is_due_for_tasks_and_lives_that_none_has_seen(site: Site, docker: BackEnd) -> None:
    assert site.reconciler.is_due([seen("one")])
    site.reconcile(seen("one"))
    assert not site.reconciler.is_due([seen("one")])
    assert not site.reconciler.is_due([])
    assert site.reconciler.is_due([seen("one"), seen("two")])
    assert site.reconciler.is_due([seen("one", life="2")])
    # A back end that did not answer is asked again.
    docker.away = True
    site.reconcile(seen("one"))
    assert site.reconciler.is_due([seen("one")])


def test_a_back_end_that_was_restarted_is_found_by_the_second_question(
    site: Site, docker: BackEnd
) -> None:
    docker.broken = 1
    assert site.reconcile(seen("one")).faults == ()
    assert docker.limits["one"].memory_mb == 64


def test_promises_that_the_host_cannot_keep_are_faults(site: Site) -> None:
    site.ground = Ground(
        HostShape((CPUS,), {Aspect.NET_IN: 1000}), CPUS, ("[agent] reserved_cpus: too many.",)
    )
    faults = site.reconcile(seen("one", net_in_bps=2000)).faults
    assert faults[0] == "[agent] reserved_cpus: too many."
    assert faults[1].startswith("net_in_bps: 2000 bytes/s are declared")


def test_an_isolator_that_lost_an_ability_is_not_asked_for_it(site: Site, docker: BackEnd) -> None:
    site.reconcile(seen("one"))
    docker.able = Ability(frozenset({Aspect.MEMORY}), {Aspect.CPU_QUOTA: "gone."})
    docker.limits["one"] = Limits()
    outcome = site.reconcile(seen("one"))
    assert docker.held[-1] == ("one", {Aspect.MEMORY})
    assert "docker: gone." in outcome.missing
