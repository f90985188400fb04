# SPDX-License-Identifier: Apache-2.0
"""The order in which nova-scheduler tries 20 hosts: the one that Zun's tries them in too."""

from __future__ import annotations

import random

import orders
from compute_cloud import ComputeCloudTest
from nova import context, objects
from nova.scheduler.client import query
from oslo_utils import uuidutils
from quota_service import left_out

from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.decision import Stage
from hybrid_sched.core.steering import PLANNED_HOST_HINT


class OrdersTest(ComputeCloudTest):
    def setUp(self) -> None:
        # Alternates are the next hosts in the order.
        self.flags(max_attempts=len(orders.HOSTS), group="scheduler")
        super().setUp()
        names = list(orders.HOSTS)
        random.Random(1).shuffle(names)
        self.start_hosts(**dict.fromkeys(names, 0))

    def held(self, host: str, memory_mb: int) -> list[Task]:
        return orders.held(host)

    def tried(self, case: orders.Case, template: objects.RequestSpec) -> list[str]:
        """Ask the scheduler for the host and all alternates."""
        admin = context.get_admin_context()
        spec = template.obj_clone()
        spec.instance_uuid = uuidutils.generate_uuid()
        spec.flavor.memory_mb = case.memory_mb
        spec.requested_resources = []
        spec.scheduler_hints = {PLANNED_HOST_HINT: [case.planned]} if case.planned else {}
        (chosen,) = query.SchedulerQueryClient().select_destinations(
            admin, spec, [spec.instance_uuid], return_objects=True, return_alternates=True
        )
        self.placement.delete(f"/allocations/{spec.instance_uuid}")
        return [each.service_host for each in chosen]

    def test_hosts_are_tried_in_the_order_of_the_table(self) -> None:
        server = self.create(orders.HEAD_FROM_MB)
        template = objects.RequestSpec.get_by_instance_uuid(
            context.get_admin_context(), server["id"]
        )
        self._delete_server(server)
        self.report()
        for case in orders.CASES:
            # Nova shuffles the candidates, so once may be luck.
            for _ in range(2):
                assert self.tried(case, template) == list(case.order), case.name

    def test_heads_go_to_the_roomiest_and_fillers_to_open_hosts(self) -> None:
        sizes, hosts = zip(*orders.UNPLANNED, strict=True)
        assert self.place(*sizes) == list(hosts)


class PlannedTest(ComputeCloudTest):
    """With all of Nova's own weighers, which would have it otherwise."""

    def setUp(self) -> None:
        super().setUp()
        self.start_hosts(**dict.fromkeys(orders.HOSTS, 0))

    @staticmethod
    def weight_classes() -> list[str]:
        ours = ["hybrid_sched.weighers.nova.CrossFillWeigher"]
        stock = ["nova.scheduler.weights.all_weighers"]
        return stock if "CrossFillWeigher" in left_out() else stock + ours

    def held(self, host: str, memory_mb: int) -> list[Task]:
        return orders.held(host)

    def planned(self, host: str, memory_mb: int) -> dict:
        return self.create(memory_mb, hints={PLANNED_HOST_HINT: host})

    def test_planned_guests_go_to_their_hosts(self) -> None:
        where = [
            self.planned(host, memory_mb)["OS-EXT-SRV-ATTR:host"] for host, memory_mb in orders.PLAN
        ]
        assert where == [host for host, _ in orders.PLAN]

    def test_the_decision_says_what_became_of_the_plan(self) -> None:
        honoured = self.planned("host-10", 2048)
        text = self.quota.decision(honoured["id"], Stage.ORDER).text
        assert text.startswith("planned for host host-10; head (")
        impossible = self.planned("host-10", 2048)
        assert impossible["OS-EXT-SRV-ATTR:host"] != "host-10"
        gate = self.quota.decision(impossible["id"], Stage.SHARE_GATE)
        assert gate.refused["host-10"].startswith("host_room: ")
        text = "planned for host host-10, which was not among the hosts that passed"
        assert gate.text.endswith(text)
        assert self.quota.decision(impossible["id"], Stage.ORDER).text.startswith(f"{text}; head (")

    def test_a_host_where_builds_failed_is_still_the_planned_one(self) -> None:
        with context.target_cell(context.get_admin_context(), self.cell_mappings["cell1"]) as cell:
            node = objects.ComputeNode.get_by_host_and_nodename(cell, "host-03", "host-03")
            node.stats = {**(node.stats or {}), "failed_builds": "5"}
            node.save()
        assert self.planned("host-03", 512)["OS-EXT-SRV-ATTR:host"] == "host-03"

    def test_an_aggregate_gives_plans_no_weight(self) -> None:
        self.flags(cross_fill_weight_multiplier=1000.0, group="hybrid_sched")
        aggregate = self._create_aggregate("unplanned")
        self.admin_api.add_host_to_aggregate(aggregate, "host-10")
        metadata = {"planned_host_weight_multiplier": "0"}
        self.admin_api.post_aggregate_action(aggregate, {"set_metadata": {"metadata": metadata}})
        assert self.planned("host-10", 4096 - 1024)["OS-EXT-SRV-ATTR:host"] == "host-16"
        metadata = {"planned_host_weight_multiplier": "1e9", "cross_fill_weight_multiplier": "-1"}
        self.admin_api.post_aggregate_action(aggregate, {"set_metadata": {"metadata": metadata}})
        # The sign of the weigher's own multiplier is no matter to a plan.
        assert self.planned("host-10", 2048)["OS-EXT-SRV-ATTR:host"] == "host-10"

    def test_a_plan_is_over_once_the_guest_was_placed(self) -> None:
        server = self.planned("host-10", 2048)
        self._live_migrate(server, "completed")
        moved = self.api.get_server(server["id"])["OS-EXT-SRV-ATTR:host"]
        assert moved != "host-10"
        self._live_migrate(server, "completed")
        assert self.quota.decision(server["id"], Stage.ORDER).text.startswith("head (")

    def test_a_guest_is_a_head_from_the_upper_median_of_guests(self) -> None:
        snapshot, _ = self.quota.engine.snapshot()
        framework = snapshot.pools[""].frameworks[HYPERVISOR]
        assert framework.head_threshold * snapshot.pools[""].capacity[1] == orders.HEAD_FROM_MB
