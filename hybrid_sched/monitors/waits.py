# SPDX-License-Identifier: Apache-2.0
"""How long the threads of containers waited for a CPU, where the kernel does not count it by control group (version 1)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

#: Threads of one container above which they are not asked: each costs some 10 microseconds.
MOST_THREADS = 1000
_PROC = Path("/proc")


class ThreadWaits:
    """Counters that only grow, from the kernel's of each thread, which end with the thread.

    What a thread waited that began and ended between two looks is not seen.

    :param proc: where procfs is mounted.
    """

    def __init__(self, proc: Path = _PROC) -> None:
        self._proc = proc
        self._totals: dict[str, int] = {}
        self._threads: dict[str, dict[str, int]] = {}

    def wait_s(self, container_id: str, group: Path) -> float:
        """Give the seconds for which the threads of a container were ready to run and did not.

        :param group: folder of its control group.
        :raises LookupError: when it has too many threads.
        :raises OSError: when they cannot be listed, or the kernel does not count.
        """
        threads = (group / "tasks").read_text().split()
        if len(threads) > MOST_THREADS:
            raise LookupError(f"{len(threads)} threads")
        before = self._threads.get(container_id, {})
        now: dict[str, int] = {}
        for thread in threads:
            try:
                # Time on a CPU, time waiting for one, number of turns (Documentation/scheduler/sched-stats.rst).
                text = (self._proc / thread / "schedstat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                if not (self._proc / "self" / "schedstat").exists():
                    raise
                # Gone between the list and the question.
                continue
            now[thread] = int(text.split()[1])
        # A number that was given to another thread begins anew.
        grown = sum(
            waited - known if (known := before.get(thread, 0)) <= waited else waited
            for thread, waited in now.items()
        )
        self._threads[container_id] = now
        total = self._totals[container_id] = self._totals.get(container_id, 0) + grown
        return total / 1e9

    def keep(self, container_ids: Collection[str]) -> None:
        """Forget the containers that are not named."""
        for gone in self._totals.keys() - set(container_ids):
            del self._totals[gone], self._threads[gone]
