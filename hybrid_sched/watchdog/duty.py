# SPDX-License-Identifier: Apache-2.0
"""The watchdog as the leading engine works on it: its runner in a thread, and what answers for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from oslo_config import cfg
from oslo_log import log

from hybrid_sched.db import Database, DatabaseError
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.terms import Deposed
from hybrid_sched.db.watchdog import WatchdogStore
from hybrid_sched.quota.duty import TermThread
from hybrid_sched.watchdog.endpoint import WatchdogEndpoint
from hybrid_sched.watchdog.executors import Executors, Make, load_executor
from hybrid_sched.watchdog.metrics import WatchdogCollector
from hybrid_sched.watchdog.orders import Orders
from hybrid_sched.watchdog.policy import LivePolicy
from hybrid_sched.watchdog.runner import WatchdogRunner
from hybrid_sched.watchdog.situations import Cluster
from hybrid_sched.watchdog.watch import Watch

LOG = log.getLogger(__name__)


class WatchdogDuty:
    """Watch during one term.

    :param conf: options of the group ``[watchdog]``, and those of the executors.
    :param term: fencing token of the leader.
    :param database: of the ledger.
    :param cluster: the engine.
    :param over: called when the term turns out to be over.
    :param make: makes an executor by its name.
    :param clock_s: Unix time.
    """

    def __init__(  # noqa: PLR0917 - a duty is made so
        self,
        conf: cfg.ConfigOpts,
        term: int,
        database: Database,
        cluster: Cluster,
        over: Callable[[], None],
        make: Make = load_executor,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._options = conf.watchdog
        self._pool = ThreadPoolExecutor(self._options.threads, thread_name_prefix="move")
        moves, settings = MoveStore(database), WatchdogStore(database)
        executors = Executors(conf, make)
        policy = LivePolicy(conf, cluster, moves, settings, executors, clock_s)
        watch = Watch(conf, moves, settings, policy, executors, term, clock_s)
        self.runner = WatchdogRunner(watch, self._pool)
        self._thread = TermThread(
            "watchdog", self.runner.run_round, lambda: self._options.step_period_s, over
        )
        self.endpoints = (WatchdogEndpoint(Orders(watch, self.runner)),)
        self.collectors = (WatchdogCollector(self.runner),)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; steps that are under way are finished and written."""
        self._thread.stop()
        self._pool.shutdown(wait=True)
        try:
            self.runner.take_up()
        except (Deposed, DatabaseError) as error:
            LOG.warning("What the last steps of moves came to is looked for again: %s", error)
