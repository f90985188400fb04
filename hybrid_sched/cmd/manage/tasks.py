# SPDX-License-Identifier: Apache-2.0
"""``task``: the queue of declared tasks."""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from cliff.columns import FormattableColumn
from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.columns import Duration, Figures, Names, OptionalMoment
from hybrid_sched.cmd.manage.task_calls import TaskCalls
from hybrid_sched.cmd.manage.task_progress import wait_for
from hybrid_sched.core.queued import FINAL_STATES, QueuedTask, TaskState
from hybrid_sched.queue.document import DocumentError, queued_tasks, read_file
from hybrid_sched.rpc.tasks import LARGEST_MESSAGE, queued_task_to_wire
from hybrid_sched.rpc.wire import resources_to_wire

COLUMNS = (
    *("Name", "UUID", "Framework", "State", "Priority", "Host"),
    *("Waits/Reason", "Duration"),
)
_UNFINISHED = [state for state in TaskState if state not in FINAL_STATES]
_TIMES_SENT = 2
_MOST_FAULTS_SHOWN = 20


class CreateTasks(Lister):
    """Put the tasks of a file into the queue, all or none.

    With --wait the exit code is 1 when one has failed or was cancelled.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
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
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Read the file, then tell the quota service."""
        submission = parsed_args.submission or uuid.uuid4()
        try:
            tasks = queued_tasks(read_file(parsed_args.file), submission, time.time())
        except DocumentError as error:
            raise _unusable(f"{parsed_args.file} cannot be used", error.faults) from None
        calls = TaskCalls(self.app)
        _submit(calls, tasks, parsed_args.file, submission)
        uuids = [task.uuid for task in tasks]
        found = wait_for(calls, uuids, self.app.stderr) if parsed_args.wait else calls.of(uuids)
        self._all_done = all(task.state is TaskState.DONE for task in found)
        return COLUMNS, map(cells, found)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Give 1 when a task that was waited for is not done."""
        code = int(super().run(parsed_args))
        return code or int(parsed_args.wait and not self._all_done)


class ListTasks(Lister):
    """List the tasks of the queue in order of arrival, by default those that have not ended."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
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
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Ask the quota service."""
        states = None if parsed_args.all else parsed_args.states or _UNFINISHED
        return COLUMNS, map(cells, TaskCalls(self.app).all(states))


class ShowTask(ShowOne):
    """Show everything of one task."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("task", metavar="UUID|NAME", help="of the task")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Ask the quota service."""
        calls = TaskCalls(self.app)
        task = calls.find(parsed_args.task)
        fields = {
            **dict(zip(COLUMNS, cells(task), strict=True)),
            "Demand": Figures(resources_to_wire(task.demand)),
            "Specification": Specification(dict(task.spec)),
            "Kind": task.kind,
            "After": Names(list(task.after)),
            "Position": task.position,
            "Submitted": OptionalMoment(task.submitted_at_s),
            "Deadline": OptionalMoment(task.deadline_s),
            "Stop after": Duration(task.stop_after_s),
            "Estimate": calls.estimate(task.uuid),
            "Attempts": task.attempts,
            "Not before": OptionalMoment(task.not_before_s or None),
            "Server": task.server,
            "Started": OptionalMoment(task.started_at_s or None),
            "Ended": OptionalMoment(task.ended_at_s or None),
            "Cancelling": task.cancelling,
        }
        return tuple(fields), tuple(fields.values())


class CancelTasks(Lister):
    """Let tasks end: one that waits is cancelled at once, of another the server or container is deleted first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("tasks", nargs="+", metavar="UUID|NAME", help="of the tasks")
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """Find all of them, then tell the quota service; none is cancelled when one is not found."""
        calls = TaskCalls(self.app)
        found = [calls.find(each, _UNFINISHED) for each in parsed_args.tasks]
        uuids = dict.fromkeys(task.uuid for task in found)
        return COLUMNS, map(cells, [calls.cancel(each) for each in uuids])


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


def _submit(
    calls: TaskCalls, tasks: Sequence[QueuedTask], file: Path, submission: uuid.UUID
) -> None:
    """Send the tasks, again when there is no answer: those that have arrived already are not doubled."""
    message = [queued_task_to_wire(task) for task in tasks]
    size = len(json.dumps(message))
    if size > LARGEST_MESSAGE:
        raise ManageError(
            f"{file} makes a message of {size} bytes, at most {LARGEST_MESSAGE} are sent: split it. Nothing was put into the "
            "queue."
        )
    for left in reversed(range(_TIMES_SENT)):
        try:
            faults = calls.submit(message)
        except ManageError as error:
            if not left:
                raise ManageError(
                    f"{error} The tasks may be in the queue or not: repeat the command with --submission {submission}, which "
                    "doubles nothing."
                ) from None
        else:
            break
    if faults:
        raise _unusable(f"{file} was not taken", faults)


def _unusable(what: str, faults: Sequence[str]) -> ManageError:
    shown = "".join(f"\n  {fault}" for fault in faults[:_MOST_FAULTS_SHOWN])
    more = len(faults) - _MOST_FAULTS_SHOWN
    said = f"\n  and {more} more" if more > 0 else ""
    return ManageError(f"{what}:{shown}{said}\nNothing was put into the queue.")


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID") from None
