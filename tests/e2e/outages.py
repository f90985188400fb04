# SPDX-License-Identifier: Apache-2.0
"""The engine is cut off."""

from __future__ import annotations

import os
import signal

from lab.cloud import wait_for
from lab.layout import Lab
from lab.processes import ProcessTable
from lab.services import hybrid


def kill_engine(lab: Lab) -> None:
    """End the engine as a power failure would, and start it again."""
    engine = ProcessTable(lab).get("hybrid-sched-engine")
    assert engine is not None, "hybrid-sched-engine does not run"
    os.killpg(engine.pid, signal.SIGKILL)
    # While it still ends it would count as running.
    wait_for(lambda: ProcessTable(lab).get("hybrid-sched-engine"), lambda left: left is None, 30)
    hybrid.start(lab)
