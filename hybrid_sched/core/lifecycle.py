# SPDX-License-Identifier: Apache-2.0
"""The states of guests and containers, and the moves between them (paper 5.1, figure 4)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a guest or container is in its life."""

    RUNNING = "running"
    #: It is in memory and gets no CPU.
    PAUSED = "paused"
    #: Its memory is on disk, and it goes on from there.
    SUSPENDED = "suspended"
    #: It is shut off, or was never started; its disk is kept.
    CLOSED = "closed"


class Action(StrEnum):
    """A move of figure 4."""

    START = "start"
    #: start(paused=true)
    START_PAUSED = "start_paused"
    PAUSE = "pause"
    #: From paused, and resume(paused=false) from suspended.
    RESUME = "resume"
    SUSPEND = "suspend"
    #: resume(paused=true)
    RESUME_PAUSED = "resume_paused"
    CLOSE = "close"


class IllegalMove(ValueError):
    """A move that the life cycle does not have; the message names those that it has."""


class UnknownStatus(ValueError):
    """Nova or Zun tells a status that we do not know; the message names it."""


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """The moves that one kind of task has.

    :param kind: ``guest`` or ``container``, for people.
    :param moves: where each action leads, by the state that it starts from.
    """

    kind: str
    moves: Mapping[State, Mapping[Action, State]]

    def allowed(self, state: State) -> tuple[Action, ...]:
        """List the actions that a state allows.

        :param state: one of figure 4; one that this kind does not have allows nothing.
        """
        return tuple(self.moves.get(state, ()))

    def move(self, state: State, action: Action) -> State:
        """Say where an action leads.

        :param state: where the task is.
        :param action: what is to be done with it.
        :raises IllegalMove: when the state does not allow it.
        """
        leads_to = self.moves.get(state, {}).get(action)
        if leads_to is None:
            allowed = ", ".join(self.allowed(state)) or "nothing"
            raise IllegalMove(
                f"a {self.kind} that is {state} does not allow {action}: it allows {allowed}"
            )
        return leads_to


#: A guest: four states, which lead to each other.
GUEST = LifeCycle(
    "guest",
    {
        State.CLOSED: {Action.START: State.RUNNING, Action.START_PAUSED: State.PAUSED},
        State.RUNNING: {
            Action.PAUSE: State.PAUSED,
            Action.SUSPEND: State.SUSPENDED,
            Action.CLOSE: State.CLOSED,
        },
        State.PAUSED: {
            Action.RESUME: State.RUNNING,
            Action.SUSPEND: State.SUSPENDED,
            Action.CLOSE: State.CLOSED,
        },
        State.SUSPENDED: {
            Action.RESUME: State.RUNNING,
            Action.RESUME_PAUSED: State.PAUSED,
            Action.CLOSE: State.CLOSED,
        },
    },
)
#: A container is started or stopped (paper 5.1); Docker can pause one too, and nothing saves its memory.
CONTAINER = LifeCycle(
    "container",
    {
        State.CLOSED: {Action.START: State.RUNNING},
        State.RUNNING: {Action.PAUSE: State.PAUSED, Action.CLOSE: State.CLOSED},
        State.PAUSED: {Action.RESUME: State.RUNNING, Action.CLOSE: State.CLOSED},
    },
)


def move(state: State, action: Action, cycle: LifeCycle = GUEST) -> State:
    """Say where an action leads; see :meth:`LifeCycle.move`."""
    return cycle.move(state, action)


@dataclass(frozen=True, slots=True)
class Standing:
    """What Nova or Zun says of a task, in the terms of figure 4.

    :param state: where it is, or where it was before what is done with it now; None outside figure 4.
    :param target: where it is on its way to; None when it rests, or when what is done with it leads to no other state.
    :param busy: whether something is done with it now, so that most actions are refused until that is over.
    :param text: outside figure 4, a sentence on what it is and what helps; empty otherwise.
    """

    state: State | None
    target: State | None = None
    busy: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of Nova's or Zun's API.

    :param call: the name of its action.
    :param leads_to: the state that is to be waited for before the next step.
    """

    call: str
    leads_to: State


#: The state that each action of an API starts from, and the one that it leads to, by the action's name.
Calls = Mapping[str, tuple[State, State]]


def steps(calls: Calls, state: State, goal: State) -> tuple[Step, ...]:
    """Find the fewest calls of an API that lead from one state to another.

    :param calls: what the API offers; earlier ones are preferred.
    :param state: where the task is.
    :param goal: where it is to be.
    :returns: the calls in their order; none when it is there already.
    :raises IllegalMove: when no calls lead there.
    """
    found: dict[State, tuple[Step, ...]] = {state: ()}
    waiting = deque([state])
    while waiting and goal not in found:
        here = waiting.popleft()
        for call, (starts_from, leads_to) in calls.items():
            if starts_from is here and leads_to not in found:
                found[leads_to] = (*found[here], Step(call, leads_to))
                waiting.append(leads_to)
    if goal not in found:
        raise IllegalMove(f"no calls lead from {state} to {goal}: there are {', '.join(calls)}")
    return found[goal]
