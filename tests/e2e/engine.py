# SPDX-License-Identifier: Apache-2.0
"""The engine is cut off, or told other options."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lab.cloud import wait_for
from lab.layout import Lab
from lab.processes import Process, ProcessTable
from lab.services import hybrid

_NAME = "hybrid-sched-engine"


def kill_engine(lab: Lab) -> None:
    """End the engine as a power failure would, and start it again."""
    os.killpg(_running(lab).pid, signal.SIGKILL)
    # While it still ends it would count as running.
    wait_for(lambda: ProcessTable(lab).get(_NAME), lambda left: left is None, 30)
    hybrid.start(lab)


@contextmanager
def engine_stopped(lab: Lab) -> Iterator[None]:
    """Do without the engine for a while."""
    ProcessTable(lab).stop([_running(lab)], timeout_s=10)
    try:
        yield
    finally:
        hybrid.start(lab)


def configure_engine(
    lab: Lab, watchdog: Mapping[str, object] | None = None, **quota: object
) -> None:
    """Write options of the groups ``[watchdog]`` and ``[quota]`` and let the engine read them again."""
    hybrid.configure(lab, watchdog, **quota)
    os.kill(_running(lab).pid, signal.SIGHUP)


def _running(lab: Lab) -> Process:
    engine = ProcessTable(lab).get(_NAME)
    assert engine is not None, f"{_NAME} does not run"
    return engine
