# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from agents import Clock, Told, conf

from hybrid_sched.agent.reporter import Findings, NoTotals, Reporter
from hybrid_sched.agent.state import State
from hybrid_sched.core.cluster import CONTAINER, HYPERVISOR, Task
from hybrid_sched.core.hardware import Hardware
from hybrid_sched.core.measures import CPU_CORES, MEMORY_USED_MB, RATES_OVER_S
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.monitor import MonitorSource, Observation, SeenTask
from hybrid_sched.rpc.messages import report_from_wire, report_to_wire

GUEST = Task("g", HYPERVISOR, Resources(vcpu=2, memory_mb=512))
CONTAINER_ = Task("c", CONTAINER, Resources(vcpu=1, memory_mb=64))
TOTALS = Observation(cpus=4, memory_mb=4096)


def totals(**fields: Any) -> Observation:
    return replace(TOTALS, **fields)


def seen(*tasks: Task, **fields: Any) -> Observation:
    return Observation(tuple(SeenTask(task, **fields) for task in tasks))


class Looks:
    """Looks one after another, each with what the one before left behind."""

    def __init__(self, *sources: tuple[str, MonitorSource], **options: Any) -> None:
        self.clock = Clock()
        self.state = State("life")
        self._sources = sources
        self._options = options
        self.restart()

    def restart(self) -> None:
        self._reporter = Reporter(conf(**self._options), self._sources, self.clock)

    def look(self, after_s: float = 10.0) -> Findings:
        self.clock.advance(after_s)
        findings = self._reporter.sum_up(self._reporter.look(self.state), self.state)
        self.state = replace(self.state, totals=findings.totals, looks=findings.looks)
        return findings


def test_a_report_sums_up_all_sources() -> None:
    looks = Looks(
        ("host", Told(totals(gauges={"x": 0.5}, hardware=Hardware("Xeon", "DDR4")))),
        ("libvirt", Told(seen(GUEST, gauges={MEMORY_USED_MB: 100.0}), framework=HYPERVISOR)),
        ("docker", Told(seen(CONTAINER_), framework=CONTAINER)),
        reserved_memory_mb=0,
    )
    before_s = time.time()
    report = looks.look().report
    assert before_s <= report.sampled_at_s <= time.time()
    assert report.host == "a"
    assert (report.cpus, report.memory_mb) == (4, 4096)
    assert report.hardware == Hardware("Xeon", "DDR4")
    assert report.tasks == (GUEST, CONTAINER_)
    assert report.measured == {"x": 0.5}
    assert report.task_measured == {"g": {MEMORY_USED_MB: 100.0}}
    assert (report.faults, report.unknown_frameworks) == ((), ())


def test_the_first_source_that_tells_a_figure_counts() -> None:
    looks = Looks(
        ("one", Told(*[totals(gauges={"x": 1.0}, counters={"cpu_s": 1})] * 2)),
        ("two", Told(*[Observation(cpus=9, gauges={"x": 2.0, CPU_CORES: 3.0, "y": 4.0})] * 2)),
        ("three", Told(*[seen(GUEST, gauges={"x": 5.0})] * 2)),
        ("four", Told(*[seen(replace(GUEST, name="n"), gauges={"x": 6.0, "y": 7.0})] * 2)),
    )
    # On the first look the counter of the first source gives no rate.
    assert looks.look().report.measured == {"x": 1.0, CPU_CORES: 3.0, "y": 4.0}
    report = looks.look().report
    assert report.measured == {"x": 1.0, CPU_CORES: 0.0, "y": 4.0}
    assert report.cpus == 4
    assert report.tasks == (GUEST,)
    assert report.task_measured == {"g": {"x": 5.0, "y": 7.0}}


def test_counters_become_rates_also_over_a_restart_of_the_agent() -> None:
    host = Told(*[totals(counters={"cpu_s": used}) for used in (10.0, 30.0, 130.0)])
    docker = Told(*[seen(CONTAINER_, counters={"cpu_s": used}) for used in (0.0, 5.0, 25.0)])
    looks = Looks(("host", host), ("docker", docker))
    first = looks.look().report
    assert (first.measured, first.task_measured) == ({}, {})
    second = looks.look().report
    assert second.measured == {CPU_CORES: 2.0}
    assert second.task_measured == {"c": {CPU_CORES: 0.5, RATES_OVER_S: 10}}
    looks.restart()
    third = looks.look(after_s=100).report
    assert third.measured == {CPU_CORES: 1.0}
    assert third.task_measured == {"c": {CPU_CORES: 0.2, RATES_OVER_S: 100}}


