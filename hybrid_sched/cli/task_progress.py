# SPDX-License-Identifier: Apache-2.0
"""What happens to tasks until all have ended: a bar on a terminal, else a line for each change."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hybrid_sched.cli.errors import UserError
from hybrid_sched.core.queued import QueuedTask, TaskState

_PERIOD_S = 2.0
# While the broker is down each question leaves a thread that hangs until it is back.
_LONGEST_PERIOD_S = 60.0


class Looks(Protocol):
    """What can look at tasks."""

    def of(self, uuids: Sequence[str]) -> list[QueuedTask]:
        """Give the tasks with some UUIDs by position; those that are unknown are left out.

        :raises UserError: when there is no answer.
        """


def wait_for(
    calls: Looks,
    uuids: Sequence[str],
    out: TextIO,
    program: str,
    pause: Callable[[float], None] = time.sleep,
) -> list[QueuedTask]:
    """Wait until all of some tasks have ended; an engine that is away for a while is waited for, too.

    :param calls: look at the tasks.
    :param uuids: of the tasks.
    :param out: where it is shown.
    :param program: whose ``task list`` shows what goes on.
    :param pause: waits for so many seconds.
    :returns: the tasks by position, as they were when they were last seen.
    :raises UserError: when the wait is broken off; the tasks go on.
    """
    seen: dict[str, QueuedTask] = {}
    left = list(uuids)
    period_s = _PERIOD_S
    with _Shown(out, len(uuids)) as shown:
        try:
            while True:
                try:
                    found = calls.of(left)
                except UserError as error:
                    shown.say(f"{error} Still waiting.")
                    period_s = min(2 * period_s, _LONGEST_PERIOD_S)
                else:
                    period_s = _PERIOD_S
                    shown.changes(seen, found)
                    seen.update({task.uuid: task for task in found})
                    # One that ended and was forgotten meanwhile is not waited for.
                    left = [task.uuid for task in found if not task.state.is_final]
                    if not left:
                        break
                pause(period_s)
        except KeyboardInterrupt:
            raise UserError(
                f"The wait was broken off; the tasks go on: see `{program} task list`."
            ) from None
    return sorted(seen.values(), key=lambda task: task.position)


class _Shown:
    """Progress on a terminal, or lines.

    :param out: where it is shown.
    :param total: tasks.
    """

    def __init__(self, out: TextIO, total: int) -> None:
        self._out = out
        self._total = total
        self._last = ""
        self._bar: Progress | None = None
        if out.isatty():
            self._bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=Console(file=out),
            )
            self._job = self._bar.add_task("", total=total)

    def __enter__(self) -> _Shown:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def changes(self, before: dict[str, QueuedTask], found: Iterable[QueuedTask]) -> None:
        """Show what has changed since the last look."""
        now = {**before, **{task.uuid: task for task in found}}
        self._last = ""
        if self._bar is not None:
            counts = Counter(task.state for task in now.values())
            said = ", ".join(f"{counts[state]} {state}" for state in TaskState if counts[state])
            ended = sum(task.state.is_final for task in now.values())
            self._bar.update(self._job, completed=ended, description=said)
            return
        for uuid, task in now.items():
            if uuid not in before or before[uuid].state is not task.state:
                where = f" on {task.host}" if task.host else ""
                said = f": {task.text}" if task.text else ""
                self._out.write(f"{task.name} {uuid} {task.state}{where}{said}\n")
        self._out.flush()

    def say(self, what: str) -> None:
        """Show a sentence, once until something else is shown."""
        if what == self._last:
            return
        self._last = what
        if self._bar is not None:
            self._bar.console.print(what, markup=False)
        else:
            self._out.write(f"{what}\n")
            self._out.flush()
