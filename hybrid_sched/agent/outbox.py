# SPDX-License-Identifier: Apache-2.0
"""Reports on their way: numbered and on disk before they are sent, and kept there until the broker has taken them.

oslo.messaging publishes with confirms on RabbitMQ (``confirm_publish`` of its driver, always on), so a cast that returns was
taken by the broker. A ``kill -9`` between that and the note of it sends the same report again with the same number, which the
engine refuses as repeated; no number is ever given to two reports.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.agent.replica import Replica
from hybrid_sched.agent.reporter import Findings
from hybrid_sched.agent.state import State
from hybrid_sched.rpc.messages import HostReport, report_to_wire
from hybrid_sched.rpc.wire import Wire

LOG = log.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 5.0


class Outbox:
    """Number reports, keep them and send them in order.

    A thread of its own sends, because a cast to a broker that is away can block far longer than its timeout.

    :param conf: options of the group ``[agent]``.
    :param replica: where reports wait.
    :param send: gives a report to the broker and returns once it has it; raises when it cannot.
    :param now_s: the wall clock, by which ``sampled_at_s`` is.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        replica: Replica,
        send: Callable[[Wire], None],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._conf = conf
        self._replica = replica
        self._send = send
        self._now_s = now_s
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._away = False
        #: Reports that were given up since the start.
        self.dropped = 0

    def start(self) -> None:
        """Send from now on, beginning with what waited on disk."""
        self._news.set()
        self._thread.start()

    def put(self, findings: Findings) -> HostReport:
        """Give a report the next number and let it be sent; when too many wait, the oldest is given up."""
        kept = self._conf.agent.unsent_reports_kept
        surplus = 0

        def add(state: State) -> State:
            nonlocal surplus
            numbered = replace(findings.report, boot_id=state.boot_id, sequence=state.sequence + 1)
            waiting = (*state.unsent, report_to_wire(numbered))
            surplus = max(0, len(waiting) - kept)
            return replace(
                state,
                sequence=numbered.sequence,
                totals=findings.totals,
                looks=findings.looks,
                unsent=waiting[surplus:],
            )

        state = self._replica.update(add)
        self._note_dropped(surplus, "newer ones wait")
        self._news.set()
        return replace(findings.report, boot_id=state.boot_id, sequence=state.sequence)

    def stop(self, timeout_s: float) -> bool:
        """Stop sending; what waits stays on disk.

        :returns: whether the thread has ended; one that is inside the bus ends with the process.
        """
        self._stopping.set()
        self._news.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def send_waiting(self) -> bool:
        """Send all that waits, in order.

        :returns: whether nothing waits any more.
        """
        while waiting := self._without_late_ones():
            try:
                self._send(waiting[0])
            # Whatever goes wrong in the bus, the report waits and the agent goes on.
            except Exception as error:
                if not self._away:
                    LOG.warning(
                        "The broker does not take reports (%s); they wait.", type(error).__name__
                    )
                self._away = True
                return False
            if self._away:
                LOG.info("The broker takes reports again.")
            self._away = False
            self._remove(waiting[:1])
        return True

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            self._news.wait()
            self._news.clear()
            if self.send_waiting():
                pause_s = _FIRST_PAUSE_S
            else:
                self._stopping.wait(pause_s)
                self._news.set()
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _without_late_ones(self) -> tuple[Wire, ...]:
        """Give up the reports that the engine would refuse for their age, and give the others."""
        waiting = self._replica.state.unsent
        oldest_s = self._now_s() - self._conf.agent.unsent_max_age_s
        late = tuple(report for report in waiting if report["sampled_at_s"] < oldest_s)
        if late:
            self._remove(late)
            self._note_dropped(len(late), "the engine would refuse them as late")
        return tuple(report for report in waiting if report not in late)

    def _remove(self, reports: tuple[Wire, ...]) -> None:
        self._replica.update(
            lambda state: replace(
                state, unsent=tuple(report for report in state.unsent if report not in reports)
            )
        )

    def _note_dropped(self, count: int, reason: str) -> None:
        if count:
            self.dropped += count
            LOG.warning(
                "%d report(s) that waited for the broker were given up: %s; %d since the start.",
                count,
                reason,
                self.dropped,
            )
