# SPDX-License-Identifier: Apache-2.0
"""A thousand random events of containers on a provider that Nova writes, with Zun's driver and with ours.

Zun's real compute manager, tracker and client of Placement, and the real Placement; Docker is emulated.
"""

from __future__ import annotations

import collections
import functools
import math
import os
import random
from collections.abc import Callable
from unittest import mock

import os_resource_classes as orc
import pytest
from docker_emulator import DockerEmulator
from driver_cloud import DriverTest, wanted_networks
from nova_compute import NovaCompute
from zun import objects
from zun.common import consts
from zun.common import utils as zun_utils
from zun.compute import container_actions
from zun.compute import manager as zun_compute
from zun.container.os_capability import host_capability
from zun.scheduler.client import report

EVENTS = 1000
SEED = int(os.environ.get("HYBRID_EVENTS_SEED", "1"))
#: How often each is drawn; of a hundred.
_KINDS = {
    "create": 19,
    "update": 37,
    "delete": 16,
    "restart": 5,
    "period of Zun": 8,
    "period of Nova": 5,
    "change by Nova": 6,
    "disable or enable": 4,
}
#: Every so many events is looked whether all is as Nova wrote it, and before each time that Nova writes: what was changed stays
#: so until then, so that nothing is missed.
_LOOK_EVERY = 5
_OF_NOVA = ("period of Nova", "change by Nova")
#: Seconds from one event to the next. Zun reads the provider anew after 300.
_STEP_S = 20
_MOST_CONTAINERS = 10


