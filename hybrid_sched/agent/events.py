# SPDX-License-Identifier: Apache-2.0
"""What happened to tasks lately: kept, logged and reported once each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from oslo_log import log

from hybrid_sched.agent.replica import Replica
from hybrid_sched.core.measures import OOM_KILLS
from hybrid_sched.interfaces.monitor import SeenTask
from hybrid_sched.rpc.isolation import MOST_EVENTS, OOM_KILL, HostEvent

LOG = log.getLogger(__name__)

#: A back end tells of what the kernel counts a moment later; and of a task that is killed over and over, such as one that
#: starts again what takes too much, each event says the same.
_ONE_EVENT_S = 10.0


class Events:
    """The newest events of the host.

    The kernel counts what a back end may not tell, and a back end tells what the kernel cannot any more when the task is gone
    with its control group; what both tell is one event. So is what a back end tells of one task within ten seconds.

    :param replica: where they are kept, and the counters of the last look.
    :param now_s: the wall clock.
    """

    def __init__(self, replica: Replica, now_s: Callable[[], float] = time.time) -> None:
        self._replica = replica
        self._now_s = now_s
        self._lock = threading.Lock()
        #: Of which a back end has told since the last look.
        self._told: set[str] = set()
        #: When something was noted of each task last.
        self._noted_at_s: dict[str, float] = {}
        self._counts = {
            uuid: (counters.life, counters.values[OOM_KILLS])
            for look in replica.state.looks.values()
            for uuid, counters in look.tasks.items()
            if OOM_KILLS in counters.values
        }
        #: Whether the kernel's counters are known up to now, so that one that is new began at 0.
        self._knows = bool(self._counts)

    def oom_kill(self, uuid: str) -> None:
        """Note what a back end told. It may be asked by any thread."""
        with self._lock:
            self._told.add(uuid)
            since_s = self._now_s() - self._noted_at_s.get(uuid, -_ONE_EVENT_S)
            if 0 <= since_s < _ONE_EVENT_S:
                return
            self._noted_at_s[uuid] = self._now_s()
        self._note(uuid)

    def look(self, seen: Sequence[SeenTask], *, complete: bool) -> None:
        """Compare the kernel's counters with those of the last look.

        :param seen: the tasks that are seen now.
        :param complete: whether these are all.
        """
        with self._lock:
            told, self._told = self._told, set()
        counts = {
            each.task.uuid: (each.life, each.counters[OOM_KILLS])
            for each in seen
            if OOM_KILLS in each.counters
        }
        for uuid, (life, count) in counts.items():
            known_life, known = self._counts.get(uuid, (life, 0 if self._knows else count))
            # With a new life the kernel counts from 0.
            if count > (known if known_life == life else 0) and uuid not in told:
                with self._lock:
                    self._noted_at_s[uuid] = self._now_s()
                self._note(uuid)
        if complete:
            with self._lock:
                self._counts = {}
                self._noted_at_s = {
                    uuid: at_s for uuid, at_s in self._noted_at_s.items() if uuid in counts
                }
        self._counts.update(counts)
        self._knows = True

    def _note(self, uuid: str) -> None:
        event = HostEvent(uuid, OOM_KILL, self._now_s())
        LOG.warning(
            "The kernel ended a process of task %s, because the task reached its memory limit. Give it more memory, or see why "
            "it takes so much.",
            uuid,
        )
        self._replica.update(
            lambda state: replace(state, events=(*state.events, event)[-MOST_EVENTS:])
        )
