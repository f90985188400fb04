# SPDX-License-Identifier: Apache-2.0
"""When the agent looks, reports and reconciles: in its time, or earlier when something happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from oslo_config import cfg

#: What happens within this time of the first event is one.
GATHERED_S = 0.3
#: Between two passes for events, since our own changes are told as events, too.
LEAST_GAP_S = 1.0
#: And as many times as long as the last round took, so that containers which start and end without pause, whoever's they are,
#: cost the host no more than a tenth of one CPU.
GAP_OF_ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Round:
    """What is to be done now.

    :param report: a report is due, or asked for.
    :param events: something happened.
    :param sweep: all limits are to be looked at.
    """

    report: bool = False
    events: bool = False
    sweep: bool = False


class Rounds:
    """Wait for the next round. All but :meth:`next` may be asked by any thread.

    :param conf: options of the group ``[agent]``.
    :param now_s: a clock that is never set.
    """

    def __init__(self, conf: cfg.ConfigOpts, now_s: Callable[[], float] = time.monotonic) -> None:
        self._conf = conf
        self._now_s = now_s
        self._bell = threading.Condition()
        self._stopped = False
        self._report_asked = False
        self._event_at_s: float | None = None
        self._reported_at_s: float | None = None
        self._swept_at_s: float | None = None
        self._reconciled_at_s: float | None = None
        #: When a round began that reconciles and is not over yet.
        self._begun_at_s: float | None = None
        self._gap_s = LEAST_GAP_S

    def report_now(self) -> None:
        """Report without waiting for the end of the period."""
        with self._bell:
            self._report_asked = True
            self._bell.notify_all()

    def happened(self) -> None:
        """Reconcile soon."""
        with self._bell:
            if self._event_at_s is None:
                self._event_at_s = self._now_s()
            self._bell.notify_all()

    def stop(self) -> None:
        """Have no more rounds."""
        with self._bell:
            self._stopped = True
            self._bell.notify_all()

    def next(self) -> Round | None:
        """Wait until something is to be done; None once there is to be no more."""
        with self._bell:
            while not self._stopped:
                due = self.due()
                if due != Round():
                    self._take(due)
                    return due
                self._bell.wait(max(0.0, self._next_at_s() - self._now_s()))
        return None

    def over(self) -> None:
        """Note that the round is over that was given last."""
        with self._bell:
            if self._begun_at_s is not None:
                self._reconciled_at_s = self._now_s()
                took_s = self._reconciled_at_s - self._begun_at_s
                self._gap_s = max(LEAST_GAP_S, GAP_OF_ROUNDS * took_s)
                self._begun_at_s = None

    def due(self) -> Round:
        """Say what is to be done now."""
        now_s = self._now_s()
        return Round(
            report=self._report_asked or now_s >= self._report_at_s(),
            events=now_s >= self._events_at_s(),
            sweep=now_s >= self._sweep_at_s(),
        )

    def _take(self, due: Round) -> None:
        now_s = self._now_s()
        if due.report:
            self._report_asked, self._reported_at_s = False, now_s
        if due.events:
            self._event_at_s = None
        if due.sweep:
            self._swept_at_s = now_s
        if due.events or due.sweep:
            self._reconciled_at_s = self._begun_at_s = now_s

    def _next_at_s(self) -> float:
        return min(self._report_at_s(), self._events_at_s(), self._sweep_at_s())

    def _report_at_s(self) -> float:
        return _after(self._reported_at_s, self._conf.agent.period_s)

    def _sweep_at_s(self) -> float:
        return _after(self._swept_at_s, self._conf.agent.isolation_period_s)

    def _events_at_s(self) -> float:
        if self._event_at_s is None:
            return float("inf")
        return max(self._event_at_s + GATHERED_S, _after(self._reconciled_at_s, self._gap_s))


def _after(at_s: float | None, period_s: float) -> float:
    return float("-inf") if at_s is None else at_s + period_s
