# SPDX-License-Identifier: Apache-2.0
"""What comes next for a task, from what its service tells: rules without a clock, a database or a cloud."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hybrid_sched.core.queued import QueuedTask, TaskState
from hybrid_sched.interfaces.launcher import Launched, LaunchFault, Phase

#: Doublings of the pause that are counted; more would only make large numbers.
_MOST_DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Rules:
    """The options that decide; see the group ``[queue]``."""

    max_attempts: int
    retry_pause_s: float
    retry_pause_max_s: float
    settle_s: float
    launch_timeout_s: float

    def pause_s(self, failures: int) -> float:
        """Give the pause after so many failed launches in a row, in seconds."""
        doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
        return min(self.retry_pause_s * 2.0**doublings, self.retry_pause_max_s)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about a task: written first, deleted then.

    :param task: as it is to be; unchanged where nothing is.
    :param delete: uuids of servers or containers.
    :param failed: whether a launch failed, so that the next pause is longer.
    """

    task: QueuedTask
    delete: tuple[str, ...] = ()
    failed: bool = False


def supervise(
    task: QueuedTask, found: Sequence[Launched], now_s: float, rules: Rules, failures: int = 0
) -> Verdict:
    """Say what comes next for a task that is launching, running or ending.

    :param task: as it is in the database.
    :param found: everything that carries its key, and what it knows as its server even when that is gone.
    :param now_s: Unix time.
    :param rules: the options.
    :param failures: its failed launches in a row that are remembered.
    """
    if not task.server:
        if not found:
            return _without_server(task, now_s)
        # The oldest is kept, since it is the one that may have been seen to work.
        oldest = min(found, key=lambda each: (_is_over(each), each.created_at_s, each.uuid))
        task = replace(task, server=oldest.uuid)
    mine = next((each for each in found if each.uuid == task.server), None)
    if mine is None:
        return Verdict(task)
    judge = {
        TaskState.LAUNCHING: _launching,
        TaskState.RUNNING: _running,
        TaskState.ENDING: _ending,
    }[task.state]
    if mine.host and mine.phase in {Phase.BUILDING, Phase.RUNNING}:
        task = replace(task, host=mine.host)
    return judge(task, mine, now_s, rules, failures)


def launch_refused(
    task: QueuedTask, fault: LaunchFault, now_s: float, rules: Rules, failures: int
) -> QueuedTask:
    """Say what becomes of a launching task whose request was refused."""
    if fault.no_room:
        return _back(task, str(fault), now_s, rules, failures, counted=False)
    if fault.again:
        return _attempt_failed(task, str(fault), now_s, rules, failures)
    return _final(task, TaskState.FAILED, now_s, str(fault))


def not_launched(task: QueuedTask, text: str) -> QueuedTask:
    """Give a launching task of which nothing was made back to the queue, as if it had not been tried."""
    return replace(
        task,
        state=TaskState.WAITING,
        attempts=max(0, task.attempts - 1),
        not_before_s=0.0,
        host="",
        server="",
        text=text,
    )


def _without_server(task: QueuedTask, now_s: float) -> Verdict:
    if now_s < task.not_before_s:
        return Verdict(task)
    if task.cancelling:
        return Verdict(_final(task, TaskState.CANCELLED, now_s, "Cancelled by its owner."))
    text = "Its launch got no answer and left nothing behind; it waits for its turn again."
    return Verdict(not_launched(task, text))


