# SPDX-License-Identifier: Apache-2.0
"""``task``: the queue of declared tasks."""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliff.lister import Lister
from cliff.show import ShowOne

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.task_progress import wait_for
from hybrid_sched.cli.tasks import (
    UNFINISHED,
    add_create_arguments,
    add_list_arguments,
    all_done,
    states_of,
    submit,
    task_fields,
    tasks_table,
    unusable,
)
from hybrid_sched.cmd.manage.app import ManageError
from hybrid_sched.cmd.manage.task_calls import PROGRAM, TaskCalls
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.queue.document import DocumentError, queued_tasks, read_file
from hybrid_sched.rpc.tasks import LARGEST_MESSAGE, queued_task_to_wire


class CreateTasks(Lister):
    """Put the tasks of a file into the queue, all or none.

    With --wait the exit code is 1 when one has failed or was cancelled.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_create_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Read the file, then tell the quota service."""
        submission = parsed_args.submission or uuid.uuid4()
        try:
            tasks = queued_tasks(read_file(parsed_args.file), submission, time.time())
        except DocumentError as error:
            raise unusable(f"{parsed_args.file} cannot be used", error.faults) from None
        calls = TaskCalls(self.app)
        _submit(calls, tasks, parsed_args.file, submission)
        uuids = [task.uuid for task in tasks]
        found = (
            wait_for(calls, uuids, self.app.stderr, PROGRAM)
            if parsed_args.wait
            else calls.of(uuids)
        )
        self._all_done = all_done(found)
        return tasks_table(found)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Give 1 when a task that was waited for is not done."""
        code = int(super().run(parsed_args))
        return code or int(parsed_args.wait and not self._all_done)


class ListTasks(Lister):
    """List the tasks of the queue in order of arrival, by default those that have not ended."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        add_list_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the quota service."""
        return tasks_table(TaskCalls(self.app).all(states_of(parsed_args)))


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
        fields = task_fields(task, calls.estimate(task.uuid))
        return tuple(fields), tuple(fields.values())


class CancelTasks(Lister):
    """Let tasks end: one that waits is cancelled at once, of another the server or container is deleted first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("tasks", nargs="+", metavar="UUID|NAME", help="of the tasks")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Find all of them, then tell the quota service; none is cancelled when one is not found."""
        calls = TaskCalls(self.app)
        found = [calls.find(each, UNFINISHED) for each in parsed_args.tasks]
        uuids = dict.fromkeys(task.uuid for task in found)
        return tasks_table([calls.cancel(each) for each in uuids])


def _submit(
    calls: TaskCalls, tasks: Sequence[QueuedTask], file: Path, submission: uuid.UUID
) -> None:
    """Send the tasks, if they fit into one message."""
    message = [queued_task_to_wire(task) for task in tasks]
    size = len(json.dumps(message))
    if size > LARGEST_MESSAGE:
        raise ManageError(
            f"{file} makes a message of {size} bytes, at most {LARGEST_MESSAGE} are sent: split it. Nothing was put into the "
            "queue."
        )
    submit(lambda: calls.submit(message), file, submission, ManageError)
