# SPDX-License-Identifier: Apache-2.0
"""Queued guests through openstacksdk and Nova's real API, scheduler, conductor and Placement."""

from __future__ import annotations

import nova.tests.functional  # noqa: F401 - first, as Nova's own tests do
import pytest
from keystoneauth1 import session, token_endpoint
from nova import context, objects
from nova.tests.functional import integrated_helpers
from openstack import connection

from hybrid_sched.core.cluster import HYPERVISOR
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.core.resources import Resources
from hybrid_sched.interfaces.launcher import Launched, LaunchFault, Phase
from hybrid_sched.queue.launchers.nova import MICROVERSION, NovaLauncher

# One that Nova's image fixture has.
_IMAGE = "155d900f-4e14-4e4c-a73d-069cbf4541e6"


class NovaLauncherTest(integrated_helpers.ProviderUsageBaseTestCase):
    compute_driver = "fake.MediumFakeDriver"

    def setUp(self) -> None:
        super().setUp()
        self._start_compute("one")
        # Signed in as Nova's own tests are, in place of Keystone.
        endpoint = self.admin_api.base_url
        headers = {
            "X-Auth-User": self.admin_api.auth_user,
            "X-Auth-Project-Id": self.admin_api.project_id,
            "X-Roles": "admin,member,reader",
        }
        self.launcher = NovaLauncher(
            lambda: connection.Connection(
                session=session.Session(
                    auth=token_endpoint.Token(endpoint, "token"), additional_headers=headers
                ),
                compute_endpoint_override=endpoint,
                compute_default_microversion=MICROVERSION,
            )
        )

    def _clear_attrs(self) -> None:
        """Keep the attributes: Nova drops pytest's among them, which then cannot tell of a failure."""

    def task(self, memory_mb: int) -> QueuedTask:
        flavor = self._create_flavor(memory_mb=memory_mb, vcpu=1, disk=0, ephemeral=0)
        spec = {"flavor": flavor, "image": _IMAGE, "networks": "none"}
        return QueuedTask("task-1", "queued", HYPERVISOR, Resources(), spec)

    def wait_for(self, uuid: str, phase: Phase) -> Launched:
        found: list[Launched] = []

        def as_wanted() -> None:
            found.append(self.launcher.look([uuid])[uuid])
            assert found[-1].phase is phase, found[-1]

        self._wait_for_assert(as_wanted, max_retries=60)
        return found[-1]

    def test_a_guest_is_launched_with_its_hint_found_by_its_key_and_deleted(self) -> None:
        task = self.task(512)
        assert self.launcher.resolve(task.spec)[:2] == (1, 512)
        uuid = self.launcher.launch(task, "one")
        running = self.wait_for(uuid, Phase.RUNNING)
        assert (running.key, running.host) == ("task-1", "one")
        assert running.created_at_s > 0
        spec = objects.RequestSpec.get_by_instance_uuid(context.get_admin_context(), uuid)
        assert spec.scheduler_hints == {"hybrid_host": ["one"]}
        assert self.launcher.find("task-1") == [running]
        assert self.launcher.find("task-2") == []
        self.launcher.delete(uuid)
        self.wait_for(uuid, Phase.GONE)
        self.launcher.delete(uuid)

    def test_a_guest_for_which_no_host_has_room_says_so(self) -> None:
        uuid = self.launcher.launch(self.task(10_000), "one")
        failed = self.wait_for(uuid, Phase.FAILED)
        assert failed.no_room
        assert failed.text.startswith("No valid host was found.")
        self.launcher.delete(uuid)
        self.wait_for(uuid, Phase.GONE)

    def test_want_of_quota_is_told_from_other_refusals(self) -> None:
        with pytest.raises(LaunchFault, match="Quota exceeded for ram") as fault:
            self.launcher.launch(self.task(1_000_000), "one")
        assert fault.value.no_room
        assert self.launcher.find("task-1") == []