def test_after_a_reboot_there_is_no_rate_until_the_second_look() -> None:
    looks = Looks(("host", Told(*[totals(counters={"cpu_s": used}) for used in (10, 11, 12)])))
    looks.look()
    looks.clock.kernel_boot_id = "next"
    assert looks.look().report.measured == {}
    assert looks.look().report.measured == {CPU_CORES: 0.1}


def test_a_source_that_failed_gives_no_former_figures_and_then_the_mean_over_the_gap() -> None:
    host = Told(
        totals(counters={"cpu_s": 0}, gauges={"x": 1.0}), "gone.", totals(counters={"cpu_s": 40})
    )
    looks = Looks(("host", host))
    looks.look()
    failed = looks.look().report
    assert failed.measured == {}
    assert failed.capacity.vcpu == 16
    assert looks.look().report.measured == {CPU_CORES: 2.0}


def test_two_looks_in_quick_succession_make_no_spike() -> None:
    # A tick of the kernel's clock between two looks that are a millisecond apart would be 10 cores.
    host = Told(*[totals(counters={"cpu_s": used}) for used in (0, 10, 10.01, 20)])
    looks = Looks(("host", host))
    told = [looks.look(after_s).report.measured for after_s in (10, 10, 0.001, 9.999)]
    assert told == [{}, {CPU_CORES: 1.0}, {}, {CPU_CORES: 1.0}]


def test_capacity_is_what_placement_would_give() -> None:
    looks = Looks(
        ("host", Told(TOTALS)),
        reserved_cpus=1,
        reserved_memory_mb=512,
        cpu_allocation_ratio=4.0,
        ram_allocation_ratio=1.1,
    )
    assert looks.look().report.capacity == Resources(vcpu=12, memory_mb=int(3584 * 1.1))


def test_a_source_that_fails_stops_no_other_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    docker = Told("down.", "down.", seen(CONTAINER_), framework=CONTAINER)
    libvirt = Told(*[seen(GUEST)] * 3, framework=HYPERVISOR)
    looks = Looks(("docker", docker), ("host", Told(*[TOTALS] * 3)), ("libvirt", libvirt))
    reports = [looks.look().report for _ in range(3)]
    assert [each.tasks for each in reports] == [(GUEST,), (GUEST,), (CONTAINER_, GUEST)]
    assert [each.faults for each in reports] == [("docker: down.",)] * 2 + [()]
    assert [each.unknown_frameworks for each in reports] == [(CONTAINER,)] * 2 + [()]
    # Each change is logged once.
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_totals_that_were_seen_once_are_kept_while_their_source_fails_also_after_a_restart() -> (
    None
):
    looks = Looks(("host", Told(totals(hardware=Hardware("Xeon")), "gone.")))
    known = looks.look().report
    looks.restart()
    report = looks.look().report
    assert report.capacity == known.capacity
    assert report.hardware == Hardware("Xeon")


def test_nothing_is_reported_before_the_totals_are_known() -> None:
    looks = Looks(("host", Told("gone.", Observation(cpus=4), TOTALS)))
    for _ in range(2):
        with pytest.raises(NoTotals):
            looks.look()
    assert looks.look().report.cpus == 4


def test_what_back_ends_and_owners_write_never_makes_a_report_that_the_engine_refuses() -> None:
    odd = "line\nwith \x1b[31mcolour" * 100
    task = replace(GUEST, name=odd, state=odd)
    figures = {"nan": float("nan"), "inf": float("inf"), "less": -1.0, "good": 1.0}
    looks = Looks(
        ("host", Told(totals(gauges=figures, hardware=Hardware(odd, odd)))),
        ("libvirt", Told(seen(task, gauges=figures))),
        ("docker", Told(odd, framework=CONTAINER)),
    )
    report = replace(looks.look().report, boot_id="life")
    read = report_from_wire(json.loads(json.dumps(report_to_wire(report))))
    assert read.measured == read.task_measured["g"] == {"good": 1.0}
    assert len(read.tasks[0].name) == 255
