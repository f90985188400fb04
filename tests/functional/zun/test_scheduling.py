# SPDX-License-Identifier: Apache-2.0
"""The plug-ins in Zun's real scheduler with the real Placement."""

from __future__ import annotations

from cloud import CAPACITY
from container_cloud import ContainerCloudTest
from zun.scheduler.client.query import SchedulerClient

from hybrid_sched.core.cluster import HYPERVISOR, Arrival, Task
from hybrid_sched.core.decision import Stage
from hybrid_sched.core.resources import Resources
from hybrid_sched.core.steering import PLANNED_HOST_HINT


class SchedulingTest(ContainerCloudTest):
    def test_large_containers_go_by_room_and_small_ones_fill_up_behind_them(self) -> None:
        self.start_hosts(one=1024, two=3072, three=0)
        where = self.place(4096, 4096, 4096, 512, 512, 512)
        assert where == ["three", "one", "two", "two", "two", "one"]

    def test_the_order_of_the_hosts_is_kept_with_its_rule(self) -> None:
        self.start_hosts(a=1024, b=0, c=512)
        container = self.container(4096)
        assert self.schedule(container) == "b"
        order = self.quota.decision(container.uuid, Stage.ORDER)
        assert order.hosts == ("b", "c", "a")
        assert "most memory_mb free first" in order.text

    def test_room_that_guests_hold_is_not_given_to_containers(self) -> None:
        self.start_hosts(one=8000, two=4096)
        assert self.place(1024, 1024, 1024, 1024) == ["two"] * 4
        container = self.container(1024)
        self.assert_refused(container)
        reasons = self.quota.decision(container.uuid, Stage.SHARE_GATE).refused
        assert set(reasons) == {"one", "two"}
        assert reasons["one"] == (
            "host_room: host one has 192 of 8192 memory_mb free of guests and containers, "
            "1024 is asked"
        )

    def test_containers_over_their_share_are_refused_until_their_weight_is_larger(self) -> None:
        self.quota.set(lending={"hypervisor": "0"})
        self.start_hosts(one=0, two=0)
        # Half of the memory of both hosts.
        self.place(4096, 4096)
        container = self.container(1024)
        self.assert_refused(container)
        reasons = self.quota.decision(container.uuid, Stage.SHARE_GATE).refused
        assert set(reasons) == {"one", "two"}
        assert all(reason.startswith("framework_share: ") for reason in reasons.values())
        assert "framework container would hold 56.2 % of memory_mb" in reasons["one"]
        self.quota.set(weights={"hypervisor": "1", "container": "3"})
        self.report()
        assert self.schedule(container) in {"one", "two"}

    def test_a_container_that_is_moved_passes_to_its_target_whatever_the_share(self) -> None:
        self.quota.set(lending={"hypervisor": "0"})
        self.start_hosts(one=0, two=0)
        self.place(4096, 4096)
        # Nobody knows of the move.
        self.assert_refused(self.container(1024, labels={"hybrid:move": "m"}))
        moved = self.container(1024, labels={"hybrid:move": "m"})
        self.quota.arrivals = {"m": Arrival("two", Resources(vcpu=1, memory_mb=1024))}
        self.report()
        assert self.schedule(moved) == "two"
        decision = self.quota.decision(moved.uuid, Stage.SHARE_GATE)
        assert decision.text == "a move: what runs holds its share already"
        assert decision.refused == {"one": "not_the_target: it is being moved to host two"}
        self.assert_refused(self.container(2048, labels={"hybrid:move": "m"}))

    def test_what_is_judged_is_what_zun_claims_in_placement(self) -> None:
        provider = self.start_host("one")
        for cpu, memory_mb, claimed in ((2.5, 512, (3, 512)), (0.1, 0, (1, 1))):
            container = self.container(memory_mb, cpu=cpu)
            self.schedule(container)
            decision = self.quota.decision(container.uuid, Stage.SHARE_GATE)
            assert (decision.demand.vcpu, decision.demand.memory_mb) == claimed
            claim = self.claimed(provider)[container.uuid]
            assert (claim["VCPU"], claim["MEMORY_MB"]) == claimed

    def test_a_declared_rate_needs_room_where_the_host_has_a_rate(self) -> None:
        self.start_host("one")
        capacity = CAPACITY._replace(net_out_bps=1000)
        demand = Resources(vcpu=1, memory_mb=512, net_out_bps=600)
        self.quota.report("one", capacity, [Task("guest-on-one", HYPERVISOR, demand)])
        self.quota.publish()
        labels = {"hybrid:net_out_bps": "400B/s", "hybrid:net_in_bps": "9GB/s", "app": "web"}
        assert self.schedule(self.container(512, labels=labels)) == "one"
        refused = self.container(512, labels={"hybrid:net_out_bps": "401"})
        self.assert_refused(refused)
        assert self.quota.decision(refused.uuid, Stage.SHARE_GATE).refused == {
            "one": "host_room: host one has 400 of 1000 net_out_bps free of guests and containers, 401 is asked"
        }

    def test_a_request_is_read_once_for_both_filters_and_never_taken_for_another(self) -> None:
        # Loggers that are there when Zun's database is made are switched off by it.
        from hybrid_sched.filters.zun import request_of  # noqa: PLC0415

        one, other = self.container(256), self.container(512)
        plain, planned = {"hints": None}, {"hints": {PLANNED_HOST_HINT: "a"}}
        read = request_of(one, plain)
        assert request_of(one, plain) is read
        assert (read.demand.memory_mb, read.planned_host) == (256, "")
        assert request_of(one, planned).planned_host == "a"
        assert request_of(other, planned).demand.memory_mb == 512

    def test_labels_that_cannot_be_read_are_refused_by_every_host_with_the_remedy(self) -> None:
        self.start_hosts(one=0)
        container = self.container(512, labels={"hybrid:cpu_percent": "half"})
        self.assert_refused(container)
        assert self.quota.decision(container.uuid, Stage.SHARE_GATE).refused == {
            "one": "bad_declaration: hybrid:cpu_percent is 'half': give a whole number from 1 to 100, "
            "the part of each CPU; for more than all of it give more CPUs"
        }

    def test_without_a_snapshot_every_host_passes_by_default(self) -> None:
        self.quota.be_silent()
        self.start_host("one")
        container = self.container(1024)
        assert self.schedule(container) == "one"
        self.quota.answer()
        decision = self.quota.decision(container.uuid, Stage.SHARE_GATE)
        assert decision.hosts == ("one",)
        assert decision.text.startswith("there is no snapshot of the quota service")

    def test_without_a_snapshot_no_host_passes_where_the_option_says_so(self) -> None:
        self.quota.be_silent()
        self.set("on_unavailable", "deny", "hybrid_sched")
        self.start_host("one")
        container = self.container(1024)
        self.assert_refused(container)
        self.quota.answer()
        decision = self.quota.decision(container.uuid, Stage.SHARE_GATE)
        assert decision.refused["one"].startswith("quota_unavailable: ")

    def test_an_order_filter_that_is_not_the_last_says_so(self) -> None:
        self.enable("CrossFillOrderFilter", "ComputeFilter")
        with self.assertLogs("hybrid_sched.filters.zun", "WARNING") as logs:
            SchedulerClient()
        assert logs.records[0].getMessage().startswith("CrossFillOrderFilter is not the last")
        self.enable("ComputeFilter", "CrossFillOrderFilter")
        with self.assertNoLogs("hybrid_sched.filters.zun", "WARNING"):
            SchedulerClient()
