# SPDX-License-Identifier: Apache-2.0
"""The contract of an executor of moves: entry points of ``hybrid_sched.migration.executor``.

A move is carried out step by step. After each step the watchdog writes its :class:`Step` to the database and only then asks
for the next one, so that an engine that is killed anywhere is followed by another that goes on from the last one written. What
such an engine cannot know is whether the step after that one was begun, so every step must be one that can be asked for again:

* It first looks at the world for what an earlier attempt at it has done, and goes on from there.
* What has to be known to look for it, or to undo it, is in the ``details`` of a step *before* it.
* What it makes carries the uuid of the move, so that it is found again, and nothing is made twice.

A task that has another uuid on its target is told of in the details
(:data:`~hybrid_sched.core.rebalancing.record.TARGET_UUID`), so that it counts once while both are there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oslo_config import cfg

from hybrid_sched.core.rebalancing.moves import MoveState
from hybrid_sched.core.rebalancing.record import MoveRecord


@dataclass(frozen=True, slots=True)
class Step:
    """What one step came to. All of it is on disk before the next one is asked for.

    :param state: ``running`` when more is to be done; ``done`` when the task runs on the target and nothing of the move is
        left behind; ``failed`` or ``cancelled`` when it is on its source as it was before, or gone because its owner deleted
        it. Never ``planned``.
    :param name: of the step, at most 64 characters, for people and for the executor itself.
    :param details: JSON, the whole of it: takes the place of the move's ``details``.
    :param text: how the move stands, or why it ended so, as a sentence.
    :param again_s: seconds after which the next step is asked for; above 0 for what has to be waited for.
    """

    state: MoveState
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    again_s: float = 0.0


class MoveUnavailable(Exception):
    """A service does not answer; what became of the step is unknown. The message is a sentence.

    The move stays as it is, and the same step is asked for again later.
    """


class MigrationExecutor(ABC):
    """Moves tasks from host to host.

    It is made once for each term of an engine that leads, and keeps nothing that a restart would lose. Its methods may be
    called by several threads at once, for one move by one at a time. Each returns within about a minute: what takes longer is
    waited for by steps with ``again_s``, never within one.

    The target is decided: it is asked for with all the filters of the scheduler, and never forced. A failure within a step
    that can be undone is undone by the executor itself, by further steps as ``running``, before it says ``failed``; the
    watchdog forgets the move then, and looks at the task again in the next period. What is neither a :class:`Step` nor
    :class:`MoveUnavailable` is logged, and the step is asked for again.

    :param conf: options of the program; those of a plug-in are registered by itself.
    """

    #: The frameworks whose tasks it moves.
    frameworks: frozenset[str]
    #: What it does to a move, in order, each as a phrase for people who look at a plan.
    steps: Sequence[str]
    #: Whether tasks really move; without that no effect is measured.
    is_real = True

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def apart(self) -> Sequence[frozenset[str]]:
        """Give the groups of tasks of which no two may share a host, by uuid; asked for once a period.

        Where only the service's own scheduler knows such groups, a move that would break one is refused there.

        :raises MoveUnavailable: when a service does not answer; what was told before goes on to count.
        """
        return ()

    def closed(self) -> Mapping[str, str]:
        """Give the hosts on which the service puts no task now, each with why as a phrase; asked for once a period.

        :raises MoveUnavailable: when a service does not answer; what was told before goes on to count.
        """
        return {}

    @abstractmethod
    def advance(self, move: MoveRecord) -> Step:
        """Do the next step.

        :param move: as the last step left it; the first one has an empty ``step`` and no ``details``.
        :raises MoveUnavailable: when a service does not answer.
        """

    @abstractmethod
    def cancel(self, move: MoveRecord) -> Step:
        """Do the next step of undoing a move; called in the place of :meth:`advance`, until the state is a final one.

        Asked for by an operator, or because the move took too long. It is called for a move of which a step was done or
        begun. Where it is too late to undo, the move goes on to its end, and ``done`` is said.

        :raises MoveUnavailable: when a service does not answer.
        """
