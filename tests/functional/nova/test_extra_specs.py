# SPDX-License-Identifier: Apache-2.0
"""What a flavor declares, in Nova's real API, scheduler and compute manager."""

from __future__ import annotations

import nova.tests.functional  # noqa: F401 - first, as Nova's own tests do
import pytest
from nova import conf as nova_conf
from nova import exception, utils
from nova.api.validation.extra_specs import validators
from nova.tests.functional import integrated_helpers
from nova.tests.functional.api import client as api_client
from quota_service import QuotaService

from hybrid_sched.conf import client as options
from hybrid_sched.core import declaration
from hybrid_sched.core.cluster import HYPERVISOR, Task
from hybrid_sched.core.decision import Stage
from hybrid_sched.core.resources import Resources

#: What Nova's MediumFakeDriver has, with 16 vCPUs for each CPU and no reserve, and a rate that is rationed.
_CAPACITY = Resources(vcpu=160, memory_mb=8192, disk_read_bps=1000)


@pytest.mark.parametrize("key", declaration.KEYS)
def test_nova_knows_each_of_our_extra_specs_and_judges_it_as_we_read_it(key: str) -> None:
    good = {declaration.CPU_PERCENT: "100", declaration.STATE: "closed"}
    validators.validate(key, good.get(key, "deny" if key == declaration.RELOCATE else "10MiB/s"))
    with pytest.raises(exception.ValidationError, match=f"{key} is 'x': give"):
        validators.validate(key, "x")


def test_nova_refuses_a_name_of_ours_that_does_not_exist() -> None:
    with pytest.raises(exception.ValidationError, match="'hybrid:disk_raed_bps'"):
        validators.validate("hybrid:disk_raed_bps", "5")


def test_novas_extra_specs_are_the_ones_that_we_read() -> None:
    ours = {name for name in validators.VALIDATORS if name.startswith(declaration.NAMESPACE)}
    assert ours == set(declaration.KEYS)
    for key in ("quota:cpu_period", "quota:cpu_quota", "quota:cpu_shares", "hw:cpu_policy"):
        assert key in validators.VALIDATORS
    for key in ("disk_read_bytes_sec", "disk_write_bytes_sec", "disk_total_bytes_sec"):
        assert f"quota:{key}" in validators.VALIDATORS
    for key in ("vif_inbound_average", "vif_outbound_average"):
        assert f"quota:{key}" in validators.VALIDATORS


class DeclarationTest(integrated_helpers.ProviderUsageBaseTestCase):
    compute_driver = "fake.MediumFakeDriver"

    def setUp(self) -> None:
        options.register(nova_conf.CONF)
        self.flags(reserved_host_memory_mb=0, initial_ram_allocation_ratio=1.0)
        self.flags(
            available_filters=[
                "nova.scheduler.filters.all_filters",
                "hybrid_sched.filters.nova.HybridShareFilter",
            ],
            enabled_filters=["ComputeFilter", "HybridShareFilter"],
            weight_classes=["hybrid_sched.weighers.nova.CrossFillWeigher"],
            group="filter_scheduler",
        )
        self.flags(first_snapshot_timeout_s=0.0, group="hybrid_sched")
        super().setUp()
        self.quota = QuotaService(nova_conf.CONF)
        self.addCleanup(self.quota.close)

    def _clear_attrs(self) -> None:
        """Keep the attributes: Nova drops pytest's among them, which then cannot tell of a failure."""

    def start_host(self, *tasks: Task) -> None:
        self._start_compute("one")
        self.quota.report("one", _CAPACITY, list(tasks))
        self.quota.publish()

    def create(self, expected: str, **extra_specs: str) -> dict:
        """Create a guest with these extra specs, ``__`` for the colon, as no validator has seen them."""
        specs = {name.replace("__", ":"): text for name, text in extra_specs.items()}
        # Before 2.86 Nova takes any value.
        with utils.temporary_mutation(self.admin_api, microversion="2.85"):
            flavor = self._create_flavor(
                memory_mb=512, vcpu=1, disk=0, ephemeral=0, extra_spec=specs
            )
        server = self._build_server(flavor_id=flavor, networks="none")
        return self._wait_for_state_change(self.api.post_server({"server": server}), expected)

    def test_a_bad_value_is_a_400_that_names_the_field(self) -> None:
        flavor = self._create_flavor(memory_mb=512, vcpu=1)
        path = f"/flavors/{flavor}/os-extra_specs"
        with utils.temporary_mutation(self.admin_api, microversion="2.86"):
            for bad, said in (
                ({"hybrid:cpu_percent": "200"}, "hybrid:cpu_percent is '200': give a whole number"),
                ({"hybrid:state": "suspended"}, "hybrid:state is 'suspended': give running or"),
                ({"hybrid:nic": "1"}, "hybrid:nic"),
            ):
                with pytest.raises(api_client.OpenStackApiException) as raised:
                    self.admin_api.api_post(path, {"extra_specs": bad})
                assert raised.value.response.status_code == 400
                assert said in raised.value.response.text.replace("&#x27;", "'")
            good = {"hybrid:cpu_percent": "50", "hybrid:net_in_bps": "10MiB/s"}
            self.admin_api.api_post(path, {"extra_specs": good})
            assert self.admin_api.api_get(path).body["extra_specs"] == good

    def test_a_declared_rate_needs_room_where_the_host_has_a_rate(self) -> None:
        self.start_host(Task("t", HYPERVISOR, Resources(1, 512, disk_read_bps=600)))
        self.create("ACTIVE", quota__disk_read_bytes_sec="400")
        self.create("ACTIVE", hybrid__net_in_bps="9GB/s")
        refused = self.create("ERROR", hybrid__disk_read_bps="401")
        reasons = self.quota.decision(refused["id"], Stage.SHARE_GATE).refused
        assert reasons == {
            "one": "host_room: host one has 400 of 1000 disk_read_bps free of guests and containers, 401 is asked"
        }

    def test_a_contradiction_is_refused_by_every_host_with_the_fields(self) -> None:
        self.start_host()
        refused = self.create("ERROR", quota__disk_read_bytes_sec="5", hybrid__disk_read_bps="6")
        assert "No valid host" in refused["fault"]["message"]
        decision = self.quota.decision(refused["id"], Stage.SHARE_GATE)
        assert decision.refused == {
            "one": "bad_declaration: quota:disk_read_bytes_sec is 5 bytes/s, but hybrid:disk_read_bps is 6 bytes/s: "
            "give one of them, or the same"
        }


@pytest.fixture(autouse=True)
def _keep_pytests_logging_out(caplog: pytest.LogCaptureFixture) -> None:
    """Leave Nova's log records to Nova's own fixture."""
    caplog.set_level("CRITICAL")
