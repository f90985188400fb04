# SPDX-License-Identifier: Apache-2.0
"""How the tasks of the queue are shown and given."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from cliff.columns import FormattableColumn

from hybrid_sched.cli.columns import Duration, Figures, Names, OptionalMoment, Table
from hybrid_sched.cli.errors import UserError
from hybrid_sched.core.queued import FINAL_STATES, QueuedTask, TaskState
from hybrid_sched.rpc.wire import resources_to_wire

COLUMNS = (
    *("Name", "UUID", "Framework", "State", "Priority", "Host"),
    *("Waits/Reason", "Duration"),
)
#: States of tasks that have not ended.
UNFINISHED = [state for state in TaskState if state not in FINAL_STATES]
_MOST_FAULTS_SHOWN = 20
_TIMES_SENT = 2


def add_create_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``task create``."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help="with tasks, in YAML or JSON: tasks.yaml"
    )
    parser.add_argument(
        "--wait", action="store_true", help="show what happens until all have ended"
    )
    parser.add_argument(
        "--submission",
        type=_uuid,
        default=None,
        metavar="UUID",
        help="identity of this submission: to send the same file again with the same one doubles nothing "
        "(default: a new one)",
    )


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``task list``."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--state",
        action="append",
        choices=[state.value for state in TaskState],
        dest="states",
        help="only those in this state; may be given several times",
    )
    which.add_argument(
        "--all",
        action="store_true",
        help="those that have ended too, as long as they are remembered",
    )


def states_of(parsed_args: argparse.Namespace) -> list[str] | None:
    """Give the states that :func:`add_list_arguments` asks for; None for any."""
    return None if parsed_args.all else parsed_args.states or list(map(str, UNFINISHED))


def tasks_table(tasks: Iterable[QueuedTask]) -> Table:
    """Show tasks."""
    return COLUMNS, map(cells, tasks)


def task_fields(task: QueuedTask, estimate: str) -> dict[str, Any]:
    """Show everything of one task.

    :param task: with everything.
    :param estimate: how long it runs, a sentence.
    """
    return {
        **dict(zip(COLUMNS, cells(task), strict=True)),
        "Demand": Figures(resources_to_wire(task.demand)),
        "Specification": Specification(dict(task.spec)),
        "Kind": task.kind,
        "After": Names(list(task.after)),
        "Position": task.position,
        "Submitted": OptionalMoment(task.submitted_at_s),
        "Deadline": OptionalMoment(task.deadline_s),
        "Stop after": Duration(task.stop_after_s),
        "Estimate": estimate,
        "Attempts": task.attempts,
        "Not before": OptionalMoment(task.not_before_s or None),
        "Server": task.server,
        "Started": OptionalMoment(task.started_at_s or None),
        "Ended": OptionalMoment(task.ended_at_s or None),
        "Cancelling": task.cancelling,
    }


def all_done(tasks: Iterable[QueuedTask]) -> bool:
    """Say whether all have run to their end."""
    return all(task.state is TaskState.DONE for task in tasks)


def named(
    found: Iterable[QueuedTask], wanted: str, *, unfinished: bool, program: str
) -> QueuedTask:
    """Choose the one task with a name: of those that have not ended, or else of all.

    :param found: those with the name.
    :param wanted: the name.
    :param unfinished: whether only those were looked for that have not ended.
    :param program: whose ``task list`` is the remedy.
    :raises UserError: when there is none, or there are several.
    """
    tasks = list(found)
    tasks = [task for task in tasks if task.state not in FINAL_STATES] or tasks
    if not tasks:
        kind = "task that has not ended" if unfinished else "task"
        raise UserError(f"There is no {kind} named {wanted!r}: {_remedy(program)}")
    if len(tasks) > 1:
        which = ", ".join(f"{task.uuid} ({task.state.value})" for task in tasks[:10])
        raise UserError(f"{len(tasks)} tasks are named {wanted!r}: give a UUID: {which}.")
    return tasks[0]


def unknown(wanted: str, program: str) -> UserError:
    """Say that there is no such task.

    :param program: whose ``task list`` is the remedy.
    """
    return UserError(f"There is no task {wanted}: {_remedy(program)}")


def submit(
    send: Callable[[], list[str]], file: Path, submission: uuid.UUID, unanswered: type[UserError]
) -> None:
    """Send tasks, again when there is no answer: those that have arrived already are not doubled.

    :param send: sends them; gives a sentence for each fault.
    :param file: in which they are.
    :param submission: its identity.
    :param unanswered: error of ``send`` when there is no answer.
    :raises UserError: when they were not taken, or it is not known whether they were.
    """
    for left in reversed(range(_TIMES_SENT)):
        try:
            faults = send()
        except unanswered as error:
            if not left:
                raise UserError(
                    f"{error} The tasks may be in the queue or not: repeat the command with --submission {submission}, which "
                    "doubles nothing."
                ) from None
        else:
            break
    if faults:
        raise unusable(f"{file} was not taken", faults)


def unusable(what: str, faults: Sequence[str]) -> UserError:
    """Say why nothing was put into the queue.

    :param what: cannot be used, as a sentence.
    :param faults: a sentence for each.
    """
    shown = "".join(f"\n  {fault}" for fault in faults[:_MOST_FAULTS_SHOWN])
    more = len(faults) - _MOST_FAULTS_SHOWN
    said = f"\n  and {more} more" if more > 0 else ""
    return UserError(f"{what}:{shown}{said}\nNothing was put into the queue.")


class Specification(FormattableColumn[dict[str, Any]]):
    """What a server or container is made of."""

    def human_readable(self) -> str:
        """Show it as it would be in a file."""
        return str(yaml.safe_dump(self._value, sort_keys=False, allow_unicode=True)).rstrip()


def cells(task: QueuedTask) -> tuple[Any, ...]:
    """Give the columns of one task."""
    return (
        task.name,
        task.uuid,
        task.framework,
        task.state.value,
        task.priority,
        task.host,
        task.text,
        Duration(task.duration_s),
    )


def _remedy(program: str) -> str:
    return f"give a name or UUID of `{program} task list --all`."


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID") from None
