# SPDX-License-Identifier: Apache-2.0
"""The order in which Zun's scheduler tries 20 hosts: the one that nova-scheduler tries them in too."""

from __future__ import annotations

import random

import orders
from container_cloud import ContainerCloudTest
from zun import objects
from zun.scheduler.client.query import SchedulerClient

from hybrid_sched.core.cluster import CONTAINER, Task
from hybrid_sched.core.decision import Stage
from hybrid_sched.core.steering import PLANNED_HOST_HINT


class OrdersTest(ContainerCloudTest):
    def setUp(self) -> None:
        super().setUp()
        names = list(orders.HOSTS)
        random.Random(1).shuffle(names)
        self.start_hosts(**dict.fromkeys(names, 0))

    def held(self, host: str, memory_mb: int) -> list[Task]:
        return orders.held(host)

    def tried(self, case: orders.Case) -> list[str]:
        """Give the hosts as Zun's scheduler would try to claim them."""
        scheduler = SchedulerClient().driver
        services = scheduler._get_services_by_host(self.context)
        nodes = objects.ComputeNode.list(self.context)
        hosts = scheduler._get_filtered_hosts(
            scheduler.get_all_host_state(nodes, services),
            self.container(case.memory_mb),
            {"hints": {PLANNED_HOST_HINT: case.planned} if case.planned else None},
        )
        return [each.hostname for each in hosts]

    def test_hosts_are_tried_in_the_order_of_the_table(self) -> None:
        for case in orders.CASES:
            assert self.tried(case) == list(case.order), case.name

    def test_heads_go_to_the_roomiest_and_fillers_to_open_hosts(self) -> None:
        sizes, hosts = zip(*orders.UNPLANNED, strict=True)
        assert self.place(*sizes) == list(hosts)

    def test_planned_containers_go_to_their_hosts(self) -> None:
        where = [
            self.run_container(self.container(memory_mb), {PLANNED_HOST_HINT: host})
            for host, memory_mb in orders.PLAN
        ]
        assert where == [host for host, _ in orders.PLAN]

    def test_the_decision_says_what_became_of_the_plan(self) -> None:
        hints: dict[str, object] = {PLANNED_HOST_HINT: "host-10"}
        honoured = self.container(2048)
        assert self.run_container(honoured, hints) == "host-10"
        text = self.quota.decision(honoured.uuid, Stage.ORDER).text
        assert text.startswith("planned for host host-10; head (")
        impossible = self.container(2048)
        assert self.run_container(impossible, hints) == "host-16"
        gate = self.quota.decision(impossible.uuid, Stage.SHARE_GATE)
        assert gate.refused["host-10"].startswith("host_room: ")
        text = "planned for host host-10, which was not among the hosts that passed"
        assert gate.text.endswith(text)
        assert self.quota.decision(impossible.uuid, Stage.ORDER).text.startswith(f"{text}; head (")

    def test_hints_that_name_no_host_plan_nothing(self) -> None:
        for hint in (None, 7, ["host-10"], "", "h" * 300):
            assert self.schedule(self.container(2048), {PLANNED_HOST_HINT: hint}) == "host-16"
            self.set_free("host-16")

    def set_free(self, host: str) -> None:
        """Take back what Zun claimed on a host."""
        provider = objects.ComputeNode.get_by_name(self.context, host).rp_uuid
        for uuid in self.claimed(provider):
            self.placement.delete(f"/allocations/{uuid}")

    def test_a_container_is_a_head_from_the_upper_median_of_containers(self) -> None:
        snapshot, _ = self.quota.engine.snapshot()
        framework = snapshot.pools[""].frameworks[CONTAINER]
        assert framework.head_threshold * snapshot.pools[""].capacity[1] == orders.HEAD_FROM_MB
