# SPDX-License-Identifier: Apache-2.0
"""The life cycle in Nova's words, against Nova's own words and Nova's real API."""

from __future__ import annotations

import nova.tests.functional  # noqa: F401 - first, as Nova's own tests do
import pytest
from nova.compute import task_states, vm_states
from nova.objects import fields
from nova.tests.functional import integrated_helpers
from nova.tests.functional.api import client as api_client

from hybrid_sched.core import nova_lifecycle
from hybrid_sched.core.lifecycle import GUEST, Action, Standing, State
from hybrid_sched.core.nova_lifecycle import SERVER_ACTIONS, VM_STATES, server_steps

_RESTING = {
    vm_states.ACTIVE: State.RUNNING,
    vm_states.PAUSED: State.PAUSED,
    vm_states.SUSPENDED: State.SUSPENDED,
    vm_states.STOPPED: State.CLOSED,
}


@pytest.mark.parametrize("vm_state", fields.InstanceState.ALL)
def test_no_vm_state_of_nova_is_forgotten(vm_state: str) -> None:
    standing = nova_lifecycle.standing_of_server(vm_state)
    if vm_state in _RESTING:
        assert standing == Standing(_RESTING[vm_state])
        assert VM_STATES[_RESTING[vm_state]] == vm_state
    elif vm_state == vm_states.BUILDING:
        assert standing == Standing(State.CLOSED, State.RUNNING, busy=True)
    else:
        assert standing.state is None
        assert standing.text


@pytest.mark.parametrize("task_state", fields.InstanceTaskState.ALL)
@pytest.mark.parametrize("vm_state", fields.InstanceState.ALL)
def test_no_task_state_of_nova_is_forgotten(vm_state: str, task_state: str) -> None:
    assert nova_lifecycle.standing_of_server(vm_state, task_state).busy


def test_no_word_is_known_that_nova_does_not_have() -> None:
    assert set(nova_lifecycle._TARGETS) == set(fields.InstanceTaskState.ALL)
    known = {*VM_STATES.values(), *nova_lifecycle._OUTSIDE, vm_states.BUILDING}
    assert known == set(fields.InstanceState.ALL)
    assert nova_lifecycle._TARGETS[task_states.PAUSING] is State.PAUSED


class LifeCycleTest(integrated_helpers.ProviderUsageBaseTestCase):
    compute_driver = "fake.MediumFakeDriver"

    def setUp(self) -> None:
        super().setUp()
        self._start_compute("one")
        flavor = self._create_flavor(memory_mb=512, vcpu=1, disk=0, ephemeral=0)
        server = self._build_server(flavor_id=flavor, networks="none")
        self.server = self._wait_for_state_change(
            self.api.post_server({"server": server}), "ACTIVE"
        )

    def _clear_attrs(self) -> None:
        """Keep the attributes: Nova drops pytest's among them, which then cannot tell of a failure."""

    def standing(self) -> Standing:
        told = self.admin_api.get_server(self.server["id"])
        return nova_lifecycle.standing_of_server(
            told["OS-EXT-STS:vm_state"], told["OS-EXT-STS:task_state"]
        )

    def make(self, state: State, action: Action) -> None:
        for step in server_steps(state, action):
            self.api.post_server_action(self.server["id"], {step.call: None})

            def is_there(wanted: State = step.leads_to) -> None:
                assert self.standing() == Standing(wanted)

            self._wait_for_assert(is_there)

    def test_every_move_of_the_figure_is_made_by_novas_actions(self) -> None:
        """Walk along a tour that makes each move of figure 4 at least once."""
        tour = [
            (Action.PAUSE, State.PAUSED),
            (Action.RESUME, State.RUNNING),
            (Action.SUSPEND, State.SUSPENDED),
            (Action.RESUME, State.RUNNING),
            (Action.PAUSE, State.PAUSED),
            (Action.SUSPEND, State.SUSPENDED),
            (Action.RESUME_PAUSED, State.PAUSED),
            (Action.CLOSE, State.CLOSED),
            (Action.START_PAUSED, State.PAUSED),
            (Action.SUSPEND, State.SUSPENDED),
            (Action.CLOSE, State.CLOSED),
            (Action.START, State.RUNNING),
            (Action.CLOSE, State.CLOSED),
        ]
        here = State.RUNNING
        made = set()
        for action, leads_to in tour:
            self.make(here, action)
            made.add((here, action))
            assert self.standing() == Standing(leads_to)
            here = leads_to
        assert made == {(state, action) for state in State for action in GUEST.allowed(state)}

    def test_nova_takes_each_action_from_the_state_that_we_know_and_from_no_other(self) -> None:
        reached_by = {
            State.RUNNING: [],
            State.PAUSED: [(State.RUNNING, Action.PAUSE)],
            State.SUSPENDED: [(State.PAUSED, Action.RESUME), (State.RUNNING, Action.SUSPEND)],
            State.CLOSED: [(State.SUSPENDED, Action.CLOSE)],
        }
        for state, moves in reached_by.items():
            for move in moves:
                self.make(*move)
            for call, (starts_from, _) in SERVER_ACTIONS.items():
                if starts_from is state:
                    continue
                with pytest.raises(api_client.OpenStackApiException) as raised:
                    self.api.post_server_action(self.server["id"], {call: None})
                assert raised.value.response.status_code == 409
            assert self.standing() == Standing(state)


@pytest.fixture(autouse=True)
def _keep_pytests_logging_out(caplog: pytest.LogCaptureFixture) -> None:
    """Leave Nova's log records to Nova's own fixture."""
    caplog.set_level("CRITICAL")