def _launching(
    task: QueuedTask, mine: Launched, now_s: float, rules: Rules, failures: int
) -> Verdict:
    if task.cancelling:
        return _cancel(task, mine, now_s)
    if mine.phase in {Phase.RUNNING, Phase.ENDED}:
        started_at_s = now_s if mine.phase is Phase.RUNNING else mine.created_at_s or now_s
        running = replace(
            task,
            state=TaskState.RUNNING,
            started_at_s=started_at_s,
            host=mine.host or task.host,
            text=f"Runs on host {mine.host or task.host}.",
        )
        if mine.phase is Phase.ENDED:
            return _running(running, mine, now_s, rules, failures)
        return Verdict(running)
    if mine.phase is Phase.BUILDING and (
        not mine.created_at_s or now_s - mine.created_at_s < rules.launch_timeout_s
    ):
        return Verdict(task)
    remains = () if mine.phase is Phase.GONE else (mine.uuid,)
    if mine.no_room:
        back = _back(task, mine.text, now_s, rules, failures, counted=False)
    else:
        text = {
            Phase.BUILDING: f"It was not built within {rules.launch_timeout_s:g} s.",
            Phase.GONE: "It was deleted before it ran.",
        }.get(mine.phase, mine.text)
        back = _attempt_failed(task, text, now_s, rules, failures)
    return Verdict(back, remains, failed=True)


def _running(
    task: QueuedTask, mine: Launched, now_s: float, _rules: Rules, _failures: int
) -> Verdict:
    if task.cancelling:
        return _cancel(task, mine, now_s)
    if mine.phase in {Phase.BUILDING, Phase.RUNNING}:
        if task.stop_after_s is None or now_s - task.started_at_s < task.stop_after_s:
            return Verdict(task)
        text = f"It has run for {task.stop_after_s:g} s, as declared, and is being deleted."
        return Verdict(_end(task, text), (mine.uuid,))
    kept = bool(task.spec.get("keep"))
    if mine.phase is Phase.ENDED and not mine.exit_code:
        if kept:
            return Verdict(_final(task, TaskState.DONE, now_s, "It has ended and is kept."))
        return Verdict(_end(task, "It has ended and is being deleted."), (mine.uuid,))
    text = {
        Phase.GONE: "It was deleted while it ran, and not by the queue.",
        Phase.ENDED: f"It ended with exit code {mine.exit_code}.",
    }.get(mine.phase, mine.text)
    remains = () if kept or mine.phase is Phase.GONE else (mine.uuid,)
    return Verdict(_final(task, TaskState.FAILED, now_s, text), remains)


def _ending(
    task: QueuedTask, mine: Launched, now_s: float, _rules: Rules, _failures: int
) -> Verdict:
    if mine.phase is not Phase.GONE:
        return Verdict(task, (mine.uuid,))
    if task.cancelling:
        return Verdict(_final(task, TaskState.CANCELLED, now_s, "Cancelled by its owner."))
    return Verdict(_final(task, TaskState.DONE, now_s, "It has ended."))


def _cancel(task: QueuedTask, mine: Launched, now_s: float) -> Verdict:
    if mine.phase is Phase.GONE:
        return Verdict(_final(task, TaskState.CANCELLED, now_s, "Cancelled by its owner."))
    text = "Cancelled by its owner; it is being deleted."
    return Verdict(_end(task, text), (mine.uuid,))


def _attempt_failed(
    task: QueuedTask, text: str, now_s: float, rules: Rules, failures: int
) -> QueuedTask:
    if task.attempts >= rules.max_attempts:
        text = f"None of {task.attempts} launches succeeded; the last: {text}"
        return _final(task, TaskState.FAILED, now_s, text)
    return _back(task, text, now_s, rules, failures, counted=True)


def _back(
    task: QueuedTask, text: str, now_s: float, rules: Rules, failures: int, *, counted: bool
) -> QueuedTask:
    pause_s = rules.pause_s(failures + 1)
    again = not_launched(task, f"{text} It is launched again after {pause_s:g} s at the earliest.")
    return replace(
        again,
        attempts=task.attempts if counted else again.attempts,
        not_before_s=now_s + pause_s,
    )


def _end(task: QueuedTask, text: str) -> QueuedTask:
    return replace(task, state=TaskState.ENDING, text=text)


def _final(task: QueuedTask, state: TaskState, now_s: float, text: str) -> QueuedTask:
    return replace(task, state=state, ended_at_s=now_s, text=text)


def _is_over(launched: Launched) -> bool:
    return launched.phase in {Phase.FAILED, Phase.GONE}
