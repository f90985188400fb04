# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid_sched.core import lifecycle, nova_lifecycle, zun_lifecycle
from hybrid_sched.core.lifecycle import (
    CONTAINER,
    GUEST,
    Action,
    Calls,
    IllegalMove,
    LifeCycle,
    Standing,
    State,
    Step,
    UnknownStatus,
)

#: Figure 4, in the words of the paper.
_FIGURE_4 = {
    (State.CLOSED, Action.START): State.RUNNING,
    (State.CLOSED, Action.START_PAUSED): State.PAUSED,
    (State.RUNNING, Action.PAUSE): State.PAUSED,
    (State.PAUSED, Action.RESUME): State.RUNNING,
    (State.RUNNING, Action.SUSPEND): State.SUSPENDED,
    (State.PAUSED, Action.SUSPEND): State.SUSPENDED,
    (State.SUSPENDED, Action.RESUME): State.RUNNING,
    (State.SUSPENDED, Action.RESUME_PAUSED): State.PAUSED,
    (State.RUNNING, Action.CLOSE): State.CLOSED,
    (State.PAUSED, Action.CLOSE): State.CLOSED,
    (State.SUSPENDED, Action.CLOSE): State.CLOSED,
}
_OF_CONTAINERS = {
    (State.CLOSED, Action.START): State.RUNNING,
    (State.RUNNING, Action.PAUSE): State.PAUSED,
    (State.PAUSED, Action.RESUME): State.RUNNING,
    (State.RUNNING, Action.CLOSE): State.CLOSED,
    (State.PAUSED, Action.CLOSE): State.CLOSED,
}
_CYCLES = [(GUEST, _FIGURE_4), (CONTAINER, _OF_CONTAINERS)]


@pytest.mark.parametrize(("cycle", "wanted"), _CYCLES)
@given(state=st.sampled_from(State), action=st.sampled_from(Action))
def test_there_are_these_moves_and_no_others(
    cycle: LifeCycle, wanted: dict[tuple[State, Action], State], state: State, action: Action
) -> None:
    if (state, action) in wanted:
        assert lifecycle.move(state, action, cycle) is wanted[state, action]
        assert action in cycle.allowed(state)
        return
    with pytest.raises(IllegalMove) as raised:
        lifecycle.move(state, action, cycle)
    allowed = [name for start, name in wanted if start is state]
    assert set(cycle.allowed(state)) == set(allowed)
    before, _, named = str(raised.value).partition(": it allows ")
    assert before == f"a {cycle.kind} that is {state} does not allow {action}"
    assert set(named.split(", ")) == set(allowed or ["nothing"])


@pytest.mark.parametrize("cycle", [GUEST, CONTAINER])
@given(choices=st.lists(st.integers(0, 99), max_size=30))
def test_moves_lead_to_states_that_have_moves(cycle: LifeCycle, choices: list[int]) -> None:
    state = State.CLOSED
    for choice in choices:
        allowed = cycle.allowed(state)
        state = cycle.move(state, allowed[choice % len(allowed)])
        assert cycle.allowed(state)


_BACK_ENDS = [
    (GUEST, nova_lifecycle.SERVER_ACTIONS, nova_lifecycle.server_steps),
    (CONTAINER, zun_lifecycle.CONTAINER_ACTIONS, zun_lifecycle.container_steps),
]


@pytest.mark.parametrize(("cycle", "calls", "steps_of"), _BACK_ENDS)
@given(state=st.sampled_from(State), action=st.sampled_from(Action))
def test_each_move_is_made_by_calls_that_follow_one_another(
    cycle: LifeCycle, calls: Calls, steps_of: object, state: State, action: Action
) -> None:
    assert callable(steps_of)
    if action not in cycle.allowed(state):
        with pytest.raises(IllegalMove, match="it allows"):
            steps_of(state, action)
        return
    here = state
    for step in steps_of(state, action):
        assert calls[step.call] == (here, step.leads_to)
        here = step.leads_to
    assert here is cycle.move(state, action)


def test_paths_that_nova_lacks_lead_through_running() -> None:
    named = {
        (state, action): " ".join(step.call for step in nova_lifecycle.server_steps(state, action))
        for state, action in _FIGURE_4
    }
    assert named == {
        (State.CLOSED, Action.START): "os-start",
        (State.CLOSED, Action.START_PAUSED): "os-start pause",
        (State.RUNNING, Action.PAUSE): "pause",
        (State.PAUSED, Action.RESUME): "unpause",
        (State.RUNNING, Action.SUSPEND): "suspend",
        (State.PAUSED, Action.SUSPEND): "unpause suspend",
        (State.SUSPENDED, Action.RESUME): "resume",
        (State.SUSPENDED, Action.RESUME_PAUSED): "resume pause",
        (State.RUNNING, Action.CLOSE): "os-stop",
        (State.PAUSED, Action.CLOSE): "unpause os-stop",
        (State.SUSPENDED, Action.CLOSE): "resume os-stop",
    }


