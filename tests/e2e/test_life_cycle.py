# SPDX-License-Identifier: Apache-2.0
"""A real guest goes through the states of figure 4 and back, by Nova's actions; Nova and the agent of its host agree."""

from __future__ import annotations

import pytest

from hybrid_sched.core import nova_lifecycle
from hybrid_sched.core.lifecycle import GUEST, Action, IllegalMove, Standing, State
from lab.cloud import Cloud, wait_for
from lab.layout import Lab
from lab.services import hybrid

_MOVE_TIMEOUT_S = 120
_TOUR = [
    (Action.CLOSE, State.CLOSED),
    (Action.START, State.RUNNING),
    (Action.PAUSE, State.PAUSED),
    (Action.RESUME, State.RUNNING),
    (Action.SUSPEND, State.SUSPENDED),
    (Action.RESUME, State.RUNNING),
    (Action.PAUSE, State.PAUSED),
    (Action.SUSPEND, State.SUSPENDED),
    (Action.RESUME_PAUSED, State.PAUSED),
    (Action.RESUME, State.RUNNING),
    (Action.CLOSE, State.CLOSED),
    (Action.START, State.RUNNING),
]


class Guest:
    """One real guest.

    :param lab: the lab.
    :param cloud: its cloud.
    """

    def __init__(self, lab: Lab, cloud: Cloud) -> None:
        self._lab = lab
        self._cloud = cloud
        self._uuid = cloud.create_server("demo-life", "lab.tiny")

    def standing(self) -> Standing:
        """Say where Nova's API has it."""
        told = self._cloud.server(self._uuid)
        return nova_lifecycle.standing_of_server(
            told["OS-EXT-STS:vm_state"], told["OS-EXT-STS:task_state"]
        )

    def reported(self) -> str:
        """Say where the agent of its host has it; empty before it does."""
        host = self._cloud.server(self._uuid)["OS-EXT-SRV-ATTR:host"]
        shown = hybrid.manage(self._lab, "hosts", "show", host)
        for line in shown["Tasks"].splitlines():
            uuid, _, _, state, *_ = line.split()
            if uuid == self._uuid:
                return str(state.rstrip(":"))
        return ""

    def make(self, state: State, action: Action) -> None:
        """Make a move, step by step."""
        for step in nova_lifecycle.server_steps(state, action):
            self._cloud.sdk.compute.post(f"/servers/{self._uuid}/action", json={step.call: None})
            self.wait_until(step.leads_to)

    def wait_until(self, state: State) -> None:
        """Wait until Nova's API and the agent both have it there."""
        wait_for(self.standing, lambda seen: seen == Standing(state), _MOVE_TIMEOUT_S)
        wait_for(self.reported, lambda seen: seen == state, _MOVE_TIMEOUT_S)
        # The agent saw it last: Nova must not have changed its mind since, as it does when libvirt differs.
        assert self.standing() == Standing(state)


def test_a_guest_goes_through_every_state_and_back(empty_cloud: Cloud, lab: Lab) -> None:
    guest = Guest(lab, empty_cloud)
    guest.wait_until(State.RUNNING)
    here = State.RUNNING
    for action, leads_to in _TOUR:
        guest.make(here, action)
        here = GUEST.move(here, action)
        assert here is leads_to
    with pytest.raises(IllegalMove) as refused:
        guest.make(here, Action.RESUME)
    assert str(refused.value) == (
        "a guest that is running does not allow resume: it allows pause, suspend, close"
    )
    assert guest.standing() == Standing(State.RUNNING)
