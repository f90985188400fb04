# SPDX-License-Identifier: Apache-2.0
"""The leader records how the cluster is shared, beside its cycles: they neither wait for the database nor fail with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from oslo_config import cfg
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from hybrid_sched.core.cluster import Snapshot
from hybrid_sched.db import Database
from hybrid_sched.db.forgetting import AT_ONCE
from hybrid_sched.db.share_history import ShareHistory, SharesThen
from hybrid_sched.db.terms import Deposed
from hybrid_sched.quota.duty import TermThread
from hybrid_sched.quota.engine import Engine
from hybrid_sched.quota.share_rows import share_rows

# What is recorded of the figures of a framework in a pool.
_FIGURES = (
    *("weight", "used", "wanted", "fair", "entitled", "borrowed", "owed", "rung", "squeeze"),
)
_DAY_S = 86_400.0
# Options that were changed count within this time.
_LONGEST_PAUSE_S = 60.0
# Between two batches of old rows, so that other writers of the database have their turn.
_FORGET_PAUSE_S = 0.1


class HistoryDuty:
    """Record the shares during one term, and forget what is too old.

    :param conf: options, of which ``[quota] history_interval_s`` and ``history_retention_days`` are used.
    :param term: fencing token of the leader.
    :param database: of the history.
    :param engine: the leader's.
    :param over: called when the term turns out to be over.
    :param now_s: the monotonic clock.
    :param clock_s: Unix time.
    """

    endpoints = ()

    def __init__(  # noqa: PLR0917 - a duty is made so
        self,
        conf: cfg.ConfigOpts,
        term: int,
        database: Database,
        engine: Engine,
        over: Callable[[], None],
        now_s: Callable[[], float] = time.monotonic,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._options = conf.quota
        self._term = term
        self._store = ShareHistory(database)
        self._engine = engine
        self._now_s = now_s
        self._clock_s = clock_s
        self._recorded_at_s = now_s()
        self._has_more_to_forget = False
        self._thread = TermThread("history of shares", self.run_round, self.pause_s, over)
        #: Records that are not in the database because it was away, or for another fault.
        self.missed = 0
        self.collectors = (HistoryCollector(self),)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is under way is finished."""
        self._thread.stop()

    def run_round(self) -> None:
        """Record the shares when it is time, and forget a few of what is too old.

        :raises DatabaseError: when the database cannot be used.
        :raises Deposed: when another engine leads.
        """
        if self._interval_s and self._now_s() - self._recorded_at_s >= self._interval_s:
            self._recorded_at_s = self._now_s()
            self._record(self._engine.snapshot()[0])
        before_s = self._clock_s() - self._options.history_retention_days * _DAY_S
        self._has_more_to_forget = False
        self._has_more_to_forget = self._store.forget_before(before_s, self._term) >= AT_ONCE

    def pause_s(self) -> float:
        """Give the seconds until the next round."""
        if self._has_more_to_forget:
            return _FORGET_PAUSE_S
        if not self._interval_s:
            return _LONGEST_PAUSE_S
        left_s = self._recorded_at_s + self._interval_s - self._now_s()
        return min(max(left_s, 0.0), _LONGEST_PAUSE_S)

    @property
    def _interval_s(self) -> float:
        """Give the seconds between two records; 0 for none."""
        options = self._options
        return float(options.history_interval_s) if options.history_retention_days else 0.0

    def _record(self, snapshot: Snapshot) -> None:
        # Before the first cycle there are no rows, and while cycles fail the same ones are written again.
        try:
            self._store.put(snapshot.taken_at_s, records_of(snapshot), self._term)
        except Deposed:
            raise
        except Exception:
            self.missed += 1
            raise


def records_of(snapshot: Snapshot) -> list[SharesThen]:
    """Give what is recorded of a snapshot."""
    return [
        SharesThen(
            snapshot.taken_at_s,
            row["framework"],
            row["pool"],
            {name: row[name] for name in _FIGURES},
        )
        for row in share_rows(snapshot, {})
    ]


class HistoryCollector(Collector):
    """Figures of the history.

    :param duty: the leader's.
    """

    def __init__(self, duty: HistoryDuty) -> None:
        self._duty = duty

    def collect(self) -> Iterable[Metric]:
        """Give the figures as they are now."""
        yield CounterMetricFamily(
            "hybrid_sched_missed_history_records",
            "Records of the shares that could not be written since this engine leads",
            value=self._duty.missed,
        )
