# SPDX-License-Identifier: Apache-2.0
"""``openstack hybrid task``: the queue of declared tasks."""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Sequence
from typing import Any

from osc_lib.command import command

from hybrid_sched.cli.columns import Table
from hybrid_sched.cli.task_progress import wait_for
from hybrid_sched.cli.tasks import (
    UNFINISHED,
    add_create_arguments,
    add_list_arguments,
    all_done,
    named,
    states_of,
    submit,
    task_fields,
    tasks_table,
    unknown,
    unusable,
)
from hybrid_sched.core.queued import QueuedTask
from hybrid_sched.osc.client import ApiClient, NoAnswer, NotFound
from hybrid_sched.osc.commands import PROGRAM, Fields, api, one
from hybrid_sched.queue.document import DocumentError, as_document, queued_tasks, read_file
from hybrid_sched.rpc.tasks import queued_task_from_wire
from hybrid_sched.rpc.wire import is_uuid

# What one question may name.
_UUIDS_A_CALL = 100


class CreateTasks(command.Lister):
    """Put the tasks of a file into the queue, all or none.

    With --wait the exit code is 1 when one has failed or was cancelled.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        add_create_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Read the file, then tell the API."""
        submission = parsed_args.submission or uuid.uuid4()
        try:
            entries = read_file(parsed_args.file)
            # What is wrong is told before anything is sent.
            queued_tasks(entries, submission, time.time())
        except DocumentError as error:
            raise unusable(f"{parsed_args.file} cannot be used", error.faults) from None
        body = {**as_document(entries), "submission": str(submission)}
        made: list[QueuedTask] = []

        def send() -> list[str]:
            answer = api(self).post("tasks", body=body)
            made.extend(map(queued_task_from_wire, answer["tasks"]))
            return []

        submit(send, parsed_args.file, submission, NoAnswer)
        if parsed_args.wait:
            uuids = [task.uuid for task in made]
            made = wait_for(Tasks(api(self)), uuids, self.app.stderr, PROGRAM)
        self._all_done = all_done(made)
        return tasks_table(made)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Give 1 when a task that was waited for is not done."""
        code = int(super().run(parsed_args))
        return code or int(parsed_args.wait and not self._all_done)


class ListTasks(command.Lister):
    """List the tasks of your project in order of arrival, by default those that have not ended."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our options."""
        parser = super().get_parser(prog_name)
        add_list_arguments(parser)
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument(
            "--all-projects", action="store_true", help="those of every project (administrators)"
        )
        whose.add_argument(
            "--project", metavar="ID", help="those of the project with this ID (administrators)"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Ask the API."""
        found = api(self).rows(
            "tasks",
            state=states_of(parsed_args),
            all_projects=parsed_args.all_projects or None,
            project_id=parsed_args.project,
        )
        return tasks_table(map(queued_task_from_wire, found))


class ShowTask(command.ShowOne):
    """Show everything of one task."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("task", metavar="UUID|NAME", help="of the task")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Fields:
        """Ask the API."""
        tasks = Tasks(api(self))
        row = tasks.row(tasks.find(parsed_args.task))
        return one(task_fields(queued_task_from_wire(row), row["estimate"]))


class CancelTasks(command.Lister):
    """Let tasks end: one that waits is cancelled at once, of another the server or container is deleted first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add our arguments."""
        parser = super().get_parser(prog_name)
        parser.add_argument("tasks", nargs="+", metavar="UUID|NAME", help="of the tasks")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> Table:
        """Find all of them, then tell the API; none is cancelled when one is not found."""
        tasks = Tasks(api(self))
        uuids = dict.fromkeys(tasks.find(each, unfinished=True) for each in parsed_args.tasks)
        return tasks_table([tasks.cancel(each) for each in uuids])


class Tasks:
    """The tasks of the API.

    :param client: of it.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def of(self, uuids: Sequence[str]) -> list[QueuedTask]:
        """Give the tasks with some UUIDs by position; those that are unknown are left out."""
        found: list[QueuedTask] = []
        for start in range(0, len(uuids), _UUIDS_A_CALL):
            part = list(uuids[start : start + _UUIDS_A_CALL])
            found += map(queued_task_from_wire, self._client.rows("tasks", uuid=part))
        return sorted(found, key=lambda task: task.position)

    def find(self, wanted: str, *, unfinished: bool = False) -> str:
        """Give the UUID of one task.

        :param wanted: its UUID, or a name that only one has: of those that have not ended, or else of all.
        :param unfinished: whether one with the name must not have ended.
        :raises UserError: when there is none, or there are several.
        """
        if is_uuid(wanted.lower()):
            return str(self.row(wanted.lower())["uuid"])
        states = [state.value for state in UNFINISHED] if unfinished else None
        found = map(queued_task_from_wire, self._client.rows("tasks", name=wanted, state=states))
        return named(found, wanted, unfinished=unfinished, program=PROGRAM).uuid

    def row(self, uuid: str) -> dict[str, Any]:
        """Give everything of one task.

        :raises UserError: when there is none.
        """
        try:
            row: dict[str, Any] = self._client.get("tasks", uuid)["task"]
        except NotFound:
            raise unknown(uuid, PROGRAM) from None
        return row

    def cancel(self, uuid: str) -> QueuedTask:
        """Let a task end, and give it as it is then."""
        return queued_task_from_wire(self._client.delete("tasks", uuid)["task"])
