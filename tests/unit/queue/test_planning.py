# SPDX-License-Identifier: Apache-2.0
"""The planner with the real engine, the real store and a runner; agents and clouds are emulated."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from fake_cloud import FakeCloud
from oslo_config import cfg
from queue_worlds import PERIOD_S, World

from hybrid_sched.conf import quota as quota_options
from hybrid_sched.core.cluster import DEFAULT_POOL, HYPERVISOR, Snapshot, Task
from hybrid_sched.core.packing.cross_fill import CrossFill
from hybrid_sched.core.queue_plan import NamedPacker
from hybrid_sched.core.queued import TaskState
from hybrid_sched.core.resources import Resources
from hybrid_sched.db import Database
from hybrid_sched.interfaces.launcher import LaunchFault
from hybrid_sched.queue.planning import QueuePlanner
from hybrid_sched.quota.engine import Engine
from hybrid_sched.rpc.messages import HostReport

_HALF = Resources(vcpu=1, memory_mb=512)
_CAPACITY = Resources(vcpu=8, memory_mb=1024)


class OnePacker:
    def of(self, snapshot: Snapshot, now_s: float) -> Mapping[str, NamedPacker]:
        return {DEFAULT_POOL: NamedPacker("cross_fill", CrossFill())}


class Site:
    """One host for two tasks, whose agent reports when a test says so."""

    def __init__(self, database: Database) -> None:
        self.world = World(database)
        conf = cfg.ConfigOpts()
        conf.register_group(cfg.OptGroup(quota_options.GROUP.name))
        conf.register_opts(quota_options.OPTIONS, group=quota_options.GROUP.name)
        conf([], default_config_files=[])
        self.engine = Engine(conf, clock_s=self.world.clock_s, now_s=self.world.clock_s)
        self._sequence = 0
        self.take_over()
        self.report()
        self.engine.run_cycle()

    @property
    def cloud(self) -> FakeCloud:
        return self.world.guests

    def take_over(self) -> None:
        self.world.planner = QueuePlanner(self.engine, self.world.store, OnePacker())  # type: ignore[assignment]
        self.world.take_over()

    def report(self) -> None:
        """Tell the engine what runs, as the host's agent would."""
        self._sequence += 1
        tasks = tuple(Task(uuid, HYPERVISOR, _HALF) for uuid in self.cloud.servers)
        self.engine.take_report(
            HostReport(
                host="h1",
                boot_id="boot",
                sequence=self._sequence,
                sampled_at_s=self.world.now_s,
                capacity=_CAPACITY,
                cpus=8,
                memory_mb=1024,
                tasks=tasks,
            )
        )

    def rounds(self, count: int, *, reports: bool = True) -> None:
        for _ in range(count):
            if reports:
                self.report()
                self.engine.run_cycle()
            self.world.rounds()

    def states(self, uuids: list[str]) -> list[TaskState]:
        return [self.world.state(uuid) for uuid in uuids]


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def add(site: Site, *names: str, **fields: object) -> list[str]:
    return site.world.add(*names, demand=_HALF, **fields)


def test_tasks_wait_while_the_cluster_is_full_and_none_is_refused_by_its_service(
    site: Site,
) -> None:
    site.cloud.room = 2
    uuids = add(site, *"abcde")
    for _ in range(60):
        site.rounds(1)
        assert len(site.cloud.servers) <= 2
    assert site.states(uuids) == [TaskState.DONE] * 5
    assert [name for name, _ in site.cloud.asked] == list("abcde")


def test_what_was_launched_takes_room_before_its_host_has_reported_it(site: Site) -> None:
    site.cloud.lasts = 1000
    uuids = add(site, *"abc")
    site.rounds(4, reports=False)
    assert site.states(uuids) == [TaskState.RUNNING] * 2 + [TaskState.WAITING]
    # The engine knows of them, and its snapshot is older.
    site.report()
    site.rounds(2, reports=False)
    assert site.states(uuids) == [TaskState.RUNNING] * 2 + [TaskState.WAITING]
    # From here on the snapshot has them, and they are not charged twice.
    site.engine.run_cycle()
    site.rounds(1, reports=False)
    assert "room is held" in site.world.runner.newest_plan.waits[uuids[2]]
    assert len(site.cloud.asked) == 2


def test_an_engine_that_takes_over_counts_what_runs_and_is_not_reported_to_it_yet(
    site: Site,
) -> None:
    site.cloud.lasts = 1000
    uuids = add(site, *"abc")
    site.rounds(2, reports=False)
    site.take_over()
    site.rounds(3, reports=False)
    assert site.states(uuids) == [TaskState.RUNNING] * 2 + [TaskState.WAITING]


def test_what_comes_after_a_task_waits_for_it_or_fails_with_it(site: Site) -> None:
    first, broken = add(site, "first", "broken")
    site.cloud.faults["broken"] = [LaunchFault("image: there is none.", again=False)]
    [second] = add(site, "second", after=(first,))
    [third] = add(site, "third", after=(broken,))
    site.rounds(2)
    assert "first" in site.world.runner.newest_plan.waits[second]
    site.rounds(20)
    assert site.states([first, second, third]) == [
        TaskState.DONE,
        TaskState.DONE,
        TaskState.FAILED,
    ]
    assert site.world.task(third).text.endswith("which failed.")


def test_a_task_that_has_not_started_by_its_deadline_fails(site: Site) -> None:
    site.cloud.lasts = 1000
    add(site, "a", "b")
    site.rounds(1)
    [late] = add(site, "late", deadline_s=site.world.now_s + 3 * PERIOD_S)
    site.rounds(6)
    assert site.states([late]) == [TaskState.FAILED]
    assert "deadline" in site.world.task(late).text
