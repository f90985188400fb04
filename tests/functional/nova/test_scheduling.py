# SPDX-License-Identifier: Apache-2.0
"""The plug-ins in Nova's real scheduler."""

from __future__ import annotations

import pytest
from compute_cloud import ComputeCloudTest
from nova import context, exception, objects

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.decision import Stage

_OTHER_IMAGE = "a2459075-d96c-40d5-893e-577ff92e721c"


class SchedulingTest(ComputeCloudTest):
    def test_large_guests_go_by_room_and_small_ones_fill_up_behind_them(self) -> None:
        self.start_hosts(one=1024, two=3072, three=0)
        where = self.place(4096, 4096, 4096, 512, 512, 512)
        assert where == ["three", "one", "two", "two", "two", "one"]

    def test_the_order_of_the_hosts_is_kept_with_its_rule(self) -> None:
        self.start_hosts(one=1024, two=0)
        server = self.create(4096)
        order = self.quota.decision(server["id"], Stage.ORDER)
        assert order.hosts == ("two", "one")
        assert "most memory_mb free first" in order.text

    def test_a_negative_multiplier_turns_the_order_round(self) -> None:
        self.flags(cross_fill_weight_multiplier=-1.0, group="hybrid_sched")
        self.start_hosts(one=1024, two=3072, three=0)
        assert self.place(4096, 512) == ["two", "three"]

    def test_an_aggregate_overrides_the_multiplier(self) -> None:
        self.start_hosts(one=1024, two=3072)
        aggregate = self._create_aggregate("turned")
        for host in ("one", "two"):
            self.admin_api.add_host_to_aggregate(aggregate, host)
        self.admin_api.post_aggregate_action(
            aggregate, {"set_metadata": {"metadata": {"cross_fill_weight_multiplier": "-1"}}}
        )
        assert self.place(4096) == ["two"]

    def test_room_that_containers_hold_is_not_given_to_guests(self) -> None:
        self.start_hosts(one=8000, two=4096)
        assert self.place(1024, 1024, 1024, 1024) == ["two"] * 4
        refused = self.create(1024, "ERROR")
        assert "No valid host" in refused["fault"]["message"]
        reasons = self.refusals(refused)
        assert set(reasons) == {"one", "two"}
        assert reasons["one"] == (
            "host_room: host one has 192 of 8192 memory_mb free of guests and containers, "
            "1024 is asked"
        )

    def test_guests_over_their_share_are_refused_until_their_weight_is_larger(self) -> None:
        self.quota.set(lending={"container": "0"})
        self.start_hosts(one=0, two=0)
        # Half of the memory of both hosts.
        self.place(4096, 4096)
        refused = self.create(1024, "ERROR")
        reasons = self.refusals(refused)
        assert set(reasons) == {"one", "two"}
        assert all(reason.startswith("framework_share: ") for reason in reasons.values())
        assert "framework hypervisor would hold 56.2 % of memory_mb" in reasons["one"]
        self.quota.set(weights={"hypervisor": "3", "container": "1"})
        self.report()
        self.create(1024)

    def test_servers_asked_for_at_once_are_counted_together(self) -> None:
        self.quota.set(lending={"container": "0"})
        self.start_hosts(one=0, two=0)
        flavor = self._create_flavor(memory_mb=2048, vcpu=1, disk=0, ephemeral=0)
        server = self._build_server(flavor_id=flavor, networks="none")
        self.api.post_server({"server": {**server, "min_count": 5}})
        self.wait_for_statuses(["ERROR"] * 5)
        self.api.post_server({"server": {**server, "min_count": 4}})
        self.wait_for_statuses(["ACTIVE"] * 4 + ["ERROR"] * 5)

    def test_guests_over_their_share_may_move_and_be_rebuilt(self) -> None:
        self.start_hosts(one=0, two=0)
        moved, resized, rebuilt = (self.create(2048) for _ in range(3))
        self.take_share_away()
        source = moved["OS-EXT-SRV-ATTR:host"]
        self._live_migrate(moved, "completed")
        assert self.api.get_server(moved["id"])["OS-EXT-SRV-ATTR:host"] != source
        self._migrate_server(resized)
        self._wait_for_state_change(resized, "VERIFY_RESIZE")
        self._rebuild_server(rebuilt, _OTHER_IMAGE)

    def test_a_guest_over_its_share_is_evacuated(self) -> None:
        self.start_hosts(one=0, two=0)
        server = self.create(2048)
        source = server["OS-EXT-SRV-ATTR:host"]
        self.take_share_away()
        self.computes[source].stop()
        self.admin_api.put_service_force_down(self.computes[source].service_ref.uuid, True)
        (other,) = {"one", "two"} - {source}
        self._evacuate_server(server, expected_host=other)

    def test_each_mark_of_a_move_by_itself_spares_it_the_share(self) -> None:
        self.start_hosts(one=0, two=0)
        server = self.create(2048)
        (other,) = {"one", "two"} - {server["OS-EXT-SRV-ATTR:host"]}
        self.take_share_away()
        spec = objects.RequestSpec.get_by_instance_uuid(context.get_admin_context(), server["id"])
        # As the conductor sets it; it is not stored.
        spec.requested_resources = []
        with pytest.raises(exception.NoValidHost):
            self.select(spec)
        # A host that is asked for, in whatever cell, makes no move.
        spec.requested_destination = objects.Destination(host=other)
        with pytest.raises(exception.NoValidHost):
            self.select(spec)
        spec.requested_destination.cell = self.cell_mappings["cell1"]
        assert self.select(spec) == other
        spec.requested_destination = None
        spec.ignore_hosts = [server["OS-EXT-SRV-ATTR:host"]]
        assert self.select(spec) == other

    def test_a_guest_that_moves_still_needs_room_beside_the_containers(self) -> None:
        self.start_hosts(one=0, two=7000)
        server = self.create(2048)
        self._live_migrate(server, "error")
        assert self.api.get_server(server["id"])["OS-EXT-SRV-ATTR:host"] == "one"
        reason = (
            "host_room: host two has 1192 of 8192 memory_mb free of guests and containers, "
            "2048 is asked"
        )
        self.wait_for_refusals(server, {"two": reason})

    def test_a_guest_is_rebuilt_where_no_second_one_of_its_size_has_room(self) -> None:
        self.start_hosts(one=0)
        server = self.create(6144)
        self.create(6144, "ERROR")
        self._rebuild_server(server, _OTHER_IMAGE)

    def test_a_shelved_guest_holds_nothing_and_comes_back_within_the_share_only(self) -> None:
        self.flags(shelved_offload_time=0)
        self.start_hosts(one=0, two=0)
        self.create(2048)
        shelved = self._shelve_server(self.create(2048))
        self.take_share_away()
        self.api.post_server_action(shelved["id"], {"unshelve": None})

        def is_refused() -> None:
            assert set(self.refusals(shelved)) == {"one", "two"}

        self._wait_for_assert(is_refused, max_retries=60)
        assert all(each.startswith("framework_share: ") for each in self.refusals(shelved).values())
        self.quota.set(weights={"hypervisor": "9", "container": "1"})
        self.report()
        self._wait_for_server_parameter(shelved, {"OS-EXT-STS:task_state": None})
        self._unshelve_server(shelved)

    def test_each_pool_is_shared_by_weights_of_its_own(self) -> None:
        self.quota.set(lending={"container": "0"})
        self.quota.share("fast", ["two"], {"hypervisor": 1, "container": 3})
        self.start_hosts(one=0, two=0)
        # Half of the one host, and a quarter of the other.
        assert sorted(self.place(4096, 2048)) == ["one", "two"]
        reasons = self.refusals(self.create(1024, "ERROR"))
        assert "would hold 62.5 % of memory_mb; its share by weight is 50.0 %" in reasons["one"]
        assert (
            "would hold 37.5 % of memory_mb in pool fast; its share by weight is 25.0 %"
            in reasons["two"]
        )
        self.quota.share("fast", ["two"], {"hypervisor": 1, "container": 1})
        self.report()
        assert self.place(1024) == ["two"]

    def test_what_is_refused_in_a_pool_is_wanted_there(self) -> None:
        self.quota.set(lending={"container": "0"})
        self.quota.share("fast", ["one"], {"hypervisor": 1, "container": 1})
        self.start_hosts(one=0)
        refused = self.create(5120, "ERROR")
        self.quota.decision(refused["id"], Stage.SHARE_GATE)
        self.report()
        wanted = self.quota.engine.snapshot()[0].pools["fast"].frameworks[HYPERVISOR].wanted
        assert wanted[1] == 5120

    def test_strict_places_what_was_reserved_and_nothing_while_the_engine_is_silent(self) -> None:
        self.quota.set(reserve="strict", lending={"container": "0"})
        self.flags(strict_reservation_timeout_s=20.0, group="hybrid_sched")
        self.start_hosts(one=0, two=0)
        self.create(2048)
        self.quota.be_silent(forgotten=False)
        self.flags(strict_reservation_timeout_s=0.2, group="hybrid_sched")
        refused = self.create(2048, "ERROR")
        self.quota.answer()
        assert self.refusals(refused) == dict.fromkeys(
            ("one", "two"),
            "quota_unavailable: the quota service reserved nothing within 0.2 s, which it must do first",
        )
        self.flags(strict_reservation_timeout_s=20.0, group="hybrid_sched")
        self.create(2048)

    def test_strict_counts_what_was_reserved_before_the_next_snapshot(self) -> None:
        self.quota.set(reserve="strict", lending={"container": "0"})
        self.flags(strict_reservation_timeout_s=20.0, group="hybrid_sched")
        self.start_hosts(one=0, two=0)
        flavor = self._create_flavor(memory_mb=3072, vcpu=1, disk=0, ephemeral=0)
        server = self._build_server(flavor_id=flavor, networks="none")
        # Half of both hosts is room for two of them; the snapshot knows of none.
        for _ in range(3):
            self.api.post_server({"server": server})
        self.wait_for_statuses(["ACTIVE", "ACTIVE", "ERROR"])
        assert self.quota.engine.reservations() == {("", HYPERVISOR): 2}
        self.report()
        assert self.quota.engine.reservations() == {}

    def test_a_reservation_in_a_pool_keeps_the_guest_there(self) -> None:
        self.quota.set(reserve="strict", lending={"container": "0"})
        self.flags(strict_reservation_timeout_s=20.0, group="hybrid_sched")
        self.quota.share("fast", ["two"], {"hypervisor": 3, "container": 1})
        self.start_hosts(one=0, two=0)
        server = self.create(2048)
        chosen = server["OS-EXT-SRV-ATTR:host"]
        (other,) = {"one", "two"} - {chosen}
        pool = {"one": "default", "two": "fast"}[chosen]
        assert self.refusals(server) == {other: f"other_pool: room is reserved in pool {pool}"}

    def test_best_effort_goes_by_the_snapshot_while_the_engine_is_silent(self) -> None:
        self.quota.set(reserve="best_effort", lending={"container": "0"})
        self.flags(reservation_timeout_s=20.0, group="hybrid_sched")
        self.start_hosts(one=0, two=0)
        self.create(2048)
        self.flags(reservation_timeout_s=0.2, group="hybrid_sched")
        self.quota.be_silent(forgotten=False)
        self.create(2048)
        refused = self.create(5120, "ERROR")
        self.quota.answer()
        assert all(each.startswith("framework_share: ") for each in self.refusals(refused).values())

    def test_without_a_snapshot_every_host_passes_by_default(self) -> None:
        self.quota.be_silent()
        self._start_compute("one")
        server = self.create(1024)
        self.quota.answer()
        decision = self.quota.decision(server["id"], Stage.SHARE_GATE)
        assert decision.hosts == ("one",)
        assert decision.text.startswith("there is no snapshot of the quota service")

    def test_without_a_snapshot_no_host_passes_where_the_option_says_so(self) -> None:
        self.quota.be_silent()
        self.flags(on_unavailable="deny", group="hybrid_sched")
        self._start_compute("one")
        refused = self.create(1024, "ERROR")
        self.quota.answer()
        assert self.refusals(refused)["one"].startswith("quota_unavailable: ")