class Clock:
    """Stands for the clock by which Zun tells how old its knowledge of the provider is.

    :ivar now: seconds.
    """

    now = 1e9

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class ProviderStaysNovasTest(DriverTest):
    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        for patch in (
            mock.patch.object(report, "time", self.clock),
            mock.patch.object(zun_utils, "spawn_n", lambda do_it: do_it()),
            # Zun asks numactl and lspci, and each call takes longer than all the rest of an event.
            mock.patch.object(
                host_capability.utils, "execute", functools.cache(host_capability.utils.execute)
            ),
        ):
            patch.start()
            self.addCleanup(patch.stop)

    @pytest.fixture(autouse=True)
    def _with_terminal(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.terminal = capsys

    def test_a_thousand_events_change_nothing_that_nova_wrote(self) -> None:
        stock = self.run_events("docker")
        ours = self.run_events("hybrid_docker")
        with self.terminal.disabled():
            print(  # noqa: T201
                f"\n{EVENTS} events, seed {SEED}; what Nova wrote was found changed, with the stock driver: {stock}; "
                f"with ours: {ours}"
            )
        assert stock.drift["any"] > stock.looks / 4
        assert ours.drift["any"] == 0
        # Every kind took place.
        assert set(ours.done) == set(_KINDS)
        assert ours.failed == []
        assert ours.claimed() == ours.wanted()

    def run_events(self, driver: str) -> Course:
        self.set("container_driver", driver, None)
        self.set("capsule_driver", driver, None)
        with mock.patch.object(report, "SchedulerReportClient", report.SchedulerReportClient):
            course = Course(self, host=f"host-{driver.replace('_', '-')}")
            course.run()
            return course


class Course:
    """One host and what happens on it.

    :ivar looks: number of times that it was looked.
    :ivar drift: number of those at which each aspect was not as Nova wrote it; ``any`` for at least one.
    :ivar done: number of events of each kind.
    :ivar failed: what Zun could not do, though nothing was in its way.
    """

    def __init__(self, test: ProviderStaysNovasTest, host: str) -> None:
        self.looks = 0
        self.drift: collections.Counter[str] = collections.Counter()
        self.done: collections.Counter[str] = collections.Counter()
        self.failed: list[str] = []
        self._test, self._host = test, host
        self._chance = random.Random(SEED)
        self._alive: dict[str, dict[str, int]] = {}
        self._disabled = False
        docker = DockerEmulator(host)
        test.addCleanup(docker.close)
        test.set("api_url", docker.url, "docker")
        test.set("host", host, None)
        self._provider = test.start_host(host)
        self._nova = NovaCompute(test.placement, self._provider)
        self._scheduler = report.SchedulerReportClient()
        self._restart()

    def run(self) -> None:
        actions: dict[str, Callable[[], None]] = {
            "create": self._create,
            "update": self._update,
            "delete": self._delete,
            "restart": self._restart,
            "period of Zun": self._period,
            "period of Nova": self._nova.write,
            "change by Nova": lambda: self._nova.change(self._chance),
            "disable or enable": self._toggle,
        }
        kinds = self._chance.choices(list(_KINDS), list(_KINDS.values()), k=EVENTS)
        for number, kind in enumerate(kinds, start=1):
            if kind in _OF_NOVA:
                self._look()
            self._test.clock.now += _STEP_S
            try:
                actions[kind]()
            except Exception as error:
                self.failed.append(f"{kind}: {error!r}")
            self.done[kind] += 1
            if number % _LOOK_EVERY == 0:
                self._look()

    def __str__(self) -> str:
        times = ", ".join(
            f"{aspect} {times}" for aspect, times in sorted(self.drift.items()) if aspect != "any"
        )
        return f"{self.drift['any']} of {self.looks} times" + (f" ({times})" if times else "")

    def _look(self) -> None:
        drifted = self._nova.drift()
        self.looks += 1
        self.drift.update(drifted | ({"any"} if drifted else set()))

    def claimed(self) -> dict[str, dict[str, int]]:
        """Give what Placement knows of each container."""
        return self._test.claimed(self._provider)

    def wanted(self) -> dict[str, dict[str, int]]:
        """Give what each container that is there was created with."""
        return dict(self._alive)

    def _create(self) -> None:
        if len(self._alive) >= _MOST_CONTAINERS:
            self._delete()
        context = self._test.context
        cpu, memory_mb = self._chance.choice((0.5, 1.0, 2.0)), self._chance.choice((64, 128, 256))
        container = self._test.container(
            cpu=cpu,
            memory=str(memory_mb),
            labels={"hybrid:cpu_percent": str(self._chance.randint(1, 100))},
        )
        self._alive[container.uuid] = {orc.VCPU: math.ceil(cpu), orc.MEMORY_MB: memory_mb}
        self._scheduler.put_allocations(
            context,
            container.uuid,
            {
                "allocations": {self._provider: {"resources": self._alive[container.uuid]}},
                **{"project_id": context.project_id, "user_id": context.user_id},
                "consumer_generation": None,
            },
        )
        objects.ContainerAction.action_start(
            context, container.uuid, container_actions.CREATE, want_result=False
        )
        self._manager.container_create(
            context, {}, wanted_networks(), {container.uuid: []}, container, run=True
        )
        made = self._get(container.uuid)
        if made.status != consts.RUNNING:
            self.failed.append(f"create: {made.status}, {made.status_reason}")

    def _update(self) -> None:
        if self._alive:
            container = self._get(self._chance.choice(list(self._alive)))
            patch = self._chance.choice(({"cpu": 1.5}, {"memory": "192"}, {"cpu": 1.0}))
            self._manager.container_update(self._test.context, container, patch)

    def _delete(self) -> None:
        if self._alive:
            uuid = self._chance.choice(list(self._alive))
            del self._alive[uuid]
            self._manager.container_delete(self._test.context, self._get(uuid), force=True)

    def _get(self, uuid: str) -> objects.Container:
        return objects.Container.get_by_uuid(self._test.context, uuid)

    def _restart(self) -> None:
        """Start zun-compute anew, on the same database."""
        self._manager = zun_compute.Manager()
        self._manager.init_containers(self._test.context)
        self._period()

    def _period(self) -> None:
        self._manager.inventory_host(self._test.context)

    def _toggle(self) -> None:
        self._disabled = not self._disabled
        service = objects.ZunService.get_by_host_and_binary(
            self._test.context, self._host, "zun-compute"
        )
        service.disabled = self._disabled
        service.save(self._test.context)
