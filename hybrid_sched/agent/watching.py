# SPDX-License-Identifier: Apache-2.0
"""Listen to the watchers, each in a thread of its own, and again after it failed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from oslo_log import log

from hybrid_sched.interfaces.watcher import Happening, Kind, Watcher, WatchError

LOG = log.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 15.0


class Watching:
    """All watchers of the agent.

    :param watchers: name and watcher.
    :param changed: asked when something may have changed.
    :param oom_kill: asked with the uuid of a task, a process of which the kernel ended.
    :param first_pause_s: after which a watcher that failed is asked again; it doubles with each failure.
    """

    def __init__(
        self,
        watchers: Sequence[tuple[str, Watcher]],
        changed: Callable[[], None],
        oom_kill: Callable[[str], None],
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._changed = changed
        self._oom_kill = oom_kill
        self._first_pause_s = first_pause_s
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run, args=(name, watcher), name=f"watcher-{name}", daemon=True
            )
            for name, watcher in watchers
        ]

    def start(self) -> None:
        """Listen from now on."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Listen no more; a watcher that does not end in time ends with the process."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout_s)

    def _run(self, name: str, watcher: Watcher) -> None:
        pause_s = self._first_pause_s
        failing = False

        def tell(happening: Happening) -> None:
            nonlocal pause_s, failing
            if happening.kind is Kind.LISTENING:
                if failing:
                    LOG.info("Watcher %s listens again.", name)
                pause_s, failing = self._first_pause_s, False
            elif happening.kind is Kind.OOM_KILL:
                # It changes no limit; where the task ends with it, that is told, too.
                self._oom_kill(happening.uuid)
                return
            # Something may have happened while nobody listened, too.
            self._changed()

        while not self._stopping.is_set():
            try:
                watcher.watch(tell, self._stopping)
            except WatchError as error:
                if not failing:
                    LOG.warning("Watcher %s failed and is started again: %s", name, error)
                failing = True
            # Whatever it does, the agent finds changes by looking, and goes on.
            except Exception:
                LOG.exception("Watcher %s failed and is started again.", name)
                failing = True
            self._stopping.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
