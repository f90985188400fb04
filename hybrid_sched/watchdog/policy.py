# SPDX-License-Identifier: Apache-2.0
"""The pure policy on live data: what to move now, and whether a decision still holds."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from oslo_config import cfg
from oslo_log import log

from hybrid_sched import loading
from hybrid_sched.conf import watchdog
from hybrid_sched.conf.quota import BadOption
from hybrid_sched.core.rebalance import decide, recheck
from hybrid_sched.core.rebalancing.base import Strategy
from hybrid_sched.core.rebalancing.moves import Decision, Move, MoveState, Plan
from hybrid_sched.core.rebalancing.parameters import Parameters
from hybrid_sched.core.rebalancing.record import MoveRecord
from hybrid_sched.core.rebalancing.situation import Situation
from hybrid_sched.db.moves import MoveStore
from hybrid_sched.db.watchdog import WatchdogStore
from hybrid_sched.watchdog.executors import DRY_RUN, Executors
from hybrid_sched.watchdog.situations import Cluster, Situations, Surroundings

LOG = log.getLogger(__name__)

STRATEGIES = "hybrid_sched.rebalancing"
#: The strategy that empties drained hosts, whatever other one is configured.
DRAIN = "drain"
#: A task of which so many moves have failed lately is left alone for a while.
_FAILURES = 2


class LivePolicy:
    """Decide with what the engine and the ledger tell. For one thread at a time.

    :param conf: options of the group ``[watchdog]``; they are read each time.
    :param cluster: the engine.
    :param moves: the ledger.
    :param settings: drained hosts.
    :param executors: say of which frameworks tasks can be moved.
    :param clock_s: Unix time.
    """

    def __init__(  # noqa: PLR0917 - what it decides from
        self,
        conf: cfg.ConfigOpts,
        cluster: Cluster,
        moves: MoveStore,
        settings: WatchdogStore,
        executors: Executors,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._conf = conf
        self._options = conf.watchdog
        self._moves = moves
        self._settings = settings
        self._executors = executors
        self._clock_s = clock_s
        self._situations = Situations(conf, cluster, clock_s)
        self._parameters = Parameters()
        self._apart: tuple[frozenset[str], ...] = ()
        self._closed: Mapping[tuple[str, str], str] = {}
        self._said = ""

    def observe(self) -> None:
        """Take in the reports of a period, which tasks have to be apart, and which hosts take none."""
        self._situations.observe(self._newest_parameters())
        self._apart = self._executors.apart()
        self._closed = self._executors.closed()

    def situation(self) -> Situation:
        """Give the cluster as it is now.

        :raises DatabaseError: when the database cannot be used.
        """
        parameters, options = self._newest_parameters(), self._options
        looked_back_s = max(
            parameters.task_cooldown_s,
            parameters.host_cooldown_s,
            2 * options.measure_after_s + options.move_timeout_s,
        )
        looked_back_s = max(looked_back_s, options.failure_pause_s)
        now_s = self._clock_s()
        known = self._moves.since(now_s - looked_back_s)
        runs_dry = options.mode == DRY_RUN
        around = Surroundings(
            # What was never moved must not hold back what is.
            moves=[move for move in known if runs_dry or move.executor != DRY_RUN],
            drained=self._settings.drained(),
            movers=self._executors.by_framework(),
            excluded=frozenset(options.excluded) | _failing(known, now_s - options.failure_pause_s),
            apart=self._apart,
            closed=self._closed,
        )
        return self._situations.now(parameters, around)

    def decide(self, strategy: str, drained: frozenset[str] = frozenset()) -> Plan:
        """Let a strategy decide.

        :param strategy: its name.
        :param drained: hosts that are to be emptied beside those that are drained already.
        :raises PluginNotFound: when there is no such strategy.
        """
        [(_, made)] = loading.load(STRATEGIES, [strategy])
        plug_in: Strategy = made
        situation = self.situation()
        return decide(plug_in, replace(situation, drained=situation.drained | drained))

    def why_not(
        self, decisions: Sequence[Decision], drained: frozenset[str] = frozenset()
    ) -> list[str]:
        """Say why decisions, carried out one after the other, do not hold any more; nothing when all do."""
        situation = self.situation()
        situation = replace(situation, drained=situation.drained | drained)
        reasons = []
        before: tuple[Move, ...] = ()
        for decision in decisions:
            reason = recheck(decision, replace(situation, moves=situation.moves + before))
            if reason is not None:
                reasons.append(reason)
            before += (decision.as_move(MoveState.PLANNED, situation.now_s),)
        return reasons

    def new_moves(
        self, decisions: Sequence[Decision], plan: str, strategy: str
    ) -> list[MoveRecord]:
        """Write decisions as moves, those of frameworks without an executor left out."""
        named, now_s = self._executors.by_framework(), self._clock_s()
        return [
            MoveRecord(
                uuid=str(uuid.uuid4()),
                plan=plan,
                decision=decision,
                executor=named[decision.framework],
                planned_at_s=now_s,
                strategy=strategy,
            )
            for decision in decisions
            if decision.framework in named
        ]

    def is_current(self, moves: Sequence[MoveRecord]) -> bool:
        """Say whether moves that were planned would be given the same executors now."""
        named = self._executors.by_framework()
        return all(named.get(move.decision.framework) == move.executor for move in moves)

    def _newest_parameters(self) -> Parameters:
        try:
            self._parameters = watchdog.parameters(self._conf)
            self._said = ""
        except BadOption as fault:
            if str(fault) != self._said:
                self._said = str(fault)
                LOG.error("The watchdog goes on with what was set before: %s.", fault)
        return self._parameters


def _failing(moves: Sequence[MoveRecord], since_s: float) -> frozenset[str]:
    """Name the tasks of which several moves have failed since a time."""
    failed = Counter(
        move.decision.task
        for move in moves
        if move.state is MoveState.FAILED and move.ended_at_s >= since_s
    )
    return frozenset(task for task, times in failed.items() if times >= _FAILURES)
