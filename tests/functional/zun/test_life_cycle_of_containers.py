# SPDX-License-Identifier: Apache-2.0
"""The life cycle in Zun's words, against Zun's own words."""

from __future__ import annotations

import pytest
from zun.common import consts
from zun.common import utils as zun_utils

from hybrid_sched.core import zun_lifecycle
from hybrid_sched.core.lifecycle import Standing, State
from hybrid_sched.core.zun_lifecycle import CONTAINER_ACTIONS, STATUSES

_RESTING = {
    consts.RUNNING: State.RUNNING,
    consts.PAUSED: State.PAUSED,
    consts.STOPPED: State.CLOSED,
    consts.CREATED: State.CLOSED,
    consts.SUCCEEDED: State.CLOSED,
}
_ALL = sorted({*consts.CONTAINER_STATUSES, *consts.CAPSULE_STATUSES})


@pytest.mark.parametrize("status", _ALL)
def test_no_status_of_zun_is_forgotten(status: str) -> None:
    standing = zun_lifecycle.standing_of_container(status)
    if status in _RESTING:
        assert standing == Standing(_RESTING[status])
    else:
        assert standing.busy or standing.text


@pytest.mark.parametrize("task_state", consts.TASK_STATES)
@pytest.mark.parametrize("status", _ALL)
def test_no_task_state_of_zun_is_forgotten(status: str, task_state: str) -> None:
    assert zun_lifecycle.standing_of_container(status, task_state).busy


def test_no_word_is_known_that_zun_does_not_have() -> None:
    assert set(zun_lifecycle._TARGETS) == set(consts.TASK_STATES)
    known = {*zun_lifecycle._RESTS, *zun_lifecycle._ON_THE_WAY, *zun_lifecycle._OUTSIDE}
    assert known == set(_ALL)


@pytest.mark.parametrize("call", CONTAINER_ACTIONS)
def test_zun_takes_each_action_from_the_state_that_we_know_and_from_no_other(call: str) -> None:
    starts_from, _ = CONTAINER_ACTIONS[call]
    takes_from = {
        state for state, status in STATUSES.items() if status in zun_utils.VALID_STATES[call]
    }
    assert takes_from == {starts_from}
