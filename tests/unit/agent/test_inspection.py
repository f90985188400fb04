# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import pytest
from agents import BackEnd, Told, conf, seen

from hybrid_sched.agent.inspection import Inspector
from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import NoTotals
from hybrid_sched.agent.rounds import Round
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR
from hybrid_sched.core.declaration import Declaration
from hybrid_sched.core.limits import Limits
from hybrid_sched.declared import DeclaredContainers
from hybrid_sched.interfaces.monitor import Observation
from hybrid_sched.rpc.isolation import MOST_SENTENCES

TOTALS = Observation(cpus=4, memory_mb=4096)
ONE = Observation(tasks=(seen("one", cpus=2),))
REPORT, EVENTS, SWEEP = Round(report=True), Round(events=True), Round(sweep=True)


@pytest.fixture
def replica(tmp_path: Path) -> Replica:
    return Replica(tmp_path, "a")


@pytest.fixture
def docker() -> BackEnd:
    return BackEnd(one=Limits())


def test_a_report_tells_what_is_held_and_squeezed_and_all_that_failed(
    tmp_path: Path, replica: Replica, docker: BackEnd
) -> None:
    guests = BackEnd(HYPERVISOR)
    guests.away = True
    (tmp_path / "a.json.new").mkdir()  # stands in the way of every write
    sources = [("host", Told(TOTALS)), ("docker", Told(ONE)), ("zabbix", Told("gone."))]
    inspector = Inspector(conf(), sources, [("docker", docker), ("libvirt", guests)], replica)
    inspector.squeezer.take_order(1, {CONTAINER: "1/2", HYPERVISOR: "1/2"})
    inspector.events.oom_kill("one")
    report = inspector.inspect(SWEEP).report
    assert report.cpus == 4
    assert report.squeezed == {CONTAINER: Fraction(1, 2)}
    # Half of what two CPUs declare.
    assert docker.limits["one"].cpu_weight == 1024
    assert [line.split(":")[0] for line in report.faults] == ["zabbix", "libvirt", "state"]
    isolation = report.isolation
    assert (isolation.mode, isolation.applied["memory_mb"]) == ("enforce", 1)
    assert [event.uuid for event in isolation.events] == ["one"]


def test_limits_are_looked_at_in_a_sweep_for_events_and_for_tasks_that_are_new(
    replica: Replica, docker: BackEnd
) -> None:
    both = Observation(tasks=(*ONE.tasks, seen("two")))
    sources = [("host", Told(*[TOTALS] * 5)), ("docker", Told(ONE, ONE, ONE, ONE, both))]
    inspector = Inspector(conf(), sources, [("docker", docker)], replica)

    def sets(due: Round) -> bool:
        before = len(docker.held)
        docker.limits["one"] = Limits()
        inspector.inspect(due)
        return len(docker.held) > before

    rounds = [REPORT, REPORT, EVENTS, SWEEP, REPORT]
    assert [sets(due) for due in rounds] == [True, False, True, True, True]


def test_more_faults_than_a_report_takes_are_counted(replica: Replica, docker: BackEnd) -> None:
    names = [f"c{number}" for number in range(50)]
    docker.limits = {name: Limits() for name in names}
    docker.refused = set(names)
    sources = [
        ("host", Told(TOTALS)),
        ("docker", Told(Observation(tasks=tuple(seen(name) for name in names)))),
    ]
    report = Inspector(conf(), sources, [("docker", docker)], replica).inspect(SWEEP).report
    assert len(report.faults) == MOST_SENTENCES
    assert report.faults[-1] == f"{50 - MOST_SENTENCES + 1} more: see the log of the agent."


def test_without_totals_limits_are_held_all_the_same(replica: Replica, docker: BackEnd) -> None:
    inspector = Inspector(conf(), [("docker", Told(ONE))], [("docker", docker)], replica)
    with pytest.raises(NoTotals):
        inspector.inspect(SWEEP)
    assert docker.limits["one"].memory_mb == 64


def test_what_zuns_driver_noted_is_held_and_reported(tmp_path: Path, replica: Replica) -> None:
    uuid = str(uuid4())
    docker = BackEnd(**{uuid: Limits()})
    DeclaredContainers(tmp_path / "declared").note(uuid, Declaration(4, 128))
    sources = [("host", Told(TOTALS)), ("docker", Told(Observation(tasks=(seen(uuid),))))]
    options = conf(declared_path=str(tmp_path / "declared"))
    report = Inspector(options, sources, [("docker", docker)], replica).inspect(SWEEP).report
    assert docker.limits[uuid].cpu_quota == 4
    (task,) = report.tasks
    assert task.demand.vcpu == 4
