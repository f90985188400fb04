# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from oslo_config import cfg

from hybrid_sched.agent.reporter import NoTotals, Reporter
from hybrid_sched.conf import agent as agent_options
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SourceError

GUEST = Task("g", HYPERVISOR, Resources(vcpu=2, memory_mb=512))
CONTAINER_ = Task("c", CONTAINER, Resources(vcpu=1, memory_mb=64))


def conf(**options: Any) -> cfg.ConfigOpts:
    made = cfg.ConfigOpts()
    made.register_opts(agent_options.OPTIONS, group=cfg.OptGroup("agent"))
    made([], default_config_files=[])
    for name, value in {"host": "a", **options}.items():
        made.set_override(name, value, group="agent")
    return made


class Told(MonitorSource):
    """A source that gives what it is told, or fails."""

    def __init__(self, *answers: Observation | str, framework: str | None = None) -> None:
        super().__init__(cfg.ConfigOpts())
        self.framework = framework
        self._answers = list(answers)

    def collect(self) -> Observation:
        answer = self._answers.pop(0)
        if isinstance(answer, str):
            raise SourceError(answer)
        return answer


TOTALS = Observation(cpus=4, memory_mb=4096, measured={"cpu_fraction": 0.5})


def test_a_report_sums_up_all_sources() -> None:
    sources = [
        ("host", Told(TOTALS)),
        ("libvirt", Told(Observation((GUEST,)), framework=HYPERVISOR)),
        ("docker", Told(Observation((CONTAINER_,), measured={"x": 1.0}), framework=CONTAINER)),
    ]
    report = Reporter(conf(reserved_memory_mb=0), sources).report()
    assert (report.host, report.sequence) == ("a", 1)
    assert report.tasks == (GUEST, CONTAINER_)
    assert report.measured == {"cpu_fraction": 0.5, "x": 1.0}
    assert (report.faults, report.unknown_frameworks) == ((), ())


def test_capacity_is_what_placement_would_give() -> None:
    options = {
        "reserved_cpus": 1,
        "reserved_memory_mb": 512,
        "cpu_allocation_ratio": 4.0,
        "ram_allocation_ratio": 1.1,
    }
    report = Reporter(conf(**options), [("host", Told(TOTALS))]).report()
    assert report.capacity == Resources(vcpu=12, memory_mb=int(3584 * 1.1))


def test_a_source_that_fails_stops_no_other_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    docker = Told("down.", "down.", Observation((CONTAINER_,)), framework=CONTAINER)
    libvirt = Told(*[Observation((GUEST,))] * 3, framework=HYPERVISOR)
    sources = [("docker", docker), ("host", Told(*[TOTALS] * 3)), ("libvirt", libvirt)]
    reporter = Reporter(conf(), sources)
    reports = [reporter.report() for _ in range(3)]
    assert [each.sequence for each in reports] == [1, 2, 3]
    assert len({each.boot_id for each in reports}) == 1
    assert [each.tasks for each in reports] == [(GUEST,), (GUEST,), (GUEST, CONTAINER_)[::-1]]
    assert [each.faults for each in reports] == [("docker: down.",)] * 2 + [()]
    assert [each.unknown_frameworks for each in reports] == [(CONTAINER,)] * 2 + [()]
    # Each change is logged once.
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_totals_that_were_seen_once_are_kept_while_their_source_fails() -> None:
    reporter = Reporter(conf(), [("host", Told(TOTALS, "gone."))])
    assert reporter.report().capacity == reporter.report().capacity


def test_nothing_is_reported_before_the_totals_are_known() -> None:
    reporter = Reporter(conf(), [("host", Told("gone.", TOTALS))])
    with pytest.raises(NoTotals):
        reporter.report()
    assert reporter.report().sequence == 1