def test_a_container_is_stopped_and_not_killed() -> None:
    assert zun_lifecycle.container_steps(State.PAUSED, Action.CLOSE) == (
        Step("unpause", State.RUNNING),
        Step("stop", State.CLOSED),
    )


def test_where_no_calls_lead_is_refused_with_the_calls_that_there_are() -> None:
    assert lifecycle.steps({}, State.PAUSED, State.PAUSED) == ()
    with pytest.raises(IllegalMove, match="no calls lead from closed to suspended: there are go"):
        lifecycle.steps({"go": (State.CLOSED, State.RUNNING)}, State.CLOSED, State.SUSPENDED)


@given(st.sampled_from(State))
def test_a_state_is_found_again_by_the_back_ends_word(state: State) -> None:
    word = nova_lifecycle.VM_STATES[state]
    assert nova_lifecycle.standing_of_server(word) == Standing(state)
    if state in zun_lifecycle.STATUSES:
        word = zun_lifecycle.STATUSES[state]
        assert zun_lifecycle.standing_of_container(word) == Standing(state)


@pytest.mark.parametrize(
    ("vm_state", "task_state", "wanted"),
    [
        ("building", None, Standing(State.CLOSED, State.RUNNING, busy=True)),
        ("building", "spawning", Standing(State.CLOSED, State.RUNNING, busy=True)),
        ("building", "deleting", Standing(State.CLOSED, None, busy=True)),
        ("active", "pausing", Standing(State.RUNNING, State.PAUSED, busy=True)),
        ("paused", "unpausing", Standing(State.PAUSED, State.RUNNING, busy=True)),
        ("active", "suspending", Standing(State.RUNNING, State.SUSPENDED, busy=True)),
        ("suspended", "resuming", Standing(State.SUSPENDED, State.RUNNING, busy=True)),
        ("active", "powering-off", Standing(State.RUNNING, State.CLOSED, busy=True)),
        ("stopped", "powering-on", Standing(State.CLOSED, State.RUNNING, busy=True)),
        ("active", "rebooting", Standing(State.RUNNING, None, busy=True)),
        ("paused", "migrating", Standing(State.PAUSED, None, busy=True)),
    ],
)
def test_a_guest_on_its_way_is_told_with_both_ends(
    vm_state: str, task_state: str | None, wanted: Standing
) -> None:
    assert nova_lifecycle.standing_of_server(vm_state, task_state) == wanted


@pytest.mark.parametrize(
    ("status", "task_state", "wanted"),
    [
        ("Created", None, Standing(State.CLOSED)),
        ("Created", "container_starting", Standing(State.CLOSED, State.RUNNING, busy=True)),
        ("Creating", "image_pulling", Standing(State.CLOSED, None, busy=True)),
        ("Running", "container_stopping", Standing(State.RUNNING, State.CLOSED, busy=True)),
        ("Running", "container_rebooting", Standing(State.RUNNING, None, busy=True)),
        ("Paused", "", Standing(State.PAUSED)),
    ],
)
def test_a_container_on_its_way_is_told_with_both_ends(
    status: str, task_state: str | None, wanted: Standing
) -> None:
    assert zun_lifecycle.standing_of_container(status, task_state) == wanted


def test_what_is_outside_the_figure_is_said_with_what_helps() -> None:
    error = nova_lifecycle.standing_of_server("error")
    assert (error.state, error.target) == (None, None)
    assert "reset its state" in error.text
    assert "force" in zun_lifecycle.standing_of_container("Dead").text


@pytest.mark.parametrize(
    ("words", "named"),
    [(("frozen", None), "vm_state 'frozen'"), (("active", "freezing"), "task_state 'freezing'")],
)
def test_an_unknown_word_of_nova_is_named_and_not_guessed(
    words: tuple[str, str | None], named: str
) -> None:
    with pytest.raises(UnknownStatus, match=f"^{named} of Nova is not known"):
        nova_lifecycle.standing_of_server(*words)


@pytest.mark.parametrize(
    ("words", "named"),
    [(("Frozen", None), "status 'Frozen'"), (("Running", "freezing"), "task_state 'freezing'")],
)
def test_an_unknown_word_of_zun_is_named_and_not_guessed(
    words: tuple[str, str | None], named: str
) -> None:
    with pytest.raises(UnknownStatus, match=f"^{named} of Zun is not known"):
        zun_lifecycle.standing_of_container(*words)
