# SPDX-License-Identifier: Apache-2.0
"""Users of the website, by wrk.

Each user waits for the answer to one request before it thinks about the next, so that load sinks when the site is slow. With
many users who think much longer than they wait it hardly does, and hardly a slow answer is left out: those who think go on to
ask while others wait (Schroeder et al., Open versus closed, NSDI 2006).
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USERS = 20
_SCRIPT = Path(__file__).with_name("users.lua")
#: Longer than they are ever needed; they are stopped before.
_MOST_S = 600
_TIMEOUT_S = 10


@dataclass(frozen=True)
class Answers:
    """How the site answered; times from sending a request to the end of the answer.

    :param requests: that were answered.
    :param failed: that were not, or with an error.
    """

    requests: int
    failed: int
    seconds: float
    mean_ms: float
    p50_ms: float
    p99_ms: float
    worst_ms: float


class Crowd:
    """The users while they ask.

    :param process: wrk.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def stop(self) -> Answers:
        """Let them ask no more.

        :raises RuntimeError: when wrk failed, or nobody was answered.
        """
        self._process.send_signal(signal.SIGINT)
        said, complaint = self._process.communicate(timeout=_TIMEOUT_S + 5)
        if self._process.returncode != 0:
            raise RuntimeError(f"wrk failed: {complaint.strip() or said.strip()}")
        return read(said)


@contextmanager
def asking(url: str, users: int = USERS) -> Iterator[Crowd]:
    """Have users ask for a page until they are stopped.

    :raises RuntimeError: when there is no wrk.
    """
    command = [
        *("wrk", "--threads", "1", "--connections", str(users), "--duration", f"{_MOST_S}s"),
        *("--timeout", f"{_TIMEOUT_S}s", "--script", str(_SCRIPT), url),
    ]
    try:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    except FileNotFoundError:
        raise RuntimeError("wrk is missing: run 'make packages' as root") from None
    try:
        yield Crowd(process)
    finally:
        process.kill()
        process.wait()


def read(said: str) -> Answers:
    """Read what wrk said with our script.

    A server that ends its answer by closing the connection, as busybox's does for a page that a program makes, has wrk count
    the close of each answered request as an error of reading.

    :raises RuntimeError: when there are no figures in it, or nobody was answered.
    """
    figures = next(
        (json.loads(line[8:]) for line in said.splitlines() if line.startswith("FIGURES ")), None
    )
    if figures is None:
        raise RuntimeError(f"wrk told no figures: {said.strip()}")
    requests = figures["requests"]
    if not requests:
        raise RuntimeError("the website answered nobody")
    errors = sum(figures[name] for name in ("connect", "write", "timeout", "status"))
    return Answers(
        requests=requests,
        failed=errors + max(0, figures["read"] - requests),
        seconds=figures["seconds"],
        **{f"{name}_ms": figures[f"{name}_us"] / 1e3 for name in ("mean", "p50", "p99", "worst")},
    )
