# SPDX-License-Identifier: Apache-2.0
"""Processes of the lab, each known by its number and the time it started, so that a number used again is left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.layout import Lab


class StepFailed(Exception):
    """A step of the lab failed; the message is a sentence that names the log to read."""


@dataclass(frozen=True)
class Process:
    """A process that the lab started.

    :param name: of the service.
    :param pid: its number; it leads a session and a process group of its own.
    :param started_ticks: when it started, in clock ticks after boot, as the kernel tells.
    """

    name: str
    pid: int
    started_ticks: int

    @property
    def alive(self) -> bool:
        """Say whether it still runs."""
        return started_ticks(self.pid) == self.started_ticks


def started_ticks(pid: int) -> int | None:
    """Tell when a process started; None when there is none, or only its remains."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name of the program, in brackets, may hold blanks and brackets.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def wait_until(condition: Callable[[], bool], timeout_s: float, pause_s: float = 0.1) -> bool:
    """Ask again and again until a condition holds; says whether it did in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True


class ProcessTable:
    """The processes of one lab, recorded on disk before anything waits for them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def all(self) -> list[Process]:
        """List what was started and not stopped, running or not."""
        records = sorted(self._lab.folder("run").glob("*.process"))
        return [Process(**json.loads(record.read_text())) for record in records]

    def get(self, name: str) -> Process | None:
        """Give a service's process if it runs."""
        record = self._record(name)
        if not record.exists():
            return None
        process = Process(**json.loads(record.read_text()))
        return process if process.alive else None

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: Callable[[], bool],
        timeout_s: float = 60,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start a service unless it runs, and wait until it is ready.

        :raises StepFailed: when it ends or is not ready in time.
        """
        process = self.get(name)
        log = self._lab.log(name)
        if process is None:
            base = {"PATH": self._lab.client_environment()["PATH"], "LANG": "C.UTF-8"}
            with log.open("ab") as output:
                popen = subprocess.Popen(
                    command,
                    env={**base, "HOME": "/root", **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    cwd="/",
                )
            process = Process(name, popen.pid, started_ticks(popen.pid) or 0)
            self._record(name).write_text(json.dumps(asdict(process)))
        wait_until(lambda: not process.alive or ready(), timeout_s)
        if not process.alive:
            reap(process.pid)
            raise StepFailed(f"{name} ended while it was starting; read {log}.")
        if not ready():
            raise StepFailed(f"{name} was not ready within {timeout_s:.0f} s; read {log}.")

    def stop(self, processes: Iterable[Process], timeout_s: float) -> None:
        """Ask processes to end, and end the groups of those that have not after a while."""
        running = [process for process in processes if process.alive]
        for process in running:
            _signal(process, signal.SIGTERM)
        wait_until(lambda: not any(_reaped(process) for process in running), timeout_s)
        for process in running:
            if process.alive:
                _signal(process, signal.SIGKILL)
        wait_until(lambda: not any(_reaped(process) for process in running), 10)
        for process in running:
            if not process.alive:
                self._record(process.name).unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Drop the record of a service that does not run."""
        self._record(name).unlink(missing_ok=True)

    def _record(self, name: str) -> Path:
        return self._lab.folder("run") / f"{name}.process"


def reap(pid: int) -> None:
    """Take the remains of a child away, if it is one of ours and has ended."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _reaped(process: Process) -> bool:
    """Take the remains away and say whether the process still runs."""
    reap(process.pid)
    return process.alive


def _signal(process: Process, number: signal.Signals) -> None:
    try:
        if number is signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
    except ProcessLookupError:
        return
