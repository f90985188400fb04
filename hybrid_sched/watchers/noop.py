# SPDX-License-Identifier: Apache-2.0
"""A watcher that tells nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

from hybrid_sched.interfaces.watcher import Happening, Watcher


class NoopWatcher(Watcher):
    """Tell nothing: for hosts on which changes are found by the sweep alone, and as an example of one."""

    def watch(self, tell: Callable[[Happening], None], stopping: threading.Event) -> None:
        """Wait until told to stop."""
        stopping.wait()
